"""Polls in turn: however alike the jobs are, their polls don't come in a burst. Pure.

Every job at the service has one poll booked, so N bookings of gaps that are G seconds long on average make N / G polls
a second. A stretch of WIDTH seconds takes at most CROWD times its share of that, or what lets all of them pass within
LATE of their gap and LATE_SECONDS, if that is more; who comes later gets the next stretch with room. That delays no job
but those submitted in one burst, and them only once: they are apart ever after.
"""

WIDTH = 0.05
CROWD = 2.2
LATE, LATE_SECONDS = 0.08, 1.0  # jobs that ended together must not wait long for their turn, however many
ALWAYS = 4  # polls in a stretch that are never too many
MEMORY = 0.98  # of the mean gap, each booking


class Turns:
    """Times are seconds on any one clock that only goes forward. booked: polls still to come."""

    def __init__(self) -> None:
        self._stretches: dict[int, int] = {}
        self.booked = 0
        self._now = 0  # the stretch before which bookings are over
        self._gaps = self._weight = 1.0

    def book(self, now: float, wanted: float, soonest: float = 0.0) -> float:
        """The moment, at or after ``wanted`` and ``soonest``, for a poll that is decided about ``now``."""
        if (current := int(now / WIDTH)) != self._now:
            self._drop_past(current)
        if wanted > now:  # a poll that is overdue tells of no gap
            self._gaps = self._gaps * MEMORY + wanted - now
            self._weight = self._weight * MEMORY + 1.0
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
