"""The jobs of a manifest become rows, in one transaction and in the order of the manifest. No job is kept in memory.

The table itself records which jobs this reading has met: each key has one row, and its ``position`` is set when the
job is met. At the start all positions become negative; the jobs that still have a negative one at the end have left
the manifest.
"""

import sqlite3
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from batcher.core.job import Job
from batcher.core.naming import folded, with_key
from batcher.core.shard import Shard
from batcher.store.job_rows import JobRows, upsert
from batcher.store.rows import INSERT_JOB, job_row

_CHUNK = 500
_UPSERT = upsert("excluded.position")


@dataclass(frozen=True, slots=True)
class Listed:
    """Numbers of jobs. jobs: of the manifest. new: without a row before. gone: that have left the manifest."""

    jobs: int
    new: int
    gone: int


class Listing:
    """One reading of a manifest. Use it in a transaction of ``state``: ``add`` each job in order, then ``end``.

    state: the writer of the state file.
    limit: number of jobs that will be added; rows at this position and beyond are left alone. None for all jobs.
    shard: only its jobs are written; the positions of the others stay free. None for all jobs.
    """

    def __init__(self, state: JobRows, limit: int | None = None, shard: Shard | None = None) -> None:
        self._state = state
        self._connection = state.connection
        (self._last_id,) = self._connection.execute("SELECT coalesce(max(id), 0) FROM jobs").fetchone()
        self._at = 0  # position of the next job
        self._jobs = 0  # added, without those of other shards
        self._shard = shard
        self._waiting: list[tuple[int, Job]] = []
        self._bulk = None if self._last_id else _BulkLoad(self._connection)
        state.outdate_tables()
        if self._last_id:
            among = "position IS NOT NULL" if limit is None else f"position < {limit:d}"
            self._connection.execute(f"UPDATE jobs SET position = -1 - position WHERE {among}")
        self._connection.execute(
            "CREATE TEMP TABLE IF NOT EXISTS copies (key TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID"
        )
        self._connection.execute("DELETE FROM copies")

    def add(self, job: Job) -> None:
        """The next job of the manifest. Raises sqlite3.Error."""
        if self._shard is None or self._shard.takes(job.key):
            self._put(job)
        else:
            self._at += 1

    def add_unless_there(self, jobs: Sequence[Job]) -> None:
        """Add the jobs of ``batcher more`` after those of the manifest, without those that the manifest has too."""
        self._end_bulk()
        there = self._seen([job.key for job in jobs])
        for job in jobs:
            if job.key not in there:
                self._put(job)
        self._flush()

    def copies(self, keys: Sequence[str]) -> list[int]:
        """The copy numbers of requests, from 1: how often each has occurred in the manifest, itself included.

        keys: the keys that the requests have as first copies, in manifest order. Every job before them must have been
        added.
        """
        if self._shard is not None:  # the table has only some of the jobs
            return [self._count(key, 1) for key in keys]
        if self._bulk is not None and self._bulk.are_new(keys):
            return [1] * len(keys)
        self._end_bulk()
        again = self._seen(keys)
        numbers = []
        for key in keys:
            numbers.append(self._count(key, 2) if key in again else 1)
            again.add(key)
        return numbers

    def _seen(self, keys: Sequence[str]) -> set[str]:
        """Those of the keys that this reading has added."""
        return self._state.keys_there(keys, "position BETWEEN 0 AND ?", self._at - 1)

    def _count(self, key: str, first: int) -> int:
        """One more occurrence of a key. first: its number if the key was not counted before."""
        row = self._connection.execute(
            "INSERT INTO copies VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET n = n + 1 RETURNING n", (key, first)
        ).fetchone()
        return int(row[0])

    def end(self) -> Listed:
        """Finish the reading after the last job."""
        self._end_bulk()
        gone = 0
        if self._last_id:
            gone = self._connection.execute("UPDATE jobs SET position = NULL WHERE position < 0").rowcount
        (new,) = self._connection.execute("SELECT count(*) FROM jobs WHERE id > ?", (self._last_id,)).fetchone()
        return Listed(self._jobs, new, gone)

    def _put(self, job: Job) -> None:
        self._waiting.append((self._at, job))
        self._at += 1
        self._jobs += 1
        if len(self._waiting) == _CHUNK:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            jobs, self._waiting = self._waiting, []
            if self._bulk is not None:
                self._bulk.add(jobs)
            else:
                self._state.take_in(jobs, _UPSERT)

    def _end_bulk(self) -> None:
        """Write all jobs so far, and make them searchable by key."""
        self._flush()
        if self._bulk is not None:
            self._bulk.end()
            self._bulk = None


class _BulkLoad:
    """Writes jobs into an empty table without indexes, and builds the indexes at the end.

    Keys are random, so every row would change another page of their index: that costs more than the table itself. Use
    it in one transaction of ``connection``, ``end`` included; a rollback restores the indexes.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._indexes = connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'jobs'"
            " AND sql NOT LIKE '% IS NOT NULL'"  # no new job is in such an index
        ).fetchall()
        for name, _ in self._indexes:
            connection.execute(f"DROP INDEX {name}")
        self._keys = _KeySet()

    def add(self, jobs: Sequence[tuple[int, Job]]) -> None:
        """Add jobs with their positions. No key may occur twice (see ``are_new``)."""
        self._connection.executemany(INSERT_JOB, [job_row(job, position) for position, job in jobs])

    def are_new(self, keys: Sequence[str]) -> bool:
        """Whether no key occurred before, in this call or an earlier one. False also if that is unknown."""
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
    """A hash table of the first half of each key. Keys are random, so a half is its own hash. 0 is an empty slot.

    Its size is fixed: 16 MB for 1.3 million keys.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 << 21))
        self._free = len(self._slots) * 5 // 8

    def add(self, keys: Sequence[str]) -> bool:
        """Add the keys and return whether all of them are new. False also if the table is full."""
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
