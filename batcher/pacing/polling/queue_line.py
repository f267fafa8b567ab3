"""How fast the service's line moves, and how long it is, from the places of our own jobs in it. Pure.

The speed comes from the places of the same job at two times. A new job stands behind the job submitted last that was
seen in line: before that one should begin, most new jobs are not asked about, and one in SCOUT_EVERY is asked about as
if there were no line, to see what has become of it.
"""

MEMORY = 0.95  # of what was seen, each time a place is seen again
SCOUT_EVERY = 8
EARLY = 0.9  # of a wait, after which a job is taken to have begun: the line may move faster
FURTHEST = 30.0  # seconds, or as long as the job has waited, whichever is more: places may mean nothing


class Line:
    """Shared by all jobs: they stand in one line. Times are seconds on any one clock."""

    def __init__(self) -> None:
        self._places = self._seconds = 0.0
        self._last = self._begins = float("-inf")  # when the newest job seen in line was submitted, and should begin
        self._scouts = 0

    def begins(self, now: float) -> float | None:
        """Before when a job submitted now should not begin; None where there is no line, and for a scout."""
        if self._begins <= now:
            return None
        self._scouts += 1
        return None if self._scouts % SCOUT_EVERY == 0 else self._begins

    def moved(self, places: int, seconds: float) -> None:
        """A job was seen to move up by so many places in so many seconds; backwards counts as not at all."""
        self._places = self._places * MEMORY + max(places, 0)
        self._seconds = self._seconds * MEMORY + seconds

    def seen(self, submitted: float, at: float, place: int) -> float | None:
        """When a job whose place is known (0 is the next) is taken to begin, None while the speed is unknown."""
        if self._places <= 0.0:
            return None
        wait = (place + 1) * self._seconds / self._places
        begins = at + EARLY * min(wait, max(FURTHEST, at - submitted))
        if submitted >= self._last:
            self._last, self._begins = submitted, begins
        return begins

    def over(self, submitted: float) -> None:
        """A scout did not stand in line at its first look."""
        if submitted >= self._last:
            self._last, self._begins = submitted, float("-inf")
