"""A rate far above the limit is worst at the very start: what leaves within one round trip is refused.

So at first few are unanswered at once, one more with every answer (TCP's slow start). It doubles what is in the air
with every round trip, and ends at the first refusal or after a second: with quick answers it costs nothing. A service
that stores more than a second's worth is not met in it, so the first refusal comes at the full rate that was asked
for: that rate times the round trip is refused, whoever drives.
"""

import math

FIRST = 2  # unanswered at once
OPENING = 1.0  # seconds


class SlowStart:
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
