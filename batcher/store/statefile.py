"""The state file: every job ever planned, every submit, every file, in one SQLite database. Synchronous.

A move is a guarded update, by id and present state, behind the lifecycle table. If no row matched, another process
(``retry``, ``cancel``) was quicker: ``Overtaken``. All methods are for ``commit``.
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
    """The moves. Each returns the job as it is then."""

    def changed_elsewhere(self) -> bool:
        """Whether another process has written to the file since this was last asked, or since it was opened."""
        before, (self._version,) = self._version, self.connection.execute("PRAGMA data_version").fetchone()
        return bool(before != self._version)

    def claim(self, entry: Entry, now: float) -> Entry:
        """The intent, on disk before the submit leaves. ``now``: Unix seconds, as everywhere here."""
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
        """The submit was refused before it was taken up: as if it had never been."""
        before = entry.attempts - 1
        self._move(entry, Event.RELEASED, attempts=before, submitted_at=None, outcome=None)
        if before:
            self.connection.execute(_COMES_BACK, (entry.id, before))
            self.connection.execute("DELETE FROM past_attempts WHERE job_id = ? AND n = ?", (entry.id, before))
        return reading.by_id(self.connection, entry.id)

    def accept(self, entry: Entry, request_id: str, now: float) -> Entry:
        """IN_DOUBT when another submit was given the same id: one of the two has no picture of its own."""
        if reading.is_taken(self.connection, request_id, entry.id):
            message = f"the service gave the request id {request_id} to another submit already"
            return self.doubt(entry, Cause(kind="duplicate_id", message=message))
        state = self._move(entry, Event.ACCEPTED, outcome="accepted", request_id=request_id, accepted_at=utc(now))
        return replace(entry, state=state, request_id=request_id)

    def reject(self, entry: Entry, cause: Cause, now: float) -> Entry:
        state = self._move(entry, Event.REJECTED, outcome="rejected", finished_at=utc(now), **_facts(cause))
        return replace(entry, state=state, finished_at=now, cause=cause)

    def doubt(self, entry: Entry, cause: Cause) -> Entry:
        state = self._move(entry, Event.DOUBTED, outcome="in_doubt", **_facts(cause))
        return replace(entry, state=state, cause=cause)

    def complete(self, entry: Entry, urls: Sequence[str], cost_usd: float | None, finished_at: float) -> Entry:
        links = json.dumps(list(urls))
        state = self._move(
            entry, Event.COMPLETED, outcome="succeeded", finished_at=utc(finished_at), cost_usd=cost_usd, urls=links
        )
        return replace(entry, state=state, urls=tuple(urls), cost_usd=cost_usd, finished_at=finished_at)

    def expire(self, entry: Entry) -> Entry:
        return replace(entry, state=self._move(entry, Event.EXPIRED, urls=None), urls=())

    def fail_there(self, entry: Entry, cause: Cause, cost_usd: float | None, now: float, *, again: bool) -> Entry:
        """The service took the job up and failed it. ``again``: it goes back to be submitted, and paid, once more."""
        event = Event.RETRIED if again else Event.FAILED
        facts = {"outcome": "failed", "cost_usd": cost_usd, "finished_at": utc(now), "urls": None}
        state = self._move(entry, event, **facts, **_facts(cause))
        return replace(entry, state=state, cost_usd=cost_usd, finished_at=now, urls=(), cause=cause)

    def fail_here(self, entry: Entry, cause: Cause) -> Entry:
        """It was paid for but could not be collected: ``recollect`` may still get it, free."""
        return replace(entry, state=self._move(entry, Event.FAILED, **_facts(cause)), cause=cause)

    def save(self, entry: Entry, artifacts: Sequence[Artifact]) -> tuple[Entry, list[str]]:
        """Every file is on disk. The second value lists what is odd: pictures equal to those of other requests, say."""
        state = self._move(entry, Event.SAVED, outcome="saved", urls=None, **_NO_CAUSE)
        return replace(entry, state=state, urls=(), cause=None), self._pictures(entry, artifacts)

    def cancel(self, entry: Entry, now: float) -> Entry:
        at_service = entry.state is State.RUNNING
        facts = {"outcome": "cancelled", "finished_at": utc(now)} if at_service else {}
        state = self._move(entry, Event.CANCELLED, **facts)
        return replace(entry, state=state, finished_at=now if facts else entry.finished_at)

    def reopen(self, entry: Entry) -> Entry:
        """By a person only: submit again, which may cost again. Why it failed stays on record with that attempt."""
        return replace(entry, state=self._move(entry, Event.REOPENED))

    def recollect(self, entry: Entry) -> Entry:
        """By a person only: it was paid for, ask for it again."""
        return replace(entry, state=self._move(entry, Event.RECOLLECTED, **_NO_CAUSE), cause=None)

    def lose(self, entry: Entry, artifacts: Sequence[Artifact]) -> Entry:
        """Its files are damaged or missing: READY to be fetched again, or RUNNING where a link is not on record.

        artifacts: as the state file has them.
        """
        whole = bool(artifacts) and len(artifacts) == artifacts[0].output_count
        urls = tuple(artifact.url for artifact in artifacts) if whole else ()
        state = self._move(entry, Event.LOST, outcome="succeeded", urls=json.dumps(urls))
        self.connection.execute("DELETE FROM images WHERE job_id = ?", (entry.id,))
        lost = replace(entry, state=state, urls=urls)
        return lost if whole else self.expire(lost)

    def find(self, entry: Entry, artifacts: Sequence[Artifact]) -> Entry:
        """Its files are on disk. ``entry``: as in the state file, with the sidecar's attempt.

        The sidecar tells of that attempt alone: what the file knows of others stays, and those that it does not know
        are taken for failed.
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
        """By a repair only: what its files really are."""
        self.outdate_tables()
        self._pictures(entry, artifacts)

    def _move(self, entry: Entry, event: Event, **facts: Any) -> State:
        """Raises Defect for a move that is not in the table, Overtaken when the job is in another state by now."""
        state = advance(entry.state, event)
        self.outdate_tables()
        values = (str(state), *facts.values(), entry.id, str(entry.state))
        if self.connection.execute(_update(tuple(facts)), values).rowcount != 1:
            raise Overtaken(f"job {entry.job.key} is not {entry.state} in the state file, so it can't be {event}")
        return state

    def _pictures(self, entry: Entry, artifacts: Sequence[Artifact]) -> list[str]:
        """What is odd about them."""
        odd: list[str] = []
        for artifact in artifacts:
            warning = artifact.warning or reading.twin(self.connection, entry, artifact.sha256)
            self.connection.execute(_IMAGE, image_row(entry, replace(artifact, warning=warning)))
            if warning:
                odd.append(f"{artifact.file}: {warning}")
        return odd


@lru_cache(maxsize=64)
def _update(facts: tuple[str, ...]) -> str:
    sets = "".join(f", {name} = ?" for name in facts)
    return f"UPDATE jobs SET state = ?{sets} WHERE id = ? AND state = ?"


def _facts(cause: Cause) -> dict[str, Any]:
    return {"cause": cause.kind, "message": cause.message, "http_status": cause.http_status, "code": cause.code}
