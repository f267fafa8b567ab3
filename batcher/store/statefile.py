"""The moves of a job. Each method is one move; call it through ``Transactions.commit`` or ``CommitQueue.durable``.

A move must be in the table of ``core/lifecycle.py``. It updates the row by id *and* present state, so it can't undo
what another process (``retry``, ``cancel``) did meanwhile: then no row matches, and the move raises Overtaken.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from msgspec.structs import replace

from batcher.core.errors import Cause, Overtaken
from batcher.core.job import Artifact, Entry, State, utc
from batcher.core.lifecycle import Event, advance
from batcher.store import reading
from batcher.store.job_rows import JobRows
from batcher.store.rows import image_row
from batcher.store.schema import NEWEST

_NO_ATTEMPT = dict.fromkeys(
    ("request_id", "accepted_at", "finished_at", "cost_usd", "urls", "cause", "message", "http_status", "code")
)
_NO_CAUSE = dict.fromkeys(("cause", "message", "http_status", "code"))
_PAST = f"job_id, n, {NEWEST}"
_KEEP = (
    f"INSERT OR IGNORE INTO past_attempts ({_PAST}) SELECT id, ?2, {NEWEST} FROM jobs WHERE id = ?1 AND attempts > 0"
)
_ATTEMPT_BEFORE = f"SELECT {NEWEST} FROM past_attempts WHERE job_id = ?1 AND n = ?2"
_COMES_BACK = f"UPDATE jobs SET ({NEWEST}) = ({_ATTEMPT_BEFORE}) WHERE id = ?1"
_IMAGE = f"INSERT OR REPLACE INTO images VALUES ({', '.join('?' * 12)})"


class StateFile(JobRows):
    """The moves. Each takes a job as the caller has it and returns it as it is afterwards.

    Each raises Overtaken if the job is in another state by now, and Defect for a move that the lifecycle forbids.
    Times are Unix seconds.
    """

    def changed_elsewhere(self) -> bool:
        """Whether another process has written to the file since the last call, or since it was opened."""
        before, (self._version,) = self._version, self.connection.execute("PRAGMA data_version").fetchone()
        return bool(before != self._version)

    def claim(self, entry: Entry, now: float) -> Entry:
        """Record the intent to submit: it must be on disk before the submit leaves."""
        self.check_in_place()
        if entry.attempts:
            self.connection.execute(_KEEP, (entry.id, entry.attempts))
        attempt = entry.attempts + 1
        facts = {"attempts": attempt, "outcome": "submitting", "submitted_at": utc(now), "images": entry.job.images}
        state = self._move(entry, Event.CLAIMED, **facts, **_NO_ATTEMPT)
        return replace(
            entry, state=state, attempts=attempt, submitted_at=now, request_id=None, urls=(), finished_at=None,
            cost_usd=None, cause=None,
        )  # fmt: skip

    def release(self, entry: Entry) -> Entry:
        """The submit was refused or not sent: the job is as it was before ``claim``."""
        before = entry.attempts - 1
        self._move(entry, Event.RELEASED, attempts=before, submitted_at=None, outcome=None)
        if before:
            self.connection.execute(_COMES_BACK, (entry.id, before))
            self.connection.execute("DELETE FROM past_attempts WHERE job_id = ? AND n = ?", (entry.id, before))
        return reading.by_id(self.connection, entry.id)

    def accept(self, entry: Entry, request_id: str, now: float) -> Entry:
        """Record the request id. IN_DOUBT if another submit has the same id: one of the two has no image of its own."""
        if reading.is_taken(self.connection, request_id, entry.id):
            message = f"the service gave the request id {request_id} to another submit already"
            return self.doubt(entry, Cause(kind="duplicate_id", message=message))
        state = self._move(entry, Event.ACCEPTED, outcome="accepted", request_id=request_id, accepted_at=utc(now))
        return replace(entry, state=state, request_id=request_id)

    def reject(self, entry: Entry, cause: Cause, now: float) -> Entry:
        """The service rejected the submit, free of charge."""
        state = self._move(entry, Event.REJECTED, outcome="rejected", finished_at=utc(now), **_facts(cause))
        return replace(entry, state=state, finished_at=now, cause=cause)

    def doubt(self, entry: Entry, cause: Cause) -> Entry:
        """It is unknown whether the service accepted the submit."""
        state = self._move(entry, Event.DOUBTED, outcome="in_doubt", **_facts(cause))
        return replace(entry, state=state, cause=cause)

    def complete(self, entry: Entry, urls: Sequence[str], cost_usd: float | None, finished_at: float) -> Entry:
        """The job finished: record the links of its files."""
        state = self._move(
            entry, Event.COMPLETED, outcome="succeeded", finished_at=utc(finished_at), cost_usd=cost_usd,
            urls=json.dumps(urls),
        )  # fmt: skip
        return replace(entry, state=state, urls=tuple(urls), cost_usd=cost_usd, finished_at=finished_at)

    def expire(self, entry: Entry) -> Entry:
        """A link stopped working: ask for the result again, free."""
        return replace(entry, state=self._move(entry, Event.EXPIRED, urls=None), urls=())

    def fail_there(self, entry: Entry, cause: Cause, cost_usd: float | None, now: float, *, again: bool) -> Entry:
        """The service accepted the job and failed it. again: submit it once more, which costs again."""
        event = Event.RETRIED if again else Event.FAILED
        facts = {"outcome": "failed", "cost_usd": cost_usd, "finished_at": utc(now), "urls": None}
        state = self._move(entry, event, **facts, **_facts(cause))
        return replace(entry, state=state, cost_usd=cost_usd, finished_at=now, urls=(), cause=cause)

    def fail_here(self, entry: Entry, cause: Cause) -> Entry:
        """Its result was paid for but could not be fetched; ``recollect`` may still get it, free."""
        return replace(entry, state=self._move(entry, Event.FAILED, **_facts(cause)), cause=cause)

    def save(self, entry: Entry, artifacts: Sequence[Artifact]) -> tuple[Entry, list[str]]:
        """Every file is on disk. Also returns warnings, one line each: about equal bytes for different inputs, say."""
        state = self._move(entry, Event.SAVED, outcome="saved", urls=None, **_NO_CAUSE)
        return replace(entry, state=state, urls=(), cause=None), self._put_images(entry, artifacts)

    def cancel(self, entry: Entry, now: float) -> Entry:
        """The service confirmed the cancellation, or the job was never submitted."""
        at_service = entry.state is State.RUNNING
        facts = {"outcome": "cancelled", "finished_at": utc(now)} if at_service else {}
        state = self._move(entry, Event.CANCELLED, **facts)
        return replace(entry, state=state, finished_at=now if facts else entry.finished_at)

    def reopen(self, entry: Entry) -> Entry:
        """Decided by a person: submit again, which may cost again. The cause stays recorded with the last attempt."""
        return replace(entry, state=self._move(entry, Event.REOPENED))

    def recollect(self, entry: Entry) -> Entry:
        """Decided by a person: ask for the result that is paid for again, free."""
        return replace(entry, state=self._move(entry, Event.RECOLLECTED, **_NO_CAUSE), cause=None)

    def lose(self, entry: Entry, artifacts: Sequence[Artifact]) -> Entry:
        """Its files are damaged or missing: READY, or RUNNING if a link is not recorded.

        artifacts: as recorded.
        """
        whole = bool(artifacts) and len(artifacts) == artifacts[0].output_count
        urls = tuple(artifact.url for artifact in artifacts) if whole else ()
        state = self._move(entry, Event.LOST, outcome="succeeded", urls=json.dumps(urls))
        self.connection.execute("DELETE FROM images WHERE job_id = ?", (entry.id,))
        lost = replace(entry, state=state, urls=urls)
        return lost if whole else self.expire(lost)

    def find(self, entry: Entry, artifacts: Sequence[Artifact]) -> Entry:
        """Its files are on disk, whatever its state. entry: as recorded, with the attempt of the sidecar.

        A sidecar describes one attempt. Recorded attempts besides that one are kept; those without a record count as
        failed.
        """
        ours = reading.by_id(self.connection, entry.id).attempts
        theirs, newest = entry.attempts, max(entry.attempts, ours)
        if ours and ours != theirs:
            self.connection.execute("DELETE FROM past_attempts WHERE job_id = ? AND n = ?", (entry.id, theirs))
            self.connection.execute(_KEEP, (entry.id, min(ours, theirs)))
        self.connection.executemany(
            "INSERT OR IGNORE INTO past_attempts (job_id, n, outcome, images, submitted_at, cause, message)"
            " VALUES (?, ?, 'failed', ?, ?, 'unknown', 'the sidecar only tells of the last attempt')",
            [(entry.id, n, entry.job.images, utc(entry.submitted_at)) for n in range(1, newest)],
        )
        facts = {
            "outcome": "saved", "attempts": newest, "images": entry.job.images, "request_id": entry.request_id,
            "submitted_at": utc(entry.submitted_at), "finished_at": utc(entry.finished_at), "cost_usd": entry.cost_usd,
            "accepted_at": None, "urls": None,
        }  # fmt: skip
        state = self._move(entry, Event.FOUND, **facts, **_NO_CAUSE)
        self.redescribe(entry, artifacts)
        return replace(entry, state=state, attempts=newest, urls=(), cause=None)

    def redescribe(self, entry: Entry, artifacts: Sequence[Artifact]) -> None:
        """By a repair: record what its files really are."""
        self.outdate_tables()
        self._put_images(entry, artifacts)

    def _move(self, entry: Entry, event: Event, **facts: Any) -> State:
        """Change the state and the columns ``facts``. Raises Defect, Overtaken."""
        state = advance(entry.state, event)
        self.outdate_tables()
        values = (str(state), *facts.values(), entry.id, str(entry.state))
        if self.connection.execute(_update(tuple(facts)), values).rowcount != 1:
            raise Overtaken(f"job {entry.job.key} is not {entry.state} in the state file, so it can't be {event}")
        return state

    def _put_images(self, entry: Entry, artifacts: Sequence[Artifact]) -> list[str]:
        """Record files. Returns their warnings."""
        warnings: list[str] = []
        for artifact in artifacts:
            warning = artifact.warning or reading.twin(self.connection, entry, artifact.sha256)
            self.connection.execute(_IMAGE, image_row(entry, replace(artifact, warning=warning)))
            if warning:
                warnings.append(f"{artifact.file}: {warning}")
        return warnings


@lru_cache(maxsize=64)
def _update(facts: tuple[str, ...]) -> str:
    sets = "".join(f", {name} = ?" for name in facts)
    return f"UPDATE jobs SET state = ?{sets} WHERE id = ? AND state = ?"


def _facts(cause: Cause) -> dict[str, Any]:
    return {"cause": cause.kind, "message": cause.message, "http_status": cause.http_status, "code": cause.code}
