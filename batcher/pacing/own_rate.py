"""Keeps starts at the requested rate: it is reached, and never exceeded by more than one start in any second.

One start is scheduled every ``interval``. A late start (a busy event loop, a timer of whole milliseconds, a slow disk)
does not move the schedule, so later starts catch up, under one rule: of any ``floor(rate) + 2`` starts in a row, the
last is more than a second after the first. So no second, both ends included, holds more than ``rate + 1`` starts,
however late they are. The schedule is ``SLACK`` slower than the rate, which leaves room to catch up by one start and
0.4 % per second.
"""

import math
from bisect import bisect_left, bisect_right

LATE = 0.2  # seconds: lateness beyond this is not caught up
SLACK = 0.004  # the schedule is slower than the rate by this share
SECOND = 1.004  # seconds in which at most rate + 1 calls may start

KEPT = 4096  # past starts to keep, at least


class Starts:
    """The booked starts, in order. rate: most starts per second, None for no limit."""

    def __init__(self, rate: float | None) -> None:
        self._times: list[float] = []
        self._forgotten = 0
        self._line = -math.inf  # when the next one is due
        self.change(rate, -math.inf)

    def change(self, rate: float | None, now: float) -> None:
        """Set the rate. Booked starts stay booked; a next start that was due far in the future is due sooner."""
        self._most = None if rate is None else math.floor(rate) + 1  # starts in any second
        self._kept = max(KEPT, self._most or 0)
        if rate is not None:
            self._line = min(self._line, max(now, self._times[-1] if self._times else -math.inf) + (1.0 + SLACK) / rate)

    @property
    def due(self) -> float:
        """When the next start is due; in the past when it is late."""
        if self._most is None or len(self._times) < self._most:
            return self._line
        return max(self._line, self._times[-self._most] + SECOND)

    def book(self, start: float, interval: float, late: float) -> None:
        """Book a start. interval: seconds to the next one. late: seconds of lateness that may be caught up."""
        self._line = max(self._line, start - late) + interval
        self._times.append(start)
        if len(self._times) >= 2 * self._kept:
            del self._times[: self._kept]
            self._forgotten += self._kept

    def before(self, moment: float) -> int:
        """Number of starts before ``moment``, of all starts ever booked."""
        return self._forgotten + bisect_left(self._times, moment)

    def last(self, now: float) -> float:
        """Time of the last start up to ``now``; ``now`` if there is none."""
        at = bisect_right(self._times, now)
        return self._times[at - 1] if at else now

    def first(self) -> float:
        """Time of the oldest start still kept."""
        return self._times[0]
