"""How fast the service's line moves, from the places of the same jobs at different times. Pure."""

MEMORY = 0.95  # of what was seen, each time a place is seen again


class Line:
    """Shared by all jobs: they stand in one line."""

    def __init__(self) -> None:
        self._places = self._seconds = 0.0

    def moved(self, places: int, seconds: float) -> None:
        """A job was seen to move up by so many places in so many seconds; backwards counts as not at all."""
        self._places = self._places * MEMORY + max(places, 0)
        self._seconds = self._seconds * MEMORY + seconds

    def wait(self, place: int) -> float | None:
        """Seconds until the job at a place (0 is the next) begins, None while unknown."""
        return (place + 1) * self._seconds / self._places if self._places > 0.0 else None
