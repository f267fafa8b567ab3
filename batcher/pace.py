"""The rate limit as arithmetic. Pure: times are arguments, in seconds on any one clock that only goes forward.

Starts are laid on a line, one every ``interval`` seconds. A start that comes late (a busy loop, a slow disk) does not
push the later ones back as long as it is less than ``SLACK`` late, so the rate asked for is the rate reached; and the
interval is stretched by just that slack, so that no window of one second ever holds more than ``rate + 1`` starts:
``1 s + SLACK`` spans at most ``rate`` intervals of ``(1 + SLACK) / rate``.

A refusal (429) means the service allows less than we were told. The pace drops to a share of what was really got
through, waits out ``Retry-After``, and then grows again: quickly up to what worked before, slowly beyond it. Refusals
that arrive in the shadow of the first (calls that had already left) don't cut it a second time.
"""

from collections import deque

SLACK = 0.005  # seconds: 0.5 % below the rate asked for, in return for never being above it
CUT = 0.85  # after a refusal, of the rate that got through
SLOWEST = 1.0 / 60.0  # starts per second: however often it is refused, it goes on asking once a minute
SHADOW = 1.0  # seconds: refusals this close together are one episode
REGAIN = 0.05  # of the rate, per second, back up to what was known to work
PROBE = 0.01  # of the rate, per second, beyond it


class Pace:
    """``rate`` is starts per second, or None for no limit (refusals still slow it down)."""

    def __init__(self, rate: float | None) -> None:
        self.ceiling = rate
        self.rate = rate
        self.refusals = 0
        self._next = float("-inf")
        self._hold_until = float("-inf")
        self._known_good: float | None = None
        self._cut_at = float("-inf")
        self._grown_at = float("-inf")
        self._starts: deque[float] = deque(maxlen=256)

    def reserve(self, now: float) -> float:
        """The moment, at or after ``now``, at which one start may happen. Every call books one."""
        self._grow(now)
        slot = max(self._next, now - SLACK, self._hold_until)
        self._next = slot + self.interval
        start = max(slot, now)
        self._starts.append(start)
        return start

    @property
    def interval(self) -> float:
        """Seconds between two starts at the present pace."""
        return 0.0 if self.rate is None else (1.0 + SLACK) / self.rate

    def next_start(self, now: float) -> float:
        """When ``reserve`` would let a start happen, without booking it."""
        return max(self._next, self._hold_until, now)

    def refused(self, now: float, retry_after: float | None) -> None:
        """The service refused a start: slow down, and start nothing before its ``retry_after`` seconds are over."""
        self.refusals += 1
        self._hold_until = max(self._hold_until, now + (retry_after or 0.0))
        self._next = max(self._next, self._hold_until)
        if now - self._cut_at < SHADOW:
            return
        self._cut_at = now
        seen = self._recent_rate(now)
        current = seen if self.rate is None else min(self.rate, seen)
        self._known_good = max(current * CUT, SLOWEST)
        self.rate = self._known_good
        self._grown_at = max(now, self._hold_until)

    def _recent_rate(self, now: float) -> float:
        """Starts per second over the last ten seconds, or what can be seen of them; at least the slowest."""
        recent = [start for start in self._starts if now - 10.0 <= start <= now]
        if len(recent) < 2:
            return self.rate or 1.0
        return max(len(recent) / max(now - recent[0], 1e-3), SLOWEST)

    def _grow(self, now: float) -> None:
        if self.rate is None or self._known_good is None or now <= self._grown_at:
            return
        elapsed, self._grown_at = now - self._grown_at, now
        share = REGAIN if self.rate < self._known_good else PROBE
        self.rate *= (1.0 + share) ** min(elapsed, 60.0)
        if self.ceiling is not None and self.rate >= self.ceiling:
            self.rate, self._known_good = self.ceiling, None
