"""Spreads polls out, so that similar jobs are not polled in a burst. Pure.

Every job at the service has one poll booked, so N bookings of gaps that are G seconds long on average make N / G polls
a second. A slot of WIDTH seconds takes at most CROWD times its share of that, or more if polls would otherwise be
later than LATE of their gap and LATE_SECONDS; further polls get the next slot with room. Only jobs submitted in one
burst are delayed, and only once: afterwards their polls are apart.
"""

WIDTH = 0.05
CROWD = 2.2
LATE, LATE_SECONDS = 0.08, 1.0  # limits the delay of jobs that ended together
ALWAYS = 4  # polls that a slot always takes
DECAY = 0.98  # of the mean gap, with each booking


class Turns:
    """Times are seconds on any one clock that only goes forward. booked: polls still to come."""

    def __init__(self) -> None:
        self._stretches: dict[int, int] = {}
        self.booked = 0
        self._now = 0  # the first slot that is not over
        self._gaps = self._weight = 1.0

    def book(self, now: float, wanted: float, soonest: float = 0.0) -> float:
        """The time of a poll, at or after ``wanted`` and ``soonest``. now: when it is booked."""
        if (current := int(now / WIDTH)) != self._now:
            self._drop_past(current)
        if wanted > now:  # an overdue poll has no gap to learn
            self._gaps = self._gaps * DECAY + wanted - now
            self._weight = self._weight * DECAY + 1.0
        wanted = max(wanted, soonest)
        self.booked += 1
        gap = self._gaps / self._weight
        room = max(ALWAYS, WIDTH * self.booked * max(CROWD / gap, 1.0 / (LATE * gap + LATE_SECONDS)))
        stretch = int(wanted / WIDTH)
        late = 0
        while self._stretches.get(stretch + late, 0) >= room:
            late += 1
        self._stretches[stretch + late] = self._stretches.get(stretch + late, 0) + 1
        return wanted + late * WIDTH

    def _drop_past(self, now: int) -> None:
        passed = range(self._now, now)
        for stretch in passed if len(passed) < len(self._stretches) else [at for at in self._stretches if at < now]:
            self.booked -= self._stretches.pop(stretch, 0)
        self._now = now
