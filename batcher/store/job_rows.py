"""What is known before anything is submitted: facts about the run, its jobs, which of them the manifest has, and their
names, of which no two are one. Synchronous.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from batcher.core.errors import Defect
from batcher.core.job import Entry, Job
from batcher.core.naming import with_key
from batcher.store.facts import RunFacts, change_facts, forget_tables, read_facts
from batcher.store.rows import ENTRY, INSERT_JOB, entry_of, in_groups, job_row
from batcher.store.transactions import Transactions

_DESCRIPTION = (
    "prompt_id",
    "meta",
    "chosen",
    "source",
    "line",
)  # an edited manifest may say it anew


def upsert(position: str) -> str:
    """Takes a job in, or notes where the manifest has a known one; does nothing where another job has its name.

    position: SQL, for a job that is there already.
    """
    described = ", ".join(f"{name} = iif(state = 'pending', excluded.{name}, {name})" for name in _DESCRIPTION)
    return (
        f"{INSERT_JOB} ON CONFLICT (key) DO UPDATE SET position = {position}, {described} ON CONFLICT (name) DO NOTHING"
    )


class JobRows(Transactions):
    """The half of the state file's writer to which jobs come in. All methods are for ``commit``."""

    def outdate_tables(self) -> None:
        """``records.jsonl`` and ``failures.jsonl`` may say something else than the state file from now on."""
        if not self._outdated:
            forget_tables(self.connection)
            self._outdated = True

    def note_tables(self, looks: list[list[int]] | None) -> None:
        """The tables beside the file are up to date. looks: what they look like from outside."""
        self.change_facts(lambda facts: replace(facts, tables=looks))
        self._outdated = False

    @property
    def facts(self) -> RunFacts:
        return read_facts(self.connection)

    def change_facts(self, change: Callable[[RunFacts], RunFacts]) -> None:
        """``change`` gives the facts of the run as they are to be."""
        change_facts(self.connection, change)

    def take_in(self, jobs: Sequence[tuple[int, Job]], statement: str) -> None:
        """jobs: each with its position. statement: as ``upsert`` makes it."""
        rows = [job_row(job, position) for position, job in jobs]
        if self.connection.executemany(statement, rows).rowcount == len(rows):
            return
        here = self.keys_there([job.key for _, job in jobs])
        for position, job in jobs:
            if job.key not in here:  # another job has this name, up to letter case: ours gets its key
                row = job_row(job, position, with_key(job.path, job.key))
                if self.connection.execute(statement, row).rowcount != 1:
                    raise Defect(f"two jobs want the file name {with_key(job.path, job.key)!r}")

    def enlist(self, jobs: Sequence[Job]) -> list[Entry]:
        """The entries of these jobs, in their order; new ones are written down as pending, at the manifest's end."""
        (first,) = self.connection.execute("SELECT coalesce(max(position) + 1, 0) FROM jobs").fetchone()
        self.take_in(list(enumerate(jobs, first)), upsert("coalesce(position, excluded.position)"))
        entries: dict[str, Entry] = {}
        for places, keys in in_groups([job.key for job in jobs]):
            rows = self.connection.execute(f"{ENTRY} FROM jobs j WHERE j.key IN {places}", keys)
            entries.update((row[1], entry_of(row)) for row in rows)
        return [entries[job.key] for job in jobs]

    def unlist(self, ids: Iterable[int]) -> None:
        """These jobs are no longer in the manifest: left alone, and out of the counts and records."""
        self.connection.executemany("UPDATE jobs SET position = NULL WHERE id = ?", ((number,) for number in ids))

    def keys_there(self, keys: Sequence[str], only: str = "TRUE", *values: int) -> set[str]:
        """Those that are keys of jobs in the table. only: SQL, which of these count; values: of its ``?``."""
        there: set[str] = set()
        for places, some in in_groups(keys):
            rows = self.connection.execute(f"SELECT key FROM jobs WHERE key IN {places} AND {only}", (*some, *values))
            there.update(key for (key,) in rows)
        return there
