"""The first jobs of an empty table, written without its indexes: these are built at the end, each in its own order.

Written row by row, an index of random keys costs more than the table: every row changes another page of it.
"""

import sqlite3
from collections.abc import Sequence
from struct import iter_unpack

from batcher.core.job import Job
from batcher.core.naming import folded, with_key
from batcher.store.rows import INSERT_JOB, job_row


class BulkLoad:
    """Use it inside a transaction, and ``end`` it there; a rollback brings the indexes back."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._indexes = connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'jobs'"
        ).fetchall()
        for name, _ in self._indexes:
            connection.execute(f"DROP INDEX {name}")
        self._keys = _KeyFilter()

    def add(self, jobs: Sequence[tuple[int, Job]]) -> None:
        """jobs: each with its position. No key twice (``are_new``)."""
        self._connection.executemany(INSERT_JOB, [job_row(job, position) for position, job in jobs])

    def are_new(self, keys: Sequence[str]) -> bool:
        """Whether none of them came before, in this call or an earlier one; False also when that can't be told."""
        return self._keys.add(keys)

    def end(self) -> None:
        """Builds the indexes; jobs whose name an earlier one has get their key for it."""
        for _, statement in self._indexes:
            while True:
                try:
                    self._connection.execute(statement)
                    break
                except sqlite3.IntegrityError:
                    if not self._rename():
                        raise

    def _rename(self) -> int:
        """How many jobs got another name."""
        clashes = self._connection.execute(
            "SELECT id, key, path FROM (SELECT id, key, path, row_number() OVER (PARTITION BY name ORDER BY id) AS n"
            " FROM jobs) WHERE n > 1"
        ).fetchall()
        for number, key, path in clashes:
            other = with_key(path, key)
            self._connection.execute("UPDATE jobs SET path = ?, name = ? WHERE id = ?", (other, folded(other), number))
        return len(clashes)


class _KeyFilter:
    """A Bloom filter of 16 MB over job keys, whose digits are random already: each sets four bits, where its four parts
    of 32 bits say. Of a million keys hardly one is taken for an earlier one by mistake, and never the other way.
    """

    def __init__(self) -> None:
        self._bits = bytearray(1 << 24)

    def add(self, keys: Sequence[str]) -> bool:
        """Whether all of them are new for certain."""
        bits, fresh = self._bits, True
        for parts in iter_unpack("<4I", bytes.fromhex("".join(keys))):
            new = False
            for part in parts:
                at, bit = part >> 8, 1 << (part & 7)
                if not (byte := bits[at]) & bit:
                    bits[at], new = byte | bit, True
            if not new:
                fresh = False
        return fresh
