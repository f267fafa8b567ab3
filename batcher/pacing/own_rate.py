"""The rate that was asked for, kept to the call.

Starts are laid on a line, one every ``interval``. A start that comes late (a busy loop, a timer of whole
milliseconds, a slow disk) does not push the line back, so those after it make up for it, under one rule: *of ``rate +
1`` starts in a row (rounded down), the next is more than a second after the first*. So no second ever holds more than
``rate + 1`` of them, both its ends included, whatever the lateness. The line is ``SLACK`` slower than the rate, so
that there is room to catch up: by one start, and 0.4 %, every second.
"""

import math
from bisect import bisect_left, bisect_right

LATE = 0.2  # seconds of lateness that are made up for
SLACK = 0.004  # the line is this much slower than the rate: the room for making up
SECOND = 1.004  # seconds in which no more than the rate and one may start

KEPT = 4096  # starts that are remembered, at least


class Starts:
    """Those that were booked, in order. rate: starts per second at most, None for no bound."""

    def __init__(self, rate: float | None) -> None:
        self._times: list[float] = []
        self._forgotten = 0
        self._line = -math.inf  # where the next one is due
        self.change(rate, -math.inf)

    def change(self, rate: float | None, now: float) -> None:
        """From now on this rate; what was booked stays booked, and a start that was due far off is due sooner."""
        self._most = None if rate is None else math.floor(rate) + 1  # in any second
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
        """interval: to the next one. late: seconds behind the line that may be made up for."""
        self._line = max(self._line, start - late) + interval
        self._times.append(start)
        if len(self._times) >= 2 * self._kept:
            del self._times[: self._kept]
            self._forgotten += self._kept

    def before(self, moment: float) -> int:
        """How many there were before it, of all there ever were."""
        return self._forgotten + bisect_left(self._times, moment)

    def last(self, now: float) -> float:
        """The last that has left by now; now, where there is none."""
        at = bisect_right(self._times, now)
        return self._times[at - 1] if at else now

    def first(self) -> float:
        """The first that is remembered."""
        return self._times[0]
