"""The rate limit as arithmetic. Pure: times are arguments, in seconds on any one clock that only goes forward.

Starts are laid on a line, one every ``interval`` seconds. A start that comes late (a busy loop, a slow disk) does not
push the later ones back as long as it is less than ``SLACK`` late, so the rate asked for is the rate reached; and the
interval is stretched by just that slack, so that no window of one second ever holds more than ``rate + 1`` starts:
``1 s + SLACK`` spans at most ``rate`` intervals of ``(1 + SLACK) / rate``.

A refusal (429) means that the service gives less than we were told, and it tells how much: between two refusals,
when its allowance was used up at both ends, it gave what got through. So after a refusal

* nothing starts until ``QUIET`` seconds have passed without another one (and ``Retry-After`` is over): what was in
  the air has come home, and all its refusals are one episode that cuts the pace once;
* the first time, with nothing to go by, the pace is halved; from then on it is set a little below what got through;
* it then follows a cubic (as TCP's CUBIC does, RFC 9438): back to what is taken to be the limit, a long while close to
  it, a little beyond it, and then doubling, so that refusals are rare where the limit stays and a rise is found soon.
"""

from collections import deque

SLACK = 0.005  # seconds: 0.5 % below the rate asked for, in return for never being above it
QUIET = 1.0  # seconds without a refusal before the next start
RECENT, MOST_RECENT = 10.0, 4096  # seconds, and starts, over which it is measured what got through
HOPE = 1.06  # of what got through: where the limit is taken to be
LEAST = 0.7  # of what was tried: one refusal may be bad luck, so no cut after the first is deeper
DIP = 0.08  # below the limit, where the climb to it begins
CLIMB = 12.0  # seconds that the climb takes, or, where the pace is slow, as long as PROBE_COST starts do:
PROBE_COST, LONGEST_CLIMB = 60.0, 30.0  # to find out where the limit is costs a refusal
SLOWEST = 1.0 / 60.0  # starts per second: however often it is refused, it goes on asking about once a minute


class Pace:
    """``rate`` is starts per second, or None for no limit (refusals still slow it down)."""

    def __init__(self, rate: float | None) -> None:
        self.ceiling = rate
        self.rate = rate
        self.refusals = 0
        self._next = float("-inf")
        self._hold_until = float("-inf")
        self._limit: float | None = None  # where it is taken to be, once there was a refusal
        self._dip = 0.0  # starts per second, how far below it the climb began
        self._tried = False  # whether anything has started since the last refusal
        self._starts: deque[float] = deque(maxlen=MOST_RECENT)

    def reserve(self, now: float) -> float:
        """The moment, at or after ``now``, at which one start may happen. Every call books one."""
        slot = max(self._next, now - SLACK, self._hold_until)
        start = max(slot, now)
        self._grow(start)
        self._next = slot + self.interval
        self._starts.append(start)
        self._tried = True
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
        if self._tried:  # else nothing has started since the last refusal: this is one more of that episode
            self._cut(now)
        self._tried = False
        self._hold_until = max(self._hold_until, now + max(QUIET, retry_after or 0.0))

    def _cut(self, now: float) -> None:
        """Sets the pace by what was tried and what got through, since the last hold or over the last ten seconds."""
        since = max(self._hold_until, now - RECENT)
        recent = [start for start in self._starts if since <= start <= now]
        span = max(now - recent[0], 1e-3) if recent else 1.0
        seen = len(recent) / span if len(recent) > 1 else self.rate or 1.0
        tried = seen if self.rate is None else min(self.rate, seen)
        if self._limit is None:
            limit, dip = tried * (1.0 - DIP), tried * (0.5 - DIP)
        else:
            whole = since == self._hold_until and len(recent) < MOST_RECENT
            refill = QUIET if whole else 0.0  # what the silence let pile up was used, too
            limit, dip = min(max((len(recent) - 1) / (span + refill) * HOPE, tried * LEAST), tried), 0.0
        slowest = SLOWEST if self.ceiling is None else min(SLOWEST, self.ceiling)
        self._limit = max(limit, slowest)
        self._dip = max(dip, self._limit * DIP)
        self.rate = self._limit - self._dip

    def _grow(self, now: float) -> None:
        if self._limit is None or self.rate == self.ceiling:
            return
        climb = min(max(CLIMB, PROBE_COST / self._limit), LONGEST_CLIMB)
        way = (now - self._hold_until) / climb - 1.0  # -1 where the climb begins, 0 at the limit
        rate = (self._limit + self._dip * min(way, 1.0) ** 3) * 2.0 ** min(max(way - 1.0, 0.0), 64.0)
        self.rate = rate if self.ceiling is None else min(rate, self.ceiling)
