"""The state file: every job ever planned, every submit, every file, in one SQLite database. Synchronous.

A move is a guarded update, by id and present state, behind the lifecycle table: if no row matched, the table and the
file disagree, and that is a bug. All methods are for ``commit``: they ask for rows to be changed, which are in the file
once the group of calls is.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from batcher.core.errors import Cause
from batcher.core.job import Artifact, Entry, State
from batcher.core.lifecycle import Event, advance
from batcher.store import reading
from batcher.store.batch import Statement
from batcher.store.job_rows import Roster
from batcher.store.packing import MOST_HEADS, packed_file, packed_id, split_link

_BEGUN = Statement("INSERT INTO attempt_data (job_id, n, outcome, images, submitted_at) VALUES {rows}")
_VOID = Statement("DELETE FROM attempt_data WHERE (job_id, n) IN (VALUES {rows})", each_counts=True)
_LINKED = Statement("INSERT OR REPLACE INTO link_data (job_id, urls) VALUES {rows}")
_UNLINKED = Statement("DELETE FROM link_data WHERE job_id IN (VALUES {rows})")
_NO_PICTURE = Statement("DELETE FROM image_data WHERE (job_id, output_index) IN (VALUES {rows})")
_PICTURE = Statement(
    "INSERT INTO image_data (job_id, output_index, output_count, downloaded_at, bytes, width, height, mime, sha256,"
    " file, url_head, url, warning) VALUES {rows}"
)


@cache
def _moved(facts: tuple[str, ...]) -> Statement:
    """For rows of id, old state, new state and facts. (SQLite calls the columns of VALUES column1, column2, ...)"""
    sets = "".join(f", {name} = v.column{at}" for at, name in enumerate(facts, start=4))
    return Statement(
        f"UPDATE job_data SET state = v.column3{sets} FROM (VALUES {{rows}}) AS v"
        " WHERE job_data.id = v.column1 AND job_data.state = v.column2",
        each_counts=True,
    )


@cache
def _attempted(facts: tuple[str, ...]) -> Statement:
    """For rows of job, attempt and facts."""
    sets = ", ".join(f"{name} = v.column{at}" for at, name in enumerate(facts, start=3))
    return Statement(
        f"UPDATE attempt_data SET {sets} FROM (VALUES {{rows}}) AS v"
        " WHERE attempt_data.job_id = v.column1 AND attempt_data.n = v.column2"
    )


class StateFile(Roster):
    """The one writer. Open it only while holding the run lock."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._twins: list[tuple[Entry, Artifact, list[str]]] = []  # pictures to be looked up once they are in

    def claim(self, entry: Entry, now: float) -> Entry:
        """The intent, on disk before the submit leaves. ``now``: Unix seconds, as everywhere here."""
        self._be_in_place()
        attempt = entry.attempts + 1
        state = self._move(entry, Event.CLAIMED, attempts=attempt, cause=None)
        self._batch.add(_BEGUN, (entry.id, attempt, "submitting", entry.job.images, _ms(now)))
        return replace(
            entry, state=state, attempts=attempt, submitted_at=now, request_id=None, urls=(), finished_at=None,
            cost_usd=None, cause=None,
        )  # fmt: skip

    def release(self, entry: Entry) -> Entry:
        """The submit was refused before it was taken up: as if it had never been."""
        state = self._move(entry, Event.RELEASED, attempts=entry.attempts - 1)
        self._batch.add(_VOID, (entry.id, entry.attempts), ("job {} has no attempt {}", entry.job.key, entry.attempts))
        return replace(entry, state=state, attempts=entry.attempts - 1, submitted_at=None)

    def accept(self, entry: Entry, request_id: str, now: float) -> Entry:
        state = self._move(entry, Event.ACCEPTED)
        self._attempt(entry, outcome="accepted", request_id=packed_id(request_id), accepted_at=_ms(now))
        return replace(entry, state=state, request_id=request_id)

    def reject(self, entry: Entry, cause: Cause, now: float) -> Entry:
        state = self._move(entry, Event.REJECTED, cause=_cause(cause))
        self._attempt(entry, outcome="rejected", finished_at=_ms(now), cause=_cause(cause))
        return replace(entry, state=state, cause=cause)

    def doubt(self, entry: Entry, cause: Cause) -> Entry:
        state = self._move(entry, Event.DOUBTED, cause=_cause(cause))
        self._attempt(entry, outcome="in_doubt", cause=_cause(cause))
        return replace(entry, state=state, cause=cause)

    def complete(self, entry: Entry, urls: Sequence[str], cost_usd: float | None, finished_at: float) -> Entry:
        self._move(entry, Event.COMPLETED)
        self._attempt(entry, outcome="succeeded", finished_at=_ms(finished_at), cost_usd=cost_usd)
        self._batch.add(_LINKED, (entry.id, json.dumps(list(urls))))
        return completed(entry, urls, cost_usd, finished_at)

    def expire(self, entry: Entry) -> Entry:
        return replace(entry, state=self._move(entry, Event.EXPIRED), urls=())

    def fail_there(self, entry: Entry, cause: Cause, cost_usd: float | None, now: float, *, again: bool) -> Entry:
        """The service took the job up and failed it. ``again``: it goes back to be submitted, and paid, once more."""
        state = self._move(entry, Event.RETRIED if again else Event.FAILED, cause=_cause(cause))
        self._attempt(entry, outcome="failed", cause=_cause(cause), cost_usd=cost_usd, finished_at=_ms(now))
        return replace(entry, state=state, cost_usd=cost_usd, cause=cause)

    def fail_here(self, entry: Entry, cause: Cause) -> Entry:
        """It was paid for but could not be collected: ``recollect`` may still get it, free."""
        state = self._move(entry, Event.FAILED, cause=_cause(cause))
        self._attempt(entry, cause=_cause(cause))
        return replace(entry, state=state, cause=cause)

    def save(self, entry: Entry, artifacts: Sequence[Artifact]) -> tuple[Entry, list[str]]:
        """Every file is on disk. The second value lists what is odd, such as pictures equal to those of other requests:
        whole once the group is written.
        """
        state = self._move(entry, Event.SAVED, cause=None)
        self._attempt(entry, outcome="saved", cost_usd=entry.cost_usd)
        self._batch.add(_UNLINKED, (entry.id,))
        return replace(entry, state=state, cause=None), self._pictures(entry, artifacts)

    def save_at_once(self, entry: Entry, artifacts: Sequence[Artifact]) -> tuple[Entry, list[str]]:
        """``complete`` and ``save`` in one, of a first attempt: ``entry`` is ready, and running in the file."""
        state = self._move(entry, Event.SAVED, recorded=State.RUNNING, cause=None)
        finished_at = None if entry.finished_at is None else _ms(entry.finished_at)
        self._attempt(entry, outcome="saved", finished_at=finished_at, cost_usd=entry.cost_usd)
        return replace(entry, state=state, cause=None), self._pictures(entry, artifacts)

    def cancel(self, entry: Entry, now: float) -> Entry:
        state = self._move(entry, Event.CANCELLED)
        if entry.state is State.RUNNING:
            self._attempt(entry, outcome="cancelled", finished_at=_ms(now))
        return replace(entry, state=state)

    def reopen(self, entry: Entry) -> Entry:
        """By a person only: submit again, which may cost again."""
        return replace(entry, state=self._move(entry, Event.REOPENED, cause=None), cause=None)

    def recollect(self, entry: Entry) -> Entry:
        """By a person only: it was paid for, ask for it again."""
        return replace(entry, state=self._move(entry, Event.RECOLLECTED, cause=None), cause=None)

    def lose(self, entry: Entry, urls: Sequence[str]) -> Entry:
        """By a repair only: its files are damaged or missing. ``urls``: where they came from, empty when unknown."""
        state = self._move(entry, Event.LOST)
        self._attempt(entry, outcome="succeeded")
        self._batch.add(_LINKED, (entry.id, json.dumps(list(urls))))
        self.connection.execute("DELETE FROM image_data WHERE job_id = ?", (entry.id,))
        return replace(entry, state=state, urls=tuple(urls))

    def find(self, entry: Entry, artifacts: Sequence[Artifact]) -> None:
        """By a repair only: its files are on disk. ``entry``: as in the state file, with the sidecar's attempt."""
        self._move(entry, Event.FOUND, attempts=entry.attempts, cause=None)
        submitted, images = _ms(entry.submitted_at or 0.0), entry.job.images
        cause = _cause(Cause(kind="unknown", message="the sidecar only tells of the last attempt"))
        self.connection.executemany(
            "INSERT OR IGNORE INTO attempt_data (job_id, n, outcome, images, submitted_at, cause)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [
                (entry.id, n, "saved" if n == entry.attempts else "failed", images, submitted, cause)
                for n in range(1, entry.attempts + 1)
            ],
        )
        finished = None if entry.finished_at is None else _ms(entry.finished_at)
        request_id = None if entry.request_id is None else packed_id(entry.request_id)
        facts = {"outcome": "saved", "submitted_at": submitted, "finished_at": finished, "cause": None}
        self._attempt(entry, request_id=request_id, cost_usd=entry.cost_usd, **facts)
        self._batch.add(_UNLINKED, (entry.id,))
        self.redescribe(entry, artifacts)

    def redescribe(self, entry: Entry, artifacts: Sequence[Artifact]) -> None:
        """By a repair only: what its files really are."""
        for artifact in artifacts:
            self._batch.add(_NO_PICTURE, (entry.id, artifact.output_index))
        self._pictures(entry, artifacts)

    def _move(self, entry: Entry, event: Event, *, recorded: State | None = None, **facts: Any) -> State:
        """recorded: how it is in the file, where that is not the state of the entry."""
        state = advance(entry.state, event)
        if entry.id in self._moving:  # by an earlier call of this group: one after the other
            self._write()
        self._moving.add(entry.id)
        was = entry.state if recorded is None else recorded
        told = ("job {} is not {} in the state file, so it can't be {}", entry.job.key, was, event)
        self._batch.add(_moved(tuple(facts)), (entry.id, was, state, *facts.values()), told)
        return state

    def _attempt(self, entry: Entry, **facts: Any) -> None:
        self._batch.add(_attempted(tuple(facts)), (entry.id, entry.attempts, *facts.values()))

    def _pictures(self, entry: Entry, artifacts: Sequence[Artifact]) -> list[str]:
        """What is odd about them; pictures equal to others are found and told there when the group is written."""
        odd: list[str] = []
        for artifact in artifacts:
            head, rest = self._link(artifact.url, entry.request_id)
            self._batch.add(
                _PICTURE,
                (
                    entry.id, artifact.output_index, artifact.output_count, _ms(artifact.downloaded_at), artifact.bytes,
                    artifact.width, artifact.height, self._word(artifact.mime), bytes.fromhex(artifact.sha256),
                    packed_file(artifact.file, entry.path), head, rest, artifact.warning,
                ),
            )  # fmt: skip
            if artifact.warning:
                odd.append(f"{artifact.file}: {artifact.warning}")
            else:
                self._twins.append((entry, artifact, odd))
        return odd

    def before_commit(self) -> None:
        if self._twins:
            self._warn_of_twins()

    def forget(self) -> None:
        self._twins = []

    def _warn_of_twins(self) -> None:
        pictures, self._twins = self._twins, []
        numbers = [(entry.id, artifact.output_index) for entry, artifact, _ in pictures]
        found = reading.twins(self.connection, numbers)
        for entry, artifact, odd in pictures:
            warning = found.get((entry.id, artifact.output_index))
            if warning is not None:
                odd.append(f"{artifact.file}: {warning}")
                self.connection.execute(
                    "UPDATE image_data SET warning = ? WHERE job_id = ? AND output_index = ?",
                    (warning, entry.id, artifact.output_index),
                )

    def _link(self, url: str, request_id: str | None) -> tuple[int | None, str]:
        """The number of its beginning and its rest, or None and all of it."""
        parts = split_link(url, request_id)
        if parts is None or (parts[0] not in self._words and self._heads >= MOST_HEADS):
            return None, url
        self._heads += parts[0] not in self._words
        return self._word(parts[0]), parts[1]


def completed(entry: Entry, urls: Sequence[str], cost_usd: float | None, finished_at: float) -> Entry:
    """The entry once ``complete`` is written."""
    state = advance(entry.state, Event.COMPLETED)
    return replace(entry, state=state, urls=tuple(urls), cost_usd=cost_usd, finished_at=finished_at)


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
