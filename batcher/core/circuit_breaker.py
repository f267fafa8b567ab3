"""When to pause submits because the service is failing. Pure: times are arguments, seconds on a monotonic clock.

A submit that ends in a gateway error may have been accepted, so each one puts a job in doubt. After TRIP of them in a
row nothing is submitted until a free call is answered; then one submit at a time until one is accepted. An outage
puts the submits that had no answer yet in doubt, and a handful more.
"""

TRIP = 3  # submits in a row that got no readable answer
FIRST, LONGEST = 1.0, 60.0  # seconds before the next free probe; doubles each time


class CircuitBreaker:
    """The state of the breaker for one run. failures: submits and probes in a row without a readable answer.

    Call ``failed`` or ``answered`` after each submit; while ``open``, send a free probe at ``probe_at`` first.
    """

    def __init__(self) -> None:
        self.failures = 0
        self._probe_at = float("-inf")

    @property
    def open(self) -> bool:
        """Whether submits wait for a probe and are sent one at a time."""
        return self.failures >= TRIP

    def failed(self, now: float) -> None:
        """Record that a submit, or a probe while open, got no readable answer."""
        self.failures += 1
        if self.open:
            self._probe_at = now + min(LONGEST, FIRST * 2.0 ** min(self.failures - TRIP, 16))

    def answered(self) -> None:
        """Record that the service answered a submit: it accepted, refused or rejected it."""
        self.failures = 0

    def probe_at(self, now: float) -> float:
        """When the next free probe may go out."""
        return max(now, self._probe_at)
