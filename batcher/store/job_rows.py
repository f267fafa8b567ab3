"""What is known before anything is submitted: facts about the run, its jobs, which of them the manifest lists, and
their names, of which no two are one. Synchronous.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from batcher.core.errors import Defect
from batcher.core.job import Entry, Job, State, canonical_json
from batcher.core.naming import fold, with_key
from batcher.store import reading
from batcher.store.batch import write_rows
from batcher.store.packing import packed_file
from batcher.store.transactions import Ledger

_JOB = (
    "INSERT OR IGNORE INTO job_data (id, key, state, model, copy, source, line, fold, path, prompt_id, inputs, meta)"
    " VALUES {rows}"
)


class Roster(Ledger):
    """The half of the state file's writer to which jobs come in. All methods are for ``commit``."""

    def set_meta(self, **facts: Any) -> None:
        rows = [(name, json.dumps(value)) for name, value in facts.items()]
        self.connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def enlist(self, jobs: Sequence[Job]) -> list[Entry]:
        """The entries of these jobs, in their order; new ones are written down as pending."""
        keys = [bytes.fromhex(job.key) for job in jobs]
        known = reading.known(self.connection, keys)
        back = [(row[0],) for row in known.values() if not row[2]]
        if back:
            self.connection.executemany("UPDATE job_data SET listed = 1 WHERE id = ?", back)
        new = iter(self._insert([(job, key) for job, key in zip(jobs, keys, strict=True) if key not in known]))
        return [
            self._known(job, known[key]) if key in known else next(new) for job, key in zip(jobs, keys, strict=True)
        ]

    def unlist(self, ids: Iterable[int]) -> None:
        """These jobs are no longer in the manifest: left alone, and out of the counts and records."""
        self.connection.executemany("UPDATE job_data SET listed = 0 WHERE id = ?", ((number,) for number in ids))

    def relist(self, ids: Iterable[int]) -> None:
        self.connection.executemany("UPDATE job_data SET listed = 1 WHERE id = ?", ((number,) for number in ids))

    def rename(self, number: int, path: str, files: Iterable[tuple[int, str]]) -> None:
        """A job's path, and its files by output index, are these now."""
        self.connection.execute("UPDATE job_data SET path = ?, fold = ? WHERE id = ?", (path, fold(path), number))
        rows = [(packed_file(file, path), number, index) for index, file in files]
        self.connection.executemany("UPDATE image_data SET file = ? WHERE job_id = ? AND output_index = ?", rows)

    def _known(self, job: Job, row: reading.Known) -> Entry:
        if row[1] == State.PENDING:
            self._describe_anew(job, row[0])
        return Entry(id=row[0], job=job, state=State(row[1]), attempts=row[3], path=row[4])

    def _describe_anew(self, job: Job, number: int) -> None:
        """What an edited manifest says beside the request, so that records and sidecars of a job to come agree."""
        words = (job.prompt_id, canonical_json(job.meta) if job.meta else None, self._word(job.source), job.line)
        self.connection.execute(
            "UPDATE job_data SET (prompt_id, meta, source, line) = (?, ?, ?, ?)"
            " WHERE id = ? AND (prompt_id, meta, source, line) IS NOT (?, ?, ?, ?)",
            (*words, number, *words),
        )

    def _insert(self, jobs: Sequence[tuple[Job, bytes]]) -> list[Entry]:
        (last,) = self.connection.execute("SELECT coalesce(max(id), 0) FROM job_data").fetchone()
        paths = [job.path for job, _ in jobs]
        rows = [self._job_row(last + n, job, key, job.path) for n, (job, key) in enumerate(jobs, start=1)]
        if write_rows(self.connection, _JOB, rows) != len(rows):
            between = "SELECT id FROM job_data WHERE id > ?"
            there = {number for (number,) in self.connection.execute(between, (last,))}
            for at in (at for at in range(len(rows)) if last + at + 1 not in there):
                paths[at] = self._insert_with_key(last + at + 1, *jobs[at])
        return [
            Entry(id=number, job=job, state=State.PENDING, path=path)
            for number, ((job, _), path) in enumerate(zip(jobs, paths, strict=True), start=last + 1)
        ]

    def _insert_with_key(self, number: int, job: Job, key: bytes) -> str:
        """Another job has this name, up to letter case: ours gets its key."""
        path = with_key(job.path, job.key)
        if write_rows(self.connection, _JOB, [self._job_row(number, job, key, path)]) == 0:
            raise Defect(f"two jobs want the file name {path!r}")
        return path

    def _job_row(self, number: int, job: Job, key: bytes, path: str) -> tuple[Any, ...]:
        place = (self._word(job.model), job.copy, self._word(job.source), job.line, fold(path), path)
        text = (job.prompt_id, canonical_json(job.inputs), canonical_json(job.meta) if job.meta else None)
        return (number, key, State.PENDING, *place, *text)
