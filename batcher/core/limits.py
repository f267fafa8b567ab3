"""What limits the speed of a run, found by sampling what the next submit waits for. Pure; times are seconds."""

from collections import Counter, deque

LEAST = 4  # samples that must agree
WINDOW = 20  # samples; the most frequent value counts: five seconds at four samples a second
RATE, SERVICE, START, API_RATE = "rate", "service_limit", "slow_start", "api_rate"
IN_FLIGHT, DOWNLOADS, BUDGET, PAUSED, SILENT = "in_flight", "downloads", "budget", "paused", "silent"
WORDS = {
    RATE: "--rate",
    SERVICE: "the service's own limit",
    START: "a slow start",
    API_RATE: "--api-rate",
    IN_FLIGHT: "--in-flight",
    DOWNLOADS: "downloads",
    BUDGET: "the budget",
    PAUSED: "paused",
    SILENT: "the service does not answer",
}


class Waits:
    """What a run waits for; each value is one of the words above, or "" for nothing.

    line: what the next job to submit waits for.
    feed: why no job is next, while there is none.
    by: what limits the run now. since: when that began, in seconds.
    """

    def __init__(self) -> None:
        self.line = ""
        self.feed = ""
        self.by = ""
        self.since = 0.0
        self._seen: deque[str] = deque(maxlen=WINDOW)

    def sample(self, now: float, *, files_wait: bool = False) -> None:
        """Take a sample; call it a few times a second. files_wait: whether files wait for a free download."""
        self._seen.append(self.line or self.feed or (DOWNLOADS if files_wait else ""))
        seen = Counter(self._seen)
        most, count = seen.most_common(1)[0]
        if self.line == PAUSED:
            most, count = PAUSED, WINDOW  # show a pause at once
        if most != self.by and count >= LEAST and 2 * count > len(self._seen):
            self.by, self.since = most, now
