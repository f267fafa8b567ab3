"""When to stop submitting because the service is ill. Pure: times are arguments, in seconds on a forward clock.

A submit that ends in a gateway error may or may not have been taken up, and each such submit is a job in doubt. So
after a few in a row nothing more is submitted until a free read has been answered, and then one submit at a time until
one is taken up. An outage of an hour costs the jobs that were in the air and a handful more, not thousands.
"""

TRIP = 3  # submits in a row that got no readable answer
FIRST, LONGEST = 1.0, 60.0  # gap before the next free probe; it doubles


class CircuitBreaker:
    def __init__(self) -> None:
        self.failures = 0
        self._probe_at = float("-inf")

    @property
    def open(self) -> bool:
        """Whether submits have to wait for a probe, and go one at a time."""
        return self.failures >= TRIP

    def failed(self, now: float) -> None:
        """A submit, or a probe while open, got no readable answer."""
        self.failures += 1
        if self.open:
            self._probe_at = now + min(LONGEST, FIRST * 2.0 ** min(self.failures - TRIP, 16))

    def answered(self) -> None:
        """A submit was taken up, refused or rejected: in any case by somebody who is there."""
        self.failures = 0

    def probe_at(self, now: float) -> float:
        """When the next free probe may go out."""
        return max(now, self._probe_at)
