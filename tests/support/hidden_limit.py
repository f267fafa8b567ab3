"""A service with a limit that nobody told us, against the pace: pure, with time as a number.

A submit leaves when the pace and the slow_start let it, late as loops are; it is judged when it arrives (calls may
overtake each other on the way), and its answer takes its time to come home.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random

from batcher.pacing import Pace, SlowStart
from tests.support.limiters import Bucket, Cells, Limit, Limiter, Places, Shared, SlidingCounter, SlidingLog, Window

Make = Callable[[Limit, Random], Limiter]

FITTED: dict[str, Make] = {  # what the constants of the pace were chosen on
    "bucket of one": lambda limit, _: Bucket(limit, 1.0),
    "bucket of a second's worth": lambda limit, _: Bucket(limit, None),
    "seconds by the clock": lambda limit, chance: Window(limit, chance.random()),
    "ten seconds by the clock": lambda limit, chance: Window(limit, chance.random(), 10.0),
}
HELD_OUT: dict[str, Make] = {  # and what they were not
    "GCRA, burst 5": lambda limit, _: Cells(limit, 5.0),
    "bucket of three seconds' worth": lambda limit, _: Bucket(limit, 3.0 * limit(0.0)),
    "minutes by the clock": lambda limit, chance: Window(limit, chance.random(), 60.0),
    "sliding log, 1 s": lambda limit, _: SlidingLog(limit, 1.0),
    "sliding log, 10 s": lambda limit, _: SlidingLog(limit, 10.0),
    "sliding counter, 1 s": lambda limit, chance: SlidingCounter(limit, 1.0, chance.random()),
    "sliding counter, 60 s": lambda limit, chance: SlidingCounter(limit, 60.0, chance.random()),
    "jobs at once, 8 s each": lambda limit, chance: Places(limit, 8.0, 0.0, chance),
    "jobs at once, 4 to 12 s each": lambda limit, chance: Places(limit, 8.0, 0.5, chance),
}


KINDS = FITTED | HELD_OUT


def made(kind: str, limit: Limit, seed: int = 5) -> Limiter:
    return KINDS[kind](limit, Random(seed))


def shared(limit: Limit, random: Random) -> Limiter:
    """Others take 0.4 of it."""
    return Shared(Bucket(limit, None), limit, 0.4, random)


@dataclass(frozen=True, slots=True)
class Way:
    """Between us and the service. All in seconds; what is random is exponential, and cut off at ten times its mean.

    lateness: of the loop, on average. trip: to the service and back, without the randomness. jitter: on the way to it.
    """

    lateness: float
    trip: float
    jitter: float


NEAR = Way(0.0006, 0.02, 0.0001)
FAR = Way(0.0006, 0.2, 0.002)
LOADED = Way(0.005, 0.3, 0.005)
WAYS = {"near": NEAR, "far": FAR, "loaded": LOADED}


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


def play(
    pace: Pace,
    service: Limiter,
    *,
    seconds: float,
    way: Way = FAR,
    says_when: bool = False,
    seed: int = 5,
    unknown: bool = False,
) -> Seen:
    """Submits without end. says_when: refusals carry Retry-After. unknown: the pace isn't told when they had left."""
    random, seen, slow_start = Random(seed), Seen(), SlowStart()
    now, number = 0.0, 0
    events: list[tuple[float, int, float, float | None]] = []  # when, number, left, wait told (None: it arrives)

    def chance(mean: float) -> float:
        return min(random.expovariate(1.0 / mean), 10.0 * mean)

    late = chance(way.lateness)
    while now < seconds:
        due = math.inf if slow_start.full(now, 0) else pace.next_start(now) + late
        if events and events[0][0] <= due:
            now, at, left, wait = heappop(events)
            if wait is None:
                wait = service.ask(now)
                (seen.refused if wait else seen.passed).append(left)
                heappush(events, (now + way.trip * random.uniform(0.4, 0.6), at, left, wait))
                continue
            slow_start.answered()
            if wait:
                slow_start.close()
                pace.refused(now, float(math.ceil(wait)) if says_when else None, None if unknown else left)
            continue
        now = pace.reserve(max(now, due))
        slow_start.left(now)
        late = chance(way.lateness)
        number += 1
        heappush(events, (now + way.trip * 0.5 + chance(way.jitter), number, now, None))
    return seen
