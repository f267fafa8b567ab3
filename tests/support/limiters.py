"""Ways in which services limit a rate. ``ask(now)`` is 0 when a call may pass, else the seconds until one may.

A token bucket, a leaky bucket used as a meter, and the generic cell rate algorithm (GCRA) are one thing in three
notations; so are a fixed window of width w and a store of w seconds' worth that is filled all at once.
"""

import math
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Protocol

Limit = Callable[[float], float]  # calls per second, by the time


class Limiter(Protocol):
    def ask(self, now: float) -> float: ...


class Bucket:
    """``most``: calls that pile up while nobody asks; None for as many as a second gives."""

    def __init__(self, limit: Limit, most: float | None) -> None:
        self._limit, self._most = limit, most
        self._held = self._room(0.0)
        self._at = 0.0

    def ask(self, now: float) -> float:
        limit = self._limit(now)
        self._held = min(self._room(now), self._held + (now - self._at) * limit)
        self._at = now
        if self._held >= 1.0 - 1e-9:
            self._held -= 1.0
            return 0.0
        return (1.0 - self._held) / max(limit, 1e-3)

    def _room(self, now: float) -> float:
        return max(1.0, self._limit(now)) if self._most is None else self._most


class Cells:
    """GCRA: a theoretical arrival time that calls may be ahead of by ``burst - 1`` intervals."""

    def __init__(self, limit: Limit, burst: float) -> None:
        self._limit, self._burst = limit, burst
        self._expected = 0.0

    def ask(self, now: float) -> float:
        interval = 1.0 / max(self._limit(now), 1e-3)
        early = max(self._expected, now) - (self._burst - 1.0) * interval - now
        if early > 1e-9:
            return early
        self._expected = max(self._expected, now) + interval
        return 0.0


class Window:
    """So many in each window by the clock, of ``width`` seconds. phase: where in a window it is at 0, of its width."""

    def __init__(self, limit: Limit, phase: float, width: float = 1.0) -> None:
        self._limit, self._phase, self._width = limit, phase, width
        self._number, self._count = -1, 0

    def ask(self, now: float) -> float:
        place = now / self._width + self._phase
        number = math.floor(place)
        if number != self._number:
            self._number, self._count = number, 0
        if self._count < self._limit(now) * self._width - 1e-9:
            self._count += 1
            return 0.0
        return (number + 1 - place) * self._width


class SlidingLog:
    """So many in any window of ``width`` seconds; every call is remembered."""

    def __init__(self, limit: Limit, width: float) -> None:
        self._limit, self._width = limit, width
        self._log: deque[float] = deque()

    def ask(self, now: float) -> float:
        while self._log and self._log[0] <= now - self._width:
            self._log.popleft()
        if len(self._log) < self._limit(now) * self._width - 1e-9:
            self._log.append(now)
            return 0.0
        return self._log[0] + self._width - now


class SlidingCounter:
    """Two counters: this window's, and the last one's by how much of it the sliding window still covers."""

    def __init__(self, limit: Limit, width: float, phase: float) -> None:
        self._limit, self._width, self._phase = limit, width, phase
        self._number, self._count, self._before = 0, 0, 0

    def ask(self, now: float) -> float:
        place = now / self._width + self._phase
        number = math.floor(place)
        if number != self._number:
            self._before = self._count if number == self._number + 1 else 0
            self._number, self._count = number, 0
        room = self._limit(now) * self._width - self._before * (number + 1 - place) - self._count
        if room >= 1.0 - 1e-9:
            self._count += 1
            return 0.0
        return min(1.0, (1.0 - room) / max(self._limit(now), 1e-3))


class Places:
    """So many jobs at once, whatever the rate: a call passes when a place is free, and holds it for ``seconds``."""

    def __init__(self, limit: Limit, seconds: float, spread: float, random: Random) -> None:
        self._limit, self._seconds, self._spread, self._random = limit, seconds, spread, random
        self._ends: list[float] = []

    def ask(self, now: float) -> float:
        while self._ends and self._ends[0] <= now:
            heappop(self._ends)
        if len(self._ends) < self._limit(now) * self._seconds - 1e-9:
            long = self._seconds * (1.0 + self._spread * self._random.uniform(-1.0, 1.0))
            heappush(self._ends, now + long)
            return 0.0
        return self._ends[0] - now


class Shared:
    """A limiter that others use as well: they ask at random, ``share`` of the limit on average, and don't try again."""

    def __init__(self, limiter: Limiter, limit: Limit, share: float, random: Random) -> None:
        self._limiter, self._limit, self._share, self._random = limiter, limit, share, random
        self._next = 0.0

    def ask(self, now: float) -> float:
        while self._next <= now:
            self._limiter.ask(self._next)
            self._next += self._random.expovariate(self._share * self._limit(self._next))
        return self._limiter.ask(now)
