"""A service with a limit that nobody told us, against the pace: pure, with time as a number.

A submit leaves when the pace and the opening let it (a little late, as loops are), is judged half a millisecond to a
millisecond later, and its answer comes home one round trip after it left.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random
from typing import Literal

from batcher.pace import Opening, Pace

Kind = Literal["one", "second", "window"]
KINDS: dict[Kind, str] = {
    "one": "a bucket that holds one call",
    "second": "a bucket that holds a second's worth",
    "window": "seconds by the clock",
}
Limit = Callable[[float], float]  # calls per second, by the time


class Bucket:
    """``most``: calls that pile up while nobody asks; None for as many as a second gives."""

    def __init__(self, limit: Limit, most: float | None) -> None:
        self._limit, self._most = limit, most
        self._held = self._room(0.0)
        self._at = 0.0

    def ask(self, now: float) -> float:
        """0 when the call may pass, else the seconds until one may."""
        limit = self._limit(now)
        self._held = min(self._room(now), self._held + (now - self._at) * limit)
        self._at = now
        if self._held >= 1.0 - 1e-9:
            self._held -= 1.0
            return 0.0
        return (1.0 - self._held) / max(limit, 1e-3)

    def _room(self, now: float) -> float:
        return max(1.0, self._limit(now)) if self._most is None else self._most


class Window:
    """So many in each second by the clock. phase: where in a second it is at 0."""

    def __init__(self, limit: Limit, phase: float) -> None:
        self._limit, self._phase = limit, phase
        self._second, self._count = -1, 0

    def ask(self, now: float) -> float:
        second = math.floor(now + self._phase)
        if second != self._second:
            self._second, self._count = second, 0
        if self._count < self._limit(now):
            self._count += 1
            return 0.0
        return second + 1 - now - self._phase


@dataclass
class Seen:
    """When the calls left that passed, and those that were refused."""

    passed: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    @staticmethod
    def between(times: list[float], start: float, end: float) -> list[float]:
        return [time for time in times if start <= time < end]

    def rate(self, start: float, end: float) -> float:
        return len(self.between(self.passed, start, end)) / (end - start)

    def refused_share(self, start: float, end: float, calls_each: float = 1.0) -> float:
        """calls_each: API calls that one job makes in all, its submit included."""
        refused = len(self.between(self.refused, start, end))
        return refused / max(1.0, refused + calls_each * len(self.between(self.passed, start, end)))


def gate(kind: Kind, limit: Limit, phase: float) -> Bucket | Window:
    return Window(limit, phase) if kind == "window" else Bucket(limit, 1.0 if kind == "one" else None)


def play(
    pace: Pace,
    service: Bucket | Window,
    *,
    seconds: float,
    round_trip: float = 0.2,
    says_when: bool = False,
    seed: int = 5,
    unknown: bool = False,
) -> Seen:
    """Submits without end. says_when: refusals carry Retry-After. unknown: the pace isn't told when they had left."""
    random, seen, opening = Random(seed), Seen(), Opening()
    now, number = 0.0, 0
    coming: list[tuple[float, int, float, bool, float | None]] = []  # home, number, left, refused, Retry-After
    while now < seconds:
        due = math.inf if opening.full(now, 0) else pace.next_start(now)
        due += min(random.expovariate(1 / 0.0006), 0.01)
        if coming and coming[0][0] <= due:
            home, _, left, refused, after = heappop(coming)
            now = max(now, home)
            opening.answered()
            if refused:
                opening.close()
                pace.refused(now, after, None if unknown else left)
            continue
        now = pace.reserve(max(now, due))
        opening.left(now)
        wait = service.ask(now + 0.0005 * (1.0 + random.random()))
        (seen.refused if wait else seen.passed).append(now)
        after = float(math.ceil(wait)) if wait and says_when else None
        number += 1
        heappush(coming, (now + round_trip * random.uniform(0.8, 1.2), number, now, wait > 0.0, after))
    return seen
