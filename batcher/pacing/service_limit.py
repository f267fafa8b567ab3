"""A limit that the service only tells by refusing (429): found, used, and looked for again. Each refusal costs a call.

The allowance is used up at the moment of a refusal. From one such moment to the next the service gave just the calls
that got through: if it stores unused allowance (a bucket, a window by the clock) that is the limit, and if it stores
none the limit is the pace that was refused. The truth is between, and the limit is moved half-way to it; all the way
where calls were refused early (it fell), or got through beyond it (it rose).

After a refusal the pace climbs from a dip below the limit to the limit along a cubic (as TCP's CUBIC, RFC 9438), then
beyond it, ever faster, until the next refusal. The climb takes as long as it must for refusals to be SHARE of the
calls.

A bucket has the next call ready at once after a refusal; a closed window refuses it. Then nothing starts for a silence
that grows by half each time, beginning with a part of what it came to before; and from then on the first call after a
refusal is answered before others follow.

What can't be had: a bucket of one call loses to unevenness, at 100/s half of it when calls are 10 ms late. At 1/s two
refusals in the first minute are 3 % already: one to meet the limit, one to know it from half as much again.
"""

import math

SHARE = 0.012  # of the calls may be refused, in the long run
SHORTEST, LONGEST = 3.0, 30.0  # seconds from a refusal until the pace is at the limit again
FEWEST_STARTS, MOST_STARTS, LONGEST_EVER = 10.0, 100.0, 42.0  # or, where the pace is slow, as long as so many take
DIP = 0.06  # of the limit: where the climb begins
GROWTH = 6.0  # seconds beyond the climb in which the pace grows by a factor of e, in twice that e^4

BETWEEN = 0.5  # of the way from what got through to what was tried, on a logarithmic scale
BLEND = 0.5  # of the way to what a refusal tells
EARLY = 0.4  # of the climb: a refusal so soon says that the limit fell
BEYOND = 1.05  # times the limit: a pace that was beyond it
LEAST_CUT = 0.7  # times the limit: the least that one refusal makes of it
OFF = 0.15  # a change by so much, on that scale, means that the limit was wrong: the next look comes soon

STORE = 1.0  # seconds' worth that a service may hand out on top, before the first refusal
QUIET, QUIETEST = 0.15, 30.0  # seconds of silence when the first call after a refusal is refused
LONGER = 1.5  # times, for each further one
PART = 0.5  # of the last silence: where the next one begins
APART = 0.3  # of a round trip: answers to calls that left within it come home in any order
ANSWERED = 1.3  # round trips after which an answer is here
SLOWEST = 1.0 / 60.0  # calls per second: however often it is refused, it goes on asking about once a minute


class Limit:
    """ceiling: calls per second that were asked for, None for no bound. ``hold``: nothing starts before it."""

    def __init__(self, ceiling: float | None) -> None:
        self.hold = -math.inf
        self._ceiling = ceiling
        self._limit = 0.0  # calls per second; 0 as long as nothing was refused
        self._span = SHORTEST  # seconds of the climb
        self._round_trip = 0.0
        self._usual = 0.0  # seconds of silence after a refusal, where windows close
        # The present episode.
        self._began, self._before = -math.inf, 0  # when its first refused call had left, and how many had before
        self._resumed = -math.inf  # when it is to be over
        self._count, self._silence, self._quiet = 0, 0.0, 0.0  # refusals; the last silence, and all of it
        self._scouting = False  # one call is answered before others follow

    def __repr__(self) -> str:
        return f"<Limit {self._limit:.3g}/s of {self._ceiling}, {self._count} refusals, hold {self.hold:.3f}>"

    def change(self, ceiling: float | None) -> None:
        """Another rate is asked for from now on."""
        self._ceiling = ceiling

    @property
    def is_met(self) -> bool:
        """Whether a call was ever refused."""
        return self._limit > 0.0

    def pace(self, now: float, rate: float | None) -> float | None:
        """Calls per second at this moment. rate: what it was so far."""
        if not self.is_met or (rate is not None and rate == self._ceiling and now > self.hold + self._span):
            return rate
        beyond = now - self.hold - self._span
        if beyond < 0.0:
            rate = self._limit * (1.0 - DIP * min(-beyond / self._span, 1.0) ** 3)
        else:
            rate = self._limit * math.exp(min((beyond / GROWTH) ** 2, 64.0))
        return rate if self._ceiling is None else min(rate, self._ceiling)

    def started(self, start: float) -> None:
        """A call leaves at that moment."""
        if self._scouting:
            self._scouting = False
            self.hold = max(self.hold, start + ANSWERED * self._round_trip)

    def first(self, passed: int, span: float, rate: float | None) -> None:
        """What the first refusal proves: so many calls got through before it, in so many seconds."""
        proved = max(passed, 1) / (STORE + span)
        self._take(proved if rate is None else min(proved, (1.0 - DIP) * rate))
        self._scouting = True

    def refused(self, now: float, left: float, before: int, tried: float, wait: float, silence: float) -> None:
        """left: when the call did, before: how many had, at the pace tried. wait: seconds that the service wants to be
        left alone. silence: seconds to keep in any case.
        """
        went = now - left
        self._round_trip = went if not self._round_trip else 0.8 * self._round_trip + 0.2 * went
        if self._count and left < self._resumed:  # it was in the air when the first was heard
            self._count += 1
            quiet = wait
        elif self._count and left <= self._resumed + APART * self._round_trip:
            self._count += 1
            self._scouting = True
            longer = LONGER * self._silence or PART * self._usual
            self._silence = min(max(longer, QUIET, 1.0 / self._limit, silence), QUIETEST)
            quiet = max(wait, self._silence)
        else:
            self._episode(left, before, tried)
            quiet = max(wait, silence, 1.0 / self._limit)
        if quiet:
            self._quiet += max(0.0, now + quiet - max(now, self.hold))
            self.hold = self._resumed = max(self.hold, now + quiet)

    def _episode(self, left: float, before: int, tried: float) -> None:
        if self._count:
            early = left - self._resumed < EARLY * self._span
            self._learn(max(left - self._began, 1e-3), before - self._before - self._count, tried, early=early)
        self._scouting = self._silence > 0.0
        self._usual = 0.5 * (self._usual + self._quiet) if self._scouting else 0.0
        self._began, self._before = left, before
        self._count, self._silence, self._quiet = 1, 0.0, 0.0

    def _learn(self, took: float, passed: int, tried: float, *, early: bool) -> None:
        """took: seconds since the last episode began, in which so many calls got through. early: in its climb."""
        limit = self._limit
        got = max((max(passed, 0) + 0.5) / took, LEAST_CUT * limit)  # half of the one that was refused
        finding = got if math.isinf(tried) or got > tried else got * (tried / got) ** BETWEEN
        is_other = finding < limit if early else finding > limit and tried > BEYOND * limit  # it fell, or rose
        self._take(limit * (finding / limit) ** (1.0 if is_other else BLEND))
        shortest = max(SHORTEST, FEWEST_STARTS / self._limit)
        longest = min(LONGEST_EVER, max(LONGEST, MOST_STARTS / self._limit))
        is_off = abs(math.log(self._limit / limit)) > OFF
        worth = 0.0 if is_off else self._count / (SHARE * self._limit)
        self._span = min(max(worth, shortest), longest)

    def _take(self, limit: float) -> None:
        self._limit = max(limit, SLOWEST if self._ceiling is None else min(SLOWEST, self._ceiling))
