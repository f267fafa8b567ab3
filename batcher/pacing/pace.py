"""When the next call may start, by our own rate and by what refusals have taught."""

import math

from batcher.pacing.own_rate import LATE, SLACK, Starts
from batcher.pacing.service_limit import Limit

UNKNOWN = 1.0  # seconds of silence after a refusal of which nobody knows when it had left: the others come home


class Pace:
    """``ceiling`` is starts per second, or None for no limit (refusals still slow it down). ``rate``: at present."""

    def __init__(self, ceiling: float | None) -> None:
        self.ceiling = ceiling
        self.rate = ceiling
        self.refusals = 0
        self._starts = Starts(ceiling)
        self._limit = Limit(ceiling)

    def change(self, ceiling: float | None, now: float) -> None:
        """Another rate is asked for while the run goes on. What was learnt of the service's limit stays."""
        self.ceiling = ceiling
        self._starts.change(ceiling, now)
        self._limit.change(ceiling)
        self.rate = self._limit.pace(now, None) if self._limit.is_met else ceiling

    @property
    def interval(self) -> float:
        """Seconds between two starts at the present pace."""
        if self.rate is None:
            return 0.0
        return (1.0 + SLACK) / self.rate if self.rate == self.ceiling else 1.0 / self.rate

    @property
    def due(self) -> float:
        """When the next start is due; in the past when it is late."""
        return max(self._limit.hold, self._starts.due)

    def next_start(self, now: float) -> float:
        """When ``reserve`` would let a start happen, without booking it."""
        return max(now, self.due)

    def reserve(self, now: float) -> float:
        """The moment, at or after ``now``, at which one start may happen. Every call books one."""
        start = self.next_start(now)
        self.rate = self._limit.pace(start, self.rate)
        late = LATE if self.rate == self.ceiling else 0.0  # a limit we had to find may forgive nothing
        self._starts.book(start, self.interval, late)
        self._limit.started(start)
        return start

    def refused(self, now: float, retry_after: float | None, left: float | None = None) -> None:
        """The service refused a call: slow down, and start nothing before its ``retry_after`` seconds are over.

        left: when the call left. If nobody knows, it is taken for the last that did, and a second's silence sees to it
        that the others have come home.
        """
        self.refusals += 1
        silence = UNKNOWN if left is None else 0.0
        left = self._starts.last(now) if left is None else left
        before = self._starts.before(left)
        if not self._limit.is_met:
            span = left - self._starts.first() if before else 0.0
            self._limit.first(before, span, self.rate)
        self._limit.refused(now, left, before, self.rate or math.inf, retry_after or 0.0, silence)
        if self._limit.hold > now:
            self.rate = self._limit.pace(self._limit.hold, self.rate)
