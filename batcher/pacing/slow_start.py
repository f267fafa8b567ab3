"""Limits unanswered calls in the first second, before the service's limit is known.

At first FIRST calls may be unanswered, one more with every answer (TCP's slow start). So their number doubles with
every round trip, until the first refusal or for a second; with quick answers it costs nothing. A service that stores
more than a second of allowance refuses nothing in that second; its first refusals come at the full requested rate, and
number about that rate times the round trip.
"""

import math

FIRST = 2  # unanswered at once
LONGEST = 1.0  # seconds of slow start


class SlowStart:
    """How many calls may be unanswered at once while the service's limit is unknown."""

    def __init__(self) -> None:
        self._allowed = FIRST
        self.unanswered = 0
        self._ends = math.inf

    def full(self, now: float, about_to_leave: int) -> bool:
        return now < self._ends and self.unanswered + about_to_leave >= self._allowed

    def left(self, now: float) -> None:
        self.unanswered += 1
        self._ends = min(self._ends, now + LONGEST)

    def answered(self) -> None:
        self.unanswered -= 1
        self._allowed += 1

    def close(self) -> None:
        """End slow start: from now on only the pace limits calls."""
        self._ends = -math.inf
