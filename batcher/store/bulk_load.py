"""Writes the first jobs of an empty table without indexes and builds the indexes at the end.

Updating an index of random keys row by row costs more than the table itself: every row changes another page.
"""

import sqlite3
from array import array
from collections.abc import Sequence

from batcher.core.job import Job
from batcher.core.naming import folded, with_key
from batcher.store.rows import INSERT_JOB, job_row


class BulkLoad:
    """Use it inside one transaction, ``end`` included; a rollback restores the indexes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._indexes = connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'jobs'"
        ).fetchall()
        for name, _ in self._indexes:
            connection.execute(f"DROP INDEX {name}")
        self._keys = _KeySet()

    def add(self, jobs: Sequence[tuple[int, Job]]) -> None:
        """Add jobs with their positions. No key may occur twice (see ``are_new``)."""
        self._connection.executemany(INSERT_JOB, [job_row(job, position) for position, job in jobs])

    def are_new(self, keys: Sequence[str]) -> bool:
        """Whether none of the keys occurred before, in this call or an earlier one; False also if unknown."""
        return self._keys.add(keys)

    def end(self) -> None:
        """Build the indexes. A job whose name is taken gets a name with its key."""
        for _, statement in self._indexes:
            while True:
                try:
                    self._connection.execute(statement)
                    break
                except sqlite3.IntegrityError:
                    if not self._rename():
                        raise

    def _rename(self) -> int:
        """Rename jobs whose name is taken. Returns how many."""
        clashes = self._connection.execute(
            "SELECT id, key, path FROM (SELECT id, key, path, row_number() OVER (PARTITION BY name ORDER BY id) AS n"
            " FROM jobs) WHERE n > 1"
        ).fetchall()
        for number, key, path in clashes:
            other = with_key(path, key)
            self._connection.execute("UPDATE jobs SET path = ?, name = ? WHERE id = ?", (other, folded(other), number))
        return len(clashes)


class _KeySet:
    """A hash table of the first half of each job key. Keys are random, so each is its own hash. 0: empty slot.

    Fixed size: 16 MB for 1.3 million keys.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 << 21))
        self._free = len(self._slots) * 5 // 8

    def add(self, keys: Sequence[str]) -> bool:
        """Add the keys. Whether all of them are new; False also if the table is full."""
        self._free -= len(keys)
        if self._free < 0:
            return False
        slots, last, are_new = self._slots, len(self._slots) - 1, True
        for half in array("Q", bytes.fromhex("".join(keys)))[::2]:
            at = half & last
            while (other := slots[at]) and other != half:
                at = at + 1 & last
            if other:
                are_new = False
            slots[at] = half
        return are_new
