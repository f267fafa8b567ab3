"""A request as the service knows it, and the line it stands in.

The line moves only when somebody looks: ``Line.advance(now)`` plays back, in order, everything that should have
happened since the last look. So a service with ten thousand jobs holds no timer, and a restarted one catches up.
All times are seconds on the service's own clock, which ``Simulator.now()`` reads; before its start they are negative.
"""

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from heapq import heappop, heappush
from typing import Any

from batcher.simulator.chance import fingerprint


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(slots=True, kw_only=True)
class Request:
    """One accepted submit.

    outcome: a key of ``faults.OUTCOMES``, or "" for a good end.
    wait, run: seconds it queues at least, and takes once it runs. reads: status and result reads so far; ended_reads:
    result reads since it ended.
    """

    number: int
    id: str
    model: str
    inputs: Mapping[str, Any]
    fingerprint: str
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

    @classmethod
    def planned(
        cls, number: int, id_: str, model: str, inputs: Mapping[str, Any], accepted: float, plan: Sequence[Any]
    ) -> "Request":
        """plan: wait, run and outcome."""
        wait, run, outcome = plan
        return cls(
            number=number, id=id_, model=model, inputs=inputs, fingerprint=fingerprint(model, inputs),
            accepted=accepted, wait=wait, run=run, outcome=outcome,
        )  # fmt: skip

    @property
    def ended(self) -> bool:
        return self.state in {State.FINISHED, State.FAILED, State.CANCELLED}

    def shown(self, start: float) -> dict[str, Any]:
        """As JSON data. start: the wall time that this request's times count from."""
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
    """Who waits and who runs. ``slots`` None means that nobody has to wait for another."""

    def __init__(self, on_start: Callable[[Request], None]) -> None:
        self.peak = 0
        self._on_start = on_start
        self._moment = -math.inf
        self._waiting: list[tuple[float, int]] = []  # (earliest start, number), sorted
        self._running: list[tuple[float, int]] = []  # (end, number), a heap
        self._members: dict[int, Request] = {}

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> int:
        return len(self._running)

    def enter(self, request: Request, now: float) -> None:
        """Queued requests join the end; one that started before a restart goes on, or has ended meanwhile."""
        if request.started is not None and request.started + request.run <= now:
            _end(request, request.started + request.run)
            return
        self._members[request.number] = request
        if request.started is None:
            insort(self._waiting, self._place(request))
        else:
            self._run(request, request.started)

    def leave(self, request: Request) -> None:
        """Give up a queued request's place."""
        del self._waiting[self.position(request)]
        del self._members[request.number]

    def position(self, request: Request) -> int:
        """How many are before it."""
        return bisect_left(self._waiting, self._place(request))

    def advance(self, now: float, slots: int | None) -> None:
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
        # With a limit on slots a place may have become free after the earliest start.
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
