"""Looks in turn: however alike the jobs are, their looks don't come in a burst. Pure.

Every job at the service has one look booked, so N bookings of gaps that are G seconds long in the mean make N / G looks
a second. A stretch of WIDTH seconds takes at most CROWD times its share of that; who comes later gets the next stretch
with room. That delays nobody whose job was not submitted in a burst, and those that were only once: they stay apart.
"""

from collections import Counter

WIDTH = 0.05
CROWD = 2.5
ALWAYS = 4  # looks in a stretch that are never too many
MEMORY = 0.98


class Turns:
    """Times are seconds on any one clock."""

    def __init__(self) -> None:
        self._booked: Counter[int] = Counter()
        self._count = 0
        self._gaps, self._weight = 0.0, 0.0

    def book(self, now: float, wanted: float) -> float:
        """The moment at or after ``wanted`` for a look that is decided about ``now``. To be given back by ``free``."""
        self._gaps = self._gaps * MEMORY + max(wanted - now, WIDTH)
        self._weight = self._weight * MEMORY + 1.0
        self._count += 1
        room = max(ALWAYS, CROWD * WIDTH * self._count * self._weight / self._gaps)
        at = wanted
        while self._booked[int(at / WIDTH)] >= room:
            at += WIDTH
        self._booked[int(at / WIDTH)] += 1
        return at

    def free(self, at: float) -> None:
        """The look booked for ``at`` is being made, or will not be."""
        stretch = int(at / WIDTH)
        self._count -= 1
        self._booked[stretch] -= 1
        if self._booked[stretch] <= 0:
            del self._booked[stretch]
