"""Writes facts of the run and rows of jobs: new jobs, their positions in the manifest, and their unique file names."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from batcher.core.errors import Defect
from batcher.core.job import Entry, Job
from batcher.core.naming import with_key
from batcher.store.facts import FileStamp, RunFacts, change_facts, forget_tables, read_facts
from batcher.store.rows import ENTRY, INSERT_JOB, entry_of, in_groups, job_row
from batcher.store.transactions import Transactions

_DESCRIPTION = ("prompt_id", "meta", "chosen", "source", "line")  # an edited manifest may change them


def upsert(position: str) -> str:
    """The statement that inserts a job, or updates the row of its key; nothing if another job has its file name.

    position: SQL for the position of a job that has a row already.
    """
    described = ", ".join(f"{name} = iif(state = 'pending', excluded.{name}, {name})" for name in _DESCRIPTION)
    return (
        f"{INSERT_JOB} ON CONFLICT (key) DO UPDATE SET position = {position}, {described} ON CONFLICT (name) DO NOTHING"
    )


class JobRows(Transactions):
    """The writer's methods for facts and rows of jobs. Call them in a transaction (``commit``, ``durable``)."""

    def outdate_tables(self) -> None:
        """Record that ``records.jsonl`` and ``failures.jsonl`` no longer match the state file."""
        if not self._outdated:
            forget_tables(self.connection)
            self._outdated = True

    def note_tables(self, stamps: tuple[FileStamp, ...] | None) -> None:
        """Record that the tables beside the file match it. stamps: as in ``RunFacts.tables``."""
        self.change_facts(lambda facts: replace(facts, tables=stamps))
        self._outdated = False

    @property
    def facts(self) -> RunFacts:
        return read_facts(self.connection)

    def change_facts(self, change: Callable[[RunFacts], RunFacts]) -> None:
        """Replace the facts of the run by what ``change`` returns for them."""
        change_facts(self.connection, change)

    def take_in(self, jobs: Sequence[tuple[int, Job]], statement: str) -> None:
        """Insert or update the rows of jobs. jobs: each with its position. statement: of ``upsert``."""
        rows = [job_row(job, position) for position, job in jobs]
        if self.connection.executemany(statement, rows).rowcount == len(rows):
            return
        here = self.keys_there([job.key for _, job in jobs])
        for position, job in jobs:
            if job.key not in here:  # another job has this name, up to letter case: add the key to it
                row = job_row(job, position, with_key(job.path, job.key))
                if self.connection.execute(statement, row).rowcount != 1:
                    raise Defect(f"two jobs want the file name {with_key(job.path, job.key)!r}")

    def enlist(self, jobs: Sequence[Job]) -> list[Entry]:
        """The entries of these jobs, in order. Jobs without a row get one, pending, at the end of the manifest."""
        (first,) = self.connection.execute("SELECT coalesce(max(position) + 1, 0) FROM jobs").fetchone()
        self.take_in(list(enumerate(jobs, first)), upsert("coalesce(position, excluded.position)"))
        entries: dict[str, Entry] = {}
        for places, keys in in_groups([job.key for job in jobs]):
            rows = self.connection.execute(f"{ENTRY} FROM jobs j WHERE j.key IN {places}", keys)
            entries.update((row[1], entry_of(row)) for row in rows)
        return [entries[job.key] for job in jobs]

    def unlist(self, ids: Iterable[int]) -> None:
        """Take jobs out of the manifest, so that counts and records leave them out. ids: row numbers."""
        self.connection.executemany("UPDATE jobs SET position = NULL WHERE id = ?", ((number,) for number in ids))

    def keys_there(self, keys: Sequence[str], only: str = "TRUE", *values: int) -> set[str]:
        """Those of the keys that have a row. only: SQL condition on the row. values: for the ``?`` in it."""
        there: set[str] = set()
        for places, some in in_groups(keys):
            rows = self.connection.execute(f"SELECT key FROM jobs WHERE key IN {places} AND {only}", (*some, *values))
            there.update(key for (key,) in rows)
        return there
