"""When the next call may start, by the requested rate and by the service's limit as learned from refusals."""

import math

from batcher.pacing.own_rate import LATE, SLACK, Starts
from batcher.pacing.service_limit import Limit

UNKNOWN = 1.0  # seconds without calls after a refusal of unknown departure, so that other calls get their answers


class Pace:
    """ceiling: starts per second, None for no limit (refusals still slow it down). rate: the current one."""

    def __init__(self, ceiling: float | None) -> None:
        self.ceiling = ceiling
        self.rate = ceiling
        self.refusals = 0
        self._starts = Starts(ceiling)
        self._limit = Limit(ceiling)

    def change(self, ceiling: float | None, now: float) -> None:
        """Set another rate during the run. The learned limit of the service is kept."""
        self.ceiling = ceiling
        self._starts.change(ceiling, now)
        self._limit.change(ceiling)
        self.rate = self._limit.pace(now, None) if self._limit.is_met else ceiling

    @property
    def interval(self) -> float:
        """Seconds between two starts at the current rate."""
        if self.rate is None:
            return 0.0
        return (1.0 + SLACK) / self.rate if self.rate == self.ceiling else 1.0 / self.rate

    @property
    def due(self) -> float:
        """When the next start is due; in the past when it is late."""
        return max(self._limit.hold, self._starts.due)

    def next_start(self, now: float) -> float:
        """The time that ``reserve`` would return, without booking it."""
        return max(now, self.due)

    def reserve(self, now: float) -> float:
        """Book one start and return its time, at or after ``now``."""
        start = self.next_start(now)
        self.rate = self._limit.pace(start, self.rate)
        late = LATE if self.rate == self.ceiling else 0.0  # a learned limit may not allow catching up
        self._starts.book(start, self.interval, late)
        self._limit.started(start)
        return start

    def refused(self, now: float, retry_after: float | None, left: float | None = None) -> None:
        """The service refused a call: slow down, and start nothing for its ``retry_after`` seconds.

        left: when the call left. If None, the last started call is assumed, and nothing starts for UNKNOWN seconds, in
        which the other calls get their answers.
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
