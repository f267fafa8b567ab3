"""The state file: every job ever planned, every submit, every file, in one SQLite database. Synchronous.

A move is one guarded ``UPDATE ... WHERE id = ? AND state = ?`` behind the lifecycle table: if no row matched, the
table and the file disagree, and that is a bug. Nothing here commits by itself: ``commit`` runs a group of calls in one
transaction with one fsync (``queue.py`` collects the groups).
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from batcher.errors import Cause, Defect, DiskError
from batcher.job import Artifact, Entry, Job, State, canonical_json
from batcher.lifecycle import Event, advance
from batcher.naming import fold, with_key
from batcher.store import reading
from batcher.store.opening import connect, identity

Outcome = tuple[bool, Any]  # (True, value) or (False, exception)


class StateFile:
    """The one writer. Open it only while holding the run lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = connect(path)
        self._identity = identity(path)
        self._words: dict[str, int] = dict(self.connection.execute("SELECT word, id FROM words"))

    def close(self) -> None:
        self.connection.close()

    def commit(self, calls: Sequence[Callable[[], Any]]) -> list[Outcome]:
        """Runs the calls in one transaction. If one fails, each is run again in a transaction of its own, so that one
        bad call can't take its neighbours with it. Raises DiskError when the disk can't take it; then nothing of the
        group has happened.
        """
        try:
            return [(True, value) for value in self._together(calls)]
        except Exception as error:
            if _is_the_disks(error):
                raise disk_problem(error, self.path) from error
            return [self._alone(call) for call in calls]

    def must_commit(self, calls: Sequence[Callable[[], Any]]) -> None:
        """``commit`` for whoever wants all or an exception."""
        for fine, value in self.commit(calls):
            if not fine:
                raise value

    def _together(self, calls: Sequence[Callable[[], Any]]) -> list[Any]:
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            values = [call() for call in calls]
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            self._words = dict(self.connection.execute("SELECT word, id FROM words"))  # without those of this group
            raise
        return values

    def _alone(self, call: Callable[[], Any]) -> Outcome:
        try:
            return True, self._together([call])[0]
        except Exception as error:  # noqa: BLE001  it belongs to whoever made this call
            return False, disk_problem(error, self.path) if _is_the_disks(error) else error

    # Facts about the run

    def set_meta(self, **facts: Any) -> None:
        rows = [(name, json.dumps(value)) for name, value in facts.items()]
        self.connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    # Jobs come in

    def enlist(self, jobs: Sequence[Job]) -> list[Entry]:
        """The entries of these jobs, in their order; new ones are written down as pending."""
        keys = [bytes.fromhex(job.key) for job in jobs]
        known = reading.known(self.connection, keys)
        back = [(row[0],) for row in known.values() if not row[2]]
        if back:
            self.connection.executemany("UPDATE job_data SET listed = 1 WHERE id = ?", back)
        return [
            self._known(job, known[key]) if key in known else self._insert(job, key)
            for job, key in zip(jobs, keys, strict=True)
        ]

    def unlist(self, ids: Iterable[int]) -> None:
        """These jobs are no longer in the manifest: left alone, and out of the counts and records."""
        self.connection.executemany("UPDATE job_data SET listed = 0 WHERE id = ?", ((number,) for number in ids))

    def relist(self, ids: Iterable[int]) -> None:
        self.connection.executemany("UPDATE job_data SET listed = 1 WHERE id = ?", ((number,) for number in ids))

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

    def _insert(self, job: Job, key: bytes) -> Entry:
        path = job.path
        fixed = (key, State.PENDING, self._word(job.model), job.copy, self._word(job.source), job.line)
        text = (job.prompt_id, canonical_json(job.inputs), canonical_json(job.meta) if job.meta else None)
        statement = (
            "INSERT OR IGNORE INTO job_data (key, state, model, copy, source, line, fold, path, prompt_id, inputs,"
            " meta) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        cursor = self.connection.execute(statement, (*fixed, fold(path), path, *text))
        if cursor.rowcount == 0:  # another job has this name, up to letter case: ours gets its key
            path = with_key(path, job.key)
            cursor = self.connection.execute(statement, (*fixed, fold(path), path, *text))
            if cursor.rowcount == 0:
                raise Defect(f"two jobs want the file name {path!r}")
        assert cursor.lastrowid is not None
        return Entry(id=cursor.lastrowid, job=job, state=State.PENDING, path=path)

    def _word(self, word: str) -> int:
        number = self._words.get(word)
        if number is None:
            row = self.connection.execute("INSERT INTO words (word) VALUES (?) RETURNING id", (word,)).fetchone()
            number = self._words[word] = int(row[0])
        return number

    # Moves

    def claim(self, entry: Entry, now: float) -> Entry:
        """The intent, on disk before the submit leaves. ``now``: Unix seconds, as everywhere here."""
        if identity(self.path) != self._identity:
            # SQLite would go on writing to a file without a name: good for what is paid for, not for paying more.
            raise sqlite3.OperationalError("it was removed or replaced while the run was going")
        attempt = entry.attempts + 1
        state = self._move(entry, Event.CLAIMED, "attempts = ?, cause = NULL", attempt)
        self.connection.execute(
            "INSERT INTO attempt_data (job_id, n, outcome, submitted_at) VALUES (?, ?, 'submitting', ?)",
            (entry.id, attempt, _ms(now)),
        )
        return replace(
            entry, state=state, attempts=attempt, submitted_at=now, request_id=None, urls=(), finished_at=None,
            cost_usd=None, cause=None,
        )  # fmt: skip

    def release(self, entry: Entry) -> Entry:
        """The submit was refused before it was taken up: as if it had never been."""
        state = self._move(entry, Event.RELEASED, "attempts = ?", entry.attempts - 1)
        self.connection.execute("DELETE FROM attempt_data WHERE job_id = ? AND n = ?", (entry.id, entry.attempts))
        return replace(entry, state=state, attempts=entry.attempts - 1, submitted_at=None)

    def accept(self, entry: Entry, request_id: str, now: float) -> Entry:
        state = self._move(entry, Event.ACCEPTED)
        self._attempt(entry, outcome="accepted", request_id=request_id, accepted_at=_ms(now))
        return replace(entry, state=state, request_id=request_id)

    def reject(self, entry: Entry, cause: Cause, now: float) -> Entry:
        state = self._move(entry, Event.REJECTED, "cause = ?", _cause(cause))
        self._attempt(entry, outcome="rejected", finished_at=_ms(now), cause=_cause(cause))
        return replace(entry, state=state, cause=cause)

    def doubt(self, entry: Entry, cause: Cause) -> Entry:
        state = self._move(entry, Event.DOUBTED, "cause = ?", _cause(cause))
        self._attempt(entry, outcome="in_doubt", cause=_cause(cause))
        return replace(entry, state=state, cause=cause)

    def complete(self, entry: Entry, urls: Sequence[str], cost_usd: float | None, finished_at: float) -> Entry:
        state = self._move(entry, Event.COMPLETED)
        facts = {"urls": json.dumps(list(urls)), "finished_at": _ms(finished_at), "cost_usd": cost_usd}
        self._attempt(entry, outcome="succeeded", **facts)
        return replace(entry, state=state, urls=tuple(urls), cost_usd=cost_usd, finished_at=finished_at)

    def expire(self, entry: Entry) -> Entry:
        return replace(entry, state=self._move(entry, Event.EXPIRED), urls=())

    def fail_there(self, entry: Entry, cause: Cause, cost_usd: float | None, now: float, *, again: bool) -> Entry:
        """The service took the job up and failed it. ``again``: it goes back to be submitted, and paid, once more."""
        state = self._move(entry, Event.RETRIED if again else Event.FAILED, "cause = ?", _cause(cause))
        self._attempt(entry, outcome="failed", cause=_cause(cause), cost_usd=cost_usd, finished_at=_ms(now))
        return replace(entry, state=state, cost_usd=cost_usd, cause=cause)

    def fail_here(self, entry: Entry, cause: Cause) -> Entry:
        """It was paid for but could not be collected: ``recollect`` may still get it, free."""
        state = self._move(entry, Event.FAILED, "cause = ?", _cause(cause))
        self._attempt(entry, cause=_cause(cause))
        return replace(entry, state=state, cause=cause)

    def save(self, entry: Entry, artifacts: Sequence[Artifact]) -> tuple[Entry, list[str]]:
        """Every file is on disk. The second value lists what is odd: pictures equal to those of other requests."""
        state = self._move(entry, Event.SAVED, "cause = NULL")
        self._attempt(entry, outcome="saved", urls=None, cost_usd=entry.cost_usd)
        warnings = [self._picture(entry, artifact) for artifact in artifacts]
        return replace(entry, state=state, cause=None), [warning for warning in warnings if warning]

    def cancel(self, entry: Entry, now: float) -> Entry:
        state = self._move(entry, Event.CANCELLED)
        if entry.state is State.RUNNING:
            self._attempt(entry, outcome="cancelled", finished_at=_ms(now))
        return replace(entry, state=state)

    def reopen(self, entry: Entry) -> Entry:
        """By a person only: submit again, which may cost again."""
        return replace(entry, state=self._move(entry, Event.REOPENED, "cause = NULL"), cause=None)

    def recollect(self, entry: Entry) -> Entry:
        """By a person only: it was paid for, ask for it again."""
        return replace(entry, state=self._move(entry, Event.RECOLLECTED, "cause = NULL"), cause=None)

    def lose(self, entry: Entry, urls: Sequence[str]) -> Entry:
        """By a repair only: its files are damaged or missing. ``urls``: where they came from, empty when unknown."""
        state = self._move(entry, Event.LOST)
        self._attempt(entry, outcome="succeeded", urls=json.dumps(list(urls)))
        self.connection.execute("DELETE FROM image_data WHERE job_id = ?", (entry.id,))
        return replace(entry, state=state, urls=tuple(urls))

    def find(self, entry: Entry, artifacts: Sequence[Artifact]) -> None:
        """By a repair only: its files are on disk. ``entry``: as in the state file, with the sidecar's attempt."""
        self._move(entry, Event.FOUND, "attempts = ?, cause = NULL", entry.attempts)
        submitted = _ms(entry.submitted_at or 0.0)
        cause = _cause(Cause(kind="unknown", message="the sidecar only tells of the last attempt"))
        self.connection.executemany(
            "INSERT OR IGNORE INTO attempt_data (job_id, n, outcome, submitted_at, cause) VALUES (?, ?, ?, ?, ?)",
            [
                (entry.id, n, "saved" if n == entry.attempts else "failed", submitted, cause)
                for n in range(1, entry.attempts + 1)
            ],
        )
        finished = None if entry.finished_at is None else _ms(entry.finished_at)
        facts = {"outcome": "saved", "submitted_at": submitted, "finished_at": finished, "cause": None, "urls": None}
        self._attempt(entry, request_id=entry.request_id, cost_usd=entry.cost_usd, **facts)
        self.redescribe(entry, artifacts)

    def redescribe(self, entry: Entry, artifacts: Sequence[Artifact]) -> None:
        """By a repair only: what its files really are."""
        for artifact in artifacts:
            self._picture(entry, artifact)

    def _move(self, entry: Entry, event: Event, facts: str = "", *values: Any) -> State:
        state = advance(entry.state, event)
        cursor = self.connection.execute(
            f"UPDATE job_data SET state = ?{', ' + facts if facts else ''} WHERE id = ? AND state = ?",
            (state, *values, entry.id, entry.state),
        )
        if cursor.rowcount != 1:
            raise Defect(f"job {entry.job.key} is not {entry.state} in the state file, so it can't be {event}")
        return state

    def _attempt(self, entry: Entry, **facts: Any) -> None:
        names = ", ".join(f"{name} = ?" for name in facts)
        self.connection.execute(
            f"UPDATE attempt_data SET {names} WHERE job_id = ? AND n = ?",
            (*facts.values(), entry.id, entry.attempts),
        )

    def _picture(self, entry: Entry, artifact: Artifact) -> str | None:
        digest = bytes.fromhex(artifact.sha256)
        warning = artifact.warning or reading.twin(self.connection, entry.id, digest)
        self.connection.execute(
            "INSERT OR REPLACE INTO image_data (job_id, output_index, output_count, downloaded_at, bytes, width,"
            " height, mime, sha256, file, url, warning) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                entry.id, artifact.output_index, artifact.output_count, _ms(artifact.downloaded_at), artifact.bytes,
                artifact.width, artifact.height, self._word(artifact.mime), digest, artifact.file, artifact.url,
                warning,
            ),
        )  # fmt: skip
        return f"{artifact.file}: {warning}" if warning else None


def _is_the_disks(error: Exception) -> bool:
    """Whether everybody's work is in danger, and not only that of one call that broke a rule of the tables."""
    ours = sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError
    return isinstance(error, sqlite3.Error) and not isinstance(error, ours)


def disk_problem(error: Exception, path: Path) -> DiskError:
    """SQLite's word for what the disk did, as ours."""
    return DiskError(
        f"the state file {path} can't be written: {error}",
        hint="Everything so far is kept. Make room or give rights there, then run the same command again.",
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _cause(cause: Cause) -> str:
    facts: Mapping[str, Any] = {
        "kind": cause.kind,
        "message": cause.message,
        "http_status": cause.http_status,
        "code": cause.code,
    }
    return json.dumps({name: value for name, value in facts.items() if value is not None}, ensure_ascii=False)
