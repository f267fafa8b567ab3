"""The rate limit as arithmetic. Pure: times are arguments, in seconds on any one clock that only goes forward.

**The rate that was asked for.** Starts are laid on a line, one every ``interval``, ``SLACK`` slower than the rate. A
start that comes late (a busy loop, a timer of whole milliseconds, a slow disk) does not push the line back, so those
after it make up for it, under one rule: *of ``rate + 1`` starts in a row (rounded down), the next is more than a second
after the first*. So no second ever holds more than ``rate + 1`` of them, both its ends included, whatever the lateness.
There is room to catch up: by one start, and 0.4 %, every second.

**A limit that nobody told us** is learned from refusals (429), and each costs a call. What they tell:

* A refusal means that the allowance is used up at that moment. Between two of them the service gave just what got
  through: over ``t`` seconds ``n`` calls, so its limit is ``n / t``, if it lost nothing meanwhile because its store was
  full. What was tried when it refused is where the limit lies at most. The truth is between the two, and there the next
  try goes.
* The first refusal has nothing before it. Services hand out a second's worth at most on top of the limit, so ``n``
  calls in ``t`` seconds prove ``n / (1 + t)``. With few calls that may be far too low, and it is left quickly.
* Calls that left before the refusal was heard of belong to it: they are one *episode*, which cuts the pace once.
* An allowance that is empty and fills (a bucket) is served best by going on at the new pace, at once: nothing piles up
  unused. One that comes whole by the clock (a window) refuses that start as well, and then a second's silence helps.
  If not even that, the silence doubles and the pace halves, until something gets through.

From the dip after a refusal the pace climbs along a cubic to where the limit is taken to be (as TCP's CUBIC does, RFC
9438), so that most of the time is spent close to it. Beyond, it grows ever faster: a limit that stayed stops it soon,
one that rose a hundredfold is reached in a quarter of a minute. The climb takes three times as long with each refusal
that came where it was expected, because looking for the limit costs a call.

**The opening.** A rate far above the limit is worst at the very start: what leaves within one round trip is refused.
So at first few are unanswered at once, one more with every answer (TCP's slow start). It doubles what is in the air
with every round trip, and ends at the first refusal or after a second: with quick answers it costs nothing.
"""

import math
from collections import deque

LATE = 0.2  # seconds of lateness that are made up for
SLACK = 0.004  # the line is this much slower than the rate: the room for making up
SECOND = 1.004  # seconds in which no more than the rate and one may start

MOST_RECENT = 4096  # starts that are remembered
BETWEEN = 0.7  # of the way from what got through to what was tried: where the limit is taken to be
ABOVE = 1.35  # times what got through, at most
LEAST, LEAST_KNOWN = 0.7, 0.5  # of what was tried: cuts are no deeper, beyond the known limit and below it
DIP = 0.08  # below the limit, where the climb to it begins
SHORTEST, LONGEST = 3.0, 26.0  # seconds that the climb takes, or, where the pace is slow, as long as so many starts do:
FEWEST_STARTS, MOST_STARTS, LONGEST_EVER = 20.0, 100.0, 40.0
LONGER = 3.0  # times, when the limit was found where it was expected: within a factor of
EXPECTED = 1.25
GROWTH, QUICK_GROWTH = 6.0, 4.0  # seconds beyond the climb in which the pace grows by a factor of e
FEW = 10  # starts before the first refusal that tell little
QUIET, QUIETEST = 1.0, 64.0  # seconds of silence when the start after a refusal is refused, too
SLOWEST = 1.0 / 60.0  # starts per second: however often it is refused, it goes on asking about once a minute


class Pace:
    """``rate`` is starts per second, or None for no limit (refusals still slow it down)."""

    def __init__(self, rate: float | None) -> None:
        self.ceiling = rate
        self.rate = rate
        self.refusals = 0
        self._most = 1 if rate is None else math.floor(rate) + 1  # in any second
        self._starts: deque[float] = deque(maxlen=max(MOST_RECENT, self._most))
        self._line = -math.inf  # where the next start is due
        self._hold = -math.inf  # nothing starts before
        self._resumed = -math.inf  # when the last episode was to end: refusals of what left before belong to it
        self._silence = 0.0  # seconds, after the last refusal
        self._limit: float | None = None  # where it is taken to be, once there was a refusal
        self._empty = -math.inf  # when the last refused call left: the allowance was used up
        self._climb = SHORTEST
        self._growth = GROWTH

    @property
    def interval(self) -> float:
        """Seconds between two starts at the present pace."""
        return 0.0 if self.rate is None else (1.0 + SLACK) / self.rate

    @property
    def due(self) -> float:
        """When the next start is due; in the past when it is late."""
        due = max(self._hold, self._line)
        if self.ceiling is not None and len(self._starts) >= self._most:
            due = max(due, self._starts[-self._most] + SECOND)
        return due

    def next_start(self, now: float) -> float:
        """When ``reserve`` would let a start happen, without booking it."""
        return max(now, self.due)

    def reserve(self, now: float) -> float:
        """The moment, at or after ``now``, at which one start may happen. Every call books one."""
        start = self.next_start(now)
        self._grow(start)
        late = LATE if self.rate == self.ceiling else 0.0  # a limit we had to find may forgive nothing
        self._line = max(self._line, start - late) + self.interval
        self._starts.append(start)
        return start

    def refused(self, now: float, retry_after: float | None, left: float | None = None) -> None:
        """The service refused a call: slow down, and start nothing before its ``retry_after`` seconds are over.

        left: when the call left. If nobody knows, it is taken for the last that did, and a second's silence sees to it
        that the others have come home.
        """
        least = 0.0 if left is not None else QUIET
        if left is None:
            left = max((start for start in self._starts if start <= now), default=now)
        self.refusals += 1
        new = self._limit is None or left >= self._resumed
        if new:
            self._episode(now, left, least)
        self._empty = max(self._empty, left)
        self._hold = max(self._hold, now + (retry_after or 0.0))
        if new:
            self._resumed = self._hold

    def _episode(self, now: float, left: float, least: float) -> None:
        if self._limit is None:
            self._first(left)
            self._silence = QUIET
        elif any(self._resumed <= start < left for start in self._starts):
            self._cut(self._limit, left)
            self._silence = 0.0
        else:  # the first that dared is refused as well: it is not our pace, or that is off by far
            if self._silence:
                self._take(self._limit / 2.0, SHORTEST)
            self._silence = min(max(2.0 * self._silence, QUIET), QUIETEST)
        assert self._limit is not None
        self.rate = self._limit * (1.0 - DIP)
        self._hold = max(self._hold, now + max(self._silence, least, 1.0 / self._limit))

    def _first(self, left: float) -> None:
        passed = sum(start < left for start in self._starts)
        span = left - self._starts[0] if passed else 0.0
        proved = max(passed, 1) / (1.0 + span)
        self._growth = GROWTH if passed > FEW else QUICK_GROWTH
        self._take(proved if self.rate is None else min(proved, self.rate * (1.0 - DIP)), SHORTEST)

    def _cut(self, limit: float, left: float) -> None:
        """Sets the limit between what got through since the last refusal and what was tried at this one."""
        tried = self.rate or limit
        since = max(self._empty, self._starts[0])
        passed = sum(since < start < left for start in self._starts)
        got = min((passed + 0.5) / max(left - since, 1e-3), tried)  # one more of them would have been refused
        between = min(got + BETWEEN * (tried - got), ABOVE * got)
        found = max(between, tried * (LEAST if tried > limit else LEAST_KNOWN))
        expected = limit / EXPECTED < found < limit * EXPECTED
        self._growth = GROWTH
        self._take(found, max(self._climb * LONGER if expected else SHORTEST, FEWEST_STARTS / found))

    def _take(self, limit: float, climb: float) -> None:
        self._limit = max(limit, SLOWEST if self.ceiling is None else min(SLOWEST, self.ceiling))
        self._climb = min(climb, max(LONGEST, MOST_STARTS / self._limit), LONGEST_EVER)

    def _grow(self, now: float) -> None:
        if self._limit is None or self.rate == self.ceiling:
            return
        beyond = now - self._hold - self._climb
        if beyond < 0.0:
            rate = self._limit * (1.0 - DIP * (-beyond / self._climb) ** 3)
        else:
            rate = self._limit * math.exp(min((beyond / self._growth) ** 2, 64.0))
        self.rate = rate if self.ceiling is None else min(rate, self.ceiling)


FIRST = 2  # unanswered at once
OPENING = 1.0  # seconds


class Opening:
    """How many calls may be unanswered at once, before anything is known of the service."""

    def __init__(self) -> None:
        self._allowed = FIRST
        self.unanswered = 0
        self._ends = math.inf

    def full(self, now: float, about_to_leave: int) -> bool:
        return now < self._ends and self.unanswered + about_to_leave >= self._allowed

    def left(self, now: float) -> None:
        self.unanswered += 1
        self._ends = min(self._ends, now + OPENING)

    def answered(self) -> None:
        self.unanswered -= 1
        self._allowed += 1

    def close(self) -> None:
        """From now on the pace alone decides."""
        self._ends = -math.inf
