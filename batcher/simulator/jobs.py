"""Requests, and the queue that they wait in.

The queue has no timer: ``Line.advance(now)`` does, in order, everything that was due since the last call. So a service
with ten thousand jobs costs nothing while nobody asks, and a restarted one catches up. All times are seconds on the
service's own clock, which ``Simulator.now()`` reads; times before its start are negative.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from heapq import heappop, heappush
from typing import Any

from batcher.simulator.chance import fingerprint


class State(StrEnum):
    """The state of a request. The words in answers are those of the profile."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(slots=True)
class Request:
    """One accepted submit.

    number: from 1, in the order of acceptance. id: the request id, a UUID. accepted, started, finished: times. wait:
    seconds that it queues at least. run: seconds that it takes once it runs. outcome: a key of ``faults.OUTCOMES``, ""
    for success. cost: US dollars that it was charged, None for nothing. reads: of status and result so far.
    ended_reads: of the result since it ended. fingerprint: of model and inputs. state: as of the last look at the
    clock.
    """

    number: int
    id: str
    model: str
    inputs: Mapping[str, Any]
    accepted: float
    wait: float
    run: float
    outcome: str
    state: State = State.QUEUED
    started: float | None = None
    finished: float | None = None
    cost: float | None = None
    reads: int = 0
    ended_reads: int = 0
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        self.fingerprint = fingerprint(self.model, self.inputs)

    @property
    def ended(self) -> bool:
        return self.state in {State.FINISHED, State.FAILED, State.CANCELLED}

    def shown(self, start: float) -> dict[str, Any]:
        """As JSON data. start: Unix seconds of the start of the service's clock."""
        started, finished = (None if at is None else start + at for at in (self.started, self.finished))
        return {
            "request_id": self.id,
            "model": self.model,
            "inputs": self.inputs,
            "state": self.state.value,
            "outcome": self.outcome or "succeeded",
            "charged": self.cost is not None,
            "cost": self.cost,
            "created_at": start + self.accepted,
            "started_at": started,
            "finished_at": finished,
            "reads": self.reads,
        }


class Line:
    """The requests that wait and those that run.

    on_start: called with each request when it starts to run. peak: most requests that ran at once.
    """

    def __init__(self, on_start: Callable[[Request], None]) -> None:
        self.peak = 0
        self._on_start = on_start
        self._moment = -math.inf
        self._waiting: list[tuple[float, int]] = []  # (earliest start, number), sorted
        self._running: list[tuple[float, int]] = []  # (end, number), a heap
        self._members: dict[int, Request] = {}

    def enter(self, request: Request, now: float) -> None:
        """Adds a queued request, or one that started before a restart and goes on or has ended meanwhile."""
        if request.started is not None and request.started + request.run <= now:
            _end(request, request.started + request.run)
            return
        self._members[request.number] = request
        if request.started is None:
            insort(self._waiting, self._place(request))
        else:
            self._run(request, request.started)

    def leave(self, request: Request) -> None:
        """Removes a queued request."""
        del self._waiting[self.position(request)]
        del self._members[request.number]

    def position(self, request: Request) -> int:
        """Number of requests before a queued one."""
        return bisect_left(self._waiting, self._place(request))

    def advance(self, now: float, slots: int | None) -> None:
        """Starts and ends what is due by ``now``. slots: requests that may run at once, None for all."""
        while True:
            start = self._next_start(slots)
            end = self._running[0][0] if self._running else math.inf
            if min(start, end) > now:
                break
            self._moment = max(self._moment, min(start, end))
            if end <= start:
                self._end_one()
            else:
                self._start_one(start)
        self._moment = max(self._moment, now)

    def _place(self, request: Request) -> tuple[float, int]:
        return request.accepted + request.wait, request.number

    def _next_start(self, slots: int | None) -> float:
        if not self._waiting or (slots is not None and len(self._running) >= slots):
            return math.inf
        # With a limit, a slot may have become free after the earliest start.
        return self._waiting[0][0] if slots is None else max(self._waiting[0][0], self._moment)

    def _start_one(self, at: float) -> None:
        _, number = self._waiting.pop(0)
        request = self._members[number]
        self._run(request, at)
        self._on_start(request)

    def _run(self, request: Request, at: float) -> None:
        request.state, request.started = State.RUNNING, at
        heappush(self._running, (at + request.run, request.number))
        self.peak = max(self.peak, len(self._running))

    def _end_one(self) -> None:
        end, number = heappop(self._running)
        _end(self._members.pop(number), end)


def _end(request: Request, at: float) -> None:
    request.finished = at
    if request.outcome in {"failed", "failed_object", "failed_bare", "content_policy"}:
        request.state = State.FAILED
    elif request.outcome in {"canceled", "cancelled"}:
        request.state = State.CANCELLED
    else:
        request.state = State.FINISHED
