"""A limit that the service only tells by refusing (429): found, used, and looked for again. Each refusal costs a call.

**What a refusal tells.** The allowance is used up at that moment. From one such moment to the next, ``t`` seconds
later, the service gave just the ``n`` calls that got through. A service that stores unused allowance (a deep bucket,
a window by the clock) has the limit ``n / t``: that is ``got``. One that stores nothing (a bucket of one call) lost
what we did not use, so its limit is where the pace was when it refused: ``tried``. The truth is between, and
``_between`` says where, on a logarithmic scale. It is learned: a limit that was taken too high is refused *early*, a
sign of storage, as are calls refused after a pause; one that is passed and refused *late* was too low. Time spent in
silence speaks for ``got``, as only a store makes up for it.

**How much one refusal is believed.** What is known has the weight of the seconds it was learned in, the new finding
that of its own. Seconds after a refusal are a poor measure (windows have an edge, calls are whole), so one early
refusal moves a well known limit little; but each halves the trust in it, and a limit that fell is followed in a few.

**How often to look.** To look for the limit is to be refused. An episode costs ``k`` refusals (those in the air when
the first is heard belong to it, and cut the pace once) and ``s`` seconds of silence, both measured. The time to the
next is chosen so that refusals are ``SHARE`` of the calls and silence ``LOST`` of the time; in half a minute at the
latest (``MOST_STARTS`` calls, where that is more), as a limit that rose is to be followed within one. Until then the
pace climbs to the limit along a cubic from a small dip below it (as TCP's CUBIC, RFC 9438); then beyond it, ever
faster.

**After a refusal.** A bucket has the next call ready at once; a closed window refuses it. So the first call is a
scout: when scouts were refused last time, nothing follows until its answer is due. If it is refused, the silence
grows by half each time, beginning with a part of what it came to before.

**The first refusal** has nothing before it. Most services store a second's worth at most, so ``n`` calls in ``t``
seconds prove ``n / (1 + t)``. With few calls that may be far too low, and it is left quickly.

**What can't be had.** R tried and L allowed per second, T seconds of round trip: the first look costs up to (R - L) T
refusals at once, if the service stores more than the opening asks for. At 1/s, two refusals in the first minute are 3
% already: one to meet the limit, one to know it from half as much again. A bucket of one call loses to unevenness:
with calls d seconds late on average and the spacing uneven by q at the share of refusals that is borne, no more than
1 / (1 + L (d + q)) of it can be used: at 100/s, 0.91 where they come to 1 ms, half at 10 ms.
"""

import math

SHARE = 0.01  # of the calls may be refused, in the long run
LOST = 0.03  # of the time may be spent in silence
SHORTEST, LONGEST = 2.0, 30.0  # seconds from a refusal to the next look
FEWEST_STARTS, MOST_STARTS, LONGEST_EVER = 10.0, 100.0, 42.0  # or, where the pace is slow, as long as so many take
GROWTH, FIRST_GROWTH = 7.0, 4.5  # seconds beyond the climb in which the pace grows by a factor of e, in twice that e^4
DIP, LEAST_DIP = 0.08, 0.02  # of the limit: where the climb begins, while it is searched for and once it is known

BETWEEN, LEAST_BETWEEN, MOST_BETWEEN = 0.6, 0.25, 0.9  # of the way from what got through to what was tried
LESS, MORE = 0.6, 1.3  # times that, when the limit was taken too high, and too low
EARLY = 0.4  # of the time to the next look
LATE = 1.05  # times the limit
BELOW = 0.98  # of what was tried and refused early: where the limit is at most
TRUST, LITTLE_TRUST = 30.0, 1.5  # seconds of evidence that a limit has at most; once it was off by
OFF = 0.15
FEW, LEAST_CUT = 4.0, 0.7  # calls that prove little: by them alone it is not taken to be less than that of what it was
DOUBT = 0.5  # times the trust, when it is refused early

STORE = 1.0  # seconds' worth that a service may hand out on top
QUIET, QUIETEST = 0.15, 30.0  # seconds of silence when a scout is refused
LONGER = 1.5  # times, for each further one
PART = 0.25  # of the silence that it came to before
APART = 0.3  # of a round trip: answers to calls that left within it come home in any order
ANSWERED = 1.3  # round trips after which an answer is here
SLOWEST = 1.0 / 60.0  # calls per second: however often it is refused, it goes on asking about once a minute


class Limit:
    """``ceiling``: calls per second that were asked for. ``hold``: nothing starts before it."""

    def __init__(self, ceiling: float | None) -> None:
        self.hold = -math.inf
        self._ceiling = ceiling
        self._limit = 0.0  # calls per second; 0 as long as nothing was refused
        self._trust = LITTLE_TRUST / 3.0
        self._between = BETWEEN
        self._span = SHORTEST  # seconds of the climb
        self._dip = DIP
        self._growth = FIRST_GROWTH
        self._round_trip = 0.0
        self._refusals, self._silent = 1.0, 0.0  # what an episode costs, on average: calls, and seconds
        # The present episode.
        self._began, self._before = -math.inf, 0  # when its first refused call had left, and how many had before
        self._resumed = -math.inf  # when it is to be over
        self._count, self._silence, self._quiet = 0, 0.0, 0.0  # refusals; the last silence, and all of it
        self._shut = False  # scouts were refused
        self._scouting = False

    def change(self, ceiling: float | None) -> None:
        """Another rate is asked for from now on."""
        self._ceiling = ceiling

    @property
    def found(self) -> bool:
        return self._limit > 0.0

    def pace(self, now: float, rate: float | None) -> float | None:
        """Calls per second at this moment. rate: what it was so far."""
        if not self.found or (rate is not None and rate == self._ceiling and now > self.hold + self._span):
            return rate
        beyond = now - self.hold - self._span
        if beyond < 0.0:
            rate = self._limit * (1.0 - self._dip * min(-beyond / self._span, 1.0) ** 3)
        else:
            rate = self._limit * math.exp(min((beyond / self._growth) ** 2, 64.0))
        return rate if self._ceiling is None else min(rate, self._ceiling)

    def started(self, start: float) -> None:
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
        if self._count and left < self._resumed:
            self._count += 1
            if wait and now + wait > self.hold:
                self._keep_still(now, now + wait)
        elif self._count and left <= self._resumed + APART * self._round_trip:
            self._closed(now, wait, silence)
        else:
            self._episode(left, before, tried)
            self._keep_still(now, now + max(wait, silence, 1.0 / self._limit))

    def _closed(self, now: float, wait: float, least: float) -> None:
        """The first call after the pause was refused as well: it is not our pace, or that is off by far."""
        self._count += 1
        self._shut = self._scouting = True
        longer = LONGER * self._silence or PART * self._silent
        self._silence = min(max(longer, QUIET, 1.0 / self._limit, least), QUIETEST)
        self._keep_still(now, now + max(wait, self._silence))

    def _keep_still(self, now: float, until: float) -> None:
        self._quiet += max(0.0, until - max(now, self.hold) - 1.0 / self._limit)
        self.hold = self._resumed = max(self.hold, until)

    def _episode(self, left: float, before: int, tried: float) -> None:
        if self._count:
            self._learn(left, before, tried)
            self._scouting = self._shut
        self._began, self._before = left, before
        self._count, self._silence, self._quiet, self._shut = 1, 0.0, 0.0, False

    def _learn(self, left: float, before: int, tried: float) -> None:
        took = max(left - self._began, 1e-3)
        passed = max(before - self._before - self._count, 0) + 0.5  # half of the one that was refused
        early, late = left - self._resumed < EARLY * self._span, tried > LATE * self._limit
        self._place(early, late)
        finding = self._finding(passed / took, tried, took)
        trust = 0.0 if late and finding > self._limit else self._trust
        limit = self._limit * (finding / self._limit) ** (took / (trust + took))
        if passed < FEW:
            limit = max(limit, LEAST_CUT * self._limit)
        if early:
            limit = min(limit, BELOW * tried)
        off = abs(math.log(limit / self._limit)) > OFF
        self._trust = min(self._trust + took, LITTLE_TRUST if off else TRUST)
        self._growth = GROWTH
        self._take(limit)
        self._plan(off)

    def _place(self, early: bool, late: bool) -> None:
        if early:
            self._trust *= DOUBT
        if early or self._shut:
            self._between = max(LEAST_BETWEEN, LESS * self._between)
        elif late:
            self._between = min(MOST_BETWEEN, MORE * self._between)

    def _finding(self, got: float, tried: float, took: float) -> float:
        if math.isinf(tried):
            return got
        got = min(got, tried)
        share = self._between * max(0.0, 1.0 - self._quiet / took)
        return got * math.exp(share * math.log(tried / got))

    def _plan(self, off: bool) -> None:
        """How long until the next look, by what the last ones cost."""
        self._refusals = 0.5 * (self._refusals + self._count)
        self._silent = 0.5 * (self._silent + self._quiet)
        shortest = max(SHORTEST, FEWEST_STARTS / self._limit)
        longest = min(LONGEST_EVER, max(LONGEST, MOST_STARTS / self._limit))
        worth = max(self._refusals / (SHARE * self._limit), self._silent / LOST)
        self._span = min(shortest if off else max(worth, shortest), longest)
        self._dip = DIP if off else max(LEAST_DIP, self._dip / 2.0)

    def _take(self, limit: float) -> None:
        self._limit = max(limit, SLOWEST if self._ceiling is None else min(SLOWEST, self._ceiling))
