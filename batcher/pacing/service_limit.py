"""Finds and tracks the service's rate limit, which shows only in refusals (429). Each refusal costs a call.

At a refusal the service's allowance is used up. Between two refusals it granted exactly the calls that got through. If
it stores unused allowance (token bucket, fixed window), their rate is the limit; if it stores none, the refused rate
is. The limit is between the two, so the estimate moves half-way; all the way if calls were refused early in the climb
(the limit fell) or got through beyond the estimate (it rose).

After a refusal the rate climbs from a little below the limit to the limit along a cubic (like TCP's CUBIC, RFC 9438),
then beyond it, ever faster, until the next refusal. The climb lasts so long that refusals are SHARE of the calls.

A token bucket accepts the next call soon after a refusal; a closed window refuses it. Then nothing starts for a pause
that grows by half with each refusal and begins with a part of the last total. From then on the first call after a
refusal must be answered before others follow.

Limits of the method: with a bucket of one call, uneven timing loses calls, at 100/s half of them if calls are 10 ms
late. At 1/s the first minute needs two refusals, 3 % of its calls: one to meet the limit, one to measure it.
"""

import math

SHARE = 0.012  # of the calls may be refused, in the long run
SHORTEST, LONGEST = 3.0, 30.0  # seconds from a refusal until the rate is at the limit again
FEWEST_STARTS, MOST_STARTS, LONGEST_EVER = 10.0, 100.0, 42.0  # the same in starts, which counts at low rates
DIP = 0.06  # of the limit: the climb begins this much below it
GROWTH = 6.0  # seconds beyond the climb in which the rate grows by a factor of e (in twice that: e^4)

BETWEEN = 0.5  # of the way from what got through to what was tried, on a logarithmic scale
BLEND = 0.5  # of the way to the finding of a refusal
EARLY = 0.4  # of the climb: an earlier refusal means that the limit fell
BEYOND = 1.05  # times the limit: a rate above this was beyond it
LEAST_CUT = 0.7  # times the limit: one refusal lowers it no further
OFF = 0.15  # a larger change, on that scale, means that the limit was wrong: probe again soon

STORE = 1.0  # seconds of allowance that the service may have stored before the first refusal
QUIET, QUIETEST = 0.15, 30.0  # seconds of pause when the first call after a refusal is refused
LONGER = 1.5  # factor for each further refusal
PART = 0.5  # of the last total pause: length of the next first pause
APART = 0.3  # of a round trip: calls sent within it may be answered in any order
ANSWERED = 1.3  # round trips after which an answer has arrived
SLOWEST = 1.0 / 60.0  # calls per second, however often calls are refused


class Limit:
    """ceiling: requested calls per second, None for no limit. ``hold``: nothing starts before this time."""

    def __init__(self, ceiling: float | None) -> None:
        self.hold = -math.inf
        self._ceiling = ceiling
        self._limit = 0.0  # calls per second; 0 until the first refusal
        self._span = SHORTEST  # seconds of the climb
        self._round_trip = 0.0
        self._usual = 0.0  # usual total pause after a refusal, in seconds
        # The present episode.
        self._began, self._before = -math.inf, 0  # when its first refused call left, and how many calls left before it
        self._resumed = -math.inf  # when it ends
        self._count, self._silence, self._quiet = 0, 0.0, 0.0  # refusals; the last pause, and the total
        self._scouting = False  # one call is answered before others follow

    def __repr__(self) -> str:
        return f"<Limit {self._limit:.3g}/s of {self._ceiling}, {self._count} refusals, hold {self.hold:.3f}>"

    def change(self, ceiling: float | None) -> None:
        """Set the requested rate."""
        self._ceiling = ceiling

    @property
    def is_met(self) -> bool:
        """Whether a call was ever refused."""
        return self._limit > 0.0

    def pace(self, now: float, rate: float | None) -> float | None:
        """Calls per second at this moment. rate: the rate so far."""
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
        """The first refusal: ``passed`` calls got through before it in ``span`` seconds."""
        proved = max(passed, 1) / (STORE + span)
        self._take(proved if rate is None else min(proved, (1.0 - DIP) * rate))
        self._scouting = True

    def refused(self, now: float, left: float, before: int, tried: float, wait: float, silence: float) -> None:
        """left: when the call did, before: how many had, at the pace tried. wait: seconds that the service wants to be
        left alone. silence: seconds to keep in any case.
        """
        went = now - left
        self._round_trip = went if not self._round_trip else 0.8 * self._round_trip + 0.2 * went
        if self._count and left < self._resumed:  # it was sent before the first refusal arrived
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
        """took: seconds since the last episode began, in which ``passed`` calls got through. early: in its climb."""
        limit = self._limit
        got = max((max(passed, 0) + 0.5) / took, LEAST_CUT * limit)  # the refused call counts as half
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
