"""What was learned and when to look next, for all jobs of a run together."""

from collections import deque
from dataclasses import replace
from itertools import islice

from batcher.schedule.drift import Drift
from batcher.schedule.looks import Plan, best_looks
from batcher.schedule.runtimes import Look, RunTimes, estimate

LEAST, SLOPE = 0.04, 3.0
MARGIN = 1.15
WINDOW = 1024  # looks remembered
ENOUGH_HITS = 8  # before that nothing is known, and looks come in gaps in proportion to the age
MOST_HITS, MOST_LOOKS = 64, 256  # before the plan is made again

SHARE = 0.12  # gap as a share of the age
SHORTEST, LONGEST = 0.05, 30.0  # gaps, where nothing is known
FIRST_GUESS = 1.0
SPREAD = 0.25  # of a gap

DELAY = 0.06  # of the mean run time: what a person who waits is promised
FIRST_PRICE, HIGHEST_PRICE = 0.03, 0.1  # of the mean run time

PROBE_EVERY, PROBE_SUSPECT = 14, 3


class PollPlanner:
    """price: seconds of delay that one call is worth. None: what makes the mean delay DELAY of the mean run time, at
    most HIGHEST_PRICE of it (where run times hardly differ, less delay costs nothing).
    """

    def __init__(self, price: float | None = None) -> None:
        self.price = price
        self.plan: Plan | None = None
        self.changes = 0
        self._times: RunTimes | None = None
        self._looks: deque[Look] = deque(maxlen=WINDOW)
        self._drift = Drift()
        self._hits = self._new_hits = self._new_looks = 0
        self._firsts = self._probes = 0
        self._longest: list[float] = []
        self._soonest = float("inf")

    def learn(self, look: Look) -> None:
        if (times := self._times) is not None and look.age < times.ages[-1]:
            left = times.share_left(look.since, look.age)
            look = replace(look, weight=min(1.0, LEAST + SLOPE * left))
            least = 1.0 - times.share_left(look.since, look.age / MARGIN)
            most = 1.0 - times.share_left(look.since, look.age * MARGIN)
            if since := self._drift.see((most, least), hit=look.hit):
                self._looks.append(look)
                self._forget(since)
                return
        if len(self._looks) == WINDOW:
            self._hits -= self._looks[0].hit
        self._looks.append(look)
        self._count(look)
        self._new_hits += look.hit
        self._new_looks += 1
        if self._hits >= ENOUGH_HITS and (
            self._new_hits >= min(max(2, self._hits // 4), MOST_HITS) or self._new_looks >= MOST_LOOKS
        ):
            self._replan()

    def _count(self, look: Look) -> None:
        self._hits += look.hit
        if look.hit:
            self._soonest = min(self._soonest, look.since)
        else:
            self._longest = sorted([*self._longest, look.age])[-3:]

    def _forget(self, newest: int) -> None:
        kept = [replace(look, weight=1.0) for look in islice(self._looks, max(0, len(self._looks) - newest), None)]
        self._looks = deque(kept, maxlen=WINDOW)
        self._drift, self.plan, self._times = Drift(), None, None
        self._hits, self._longest, self._soonest = 0, [], float("inf")
        for look in kept:
            self._count(look)
        self.changes += 1
        self._new_hits = self._hits
        if self._hits >= ENOUGH_HITS:
            self._replan()

    def _replan(self) -> None:
        self._new_hits = self._new_looks = 0
        times = self._times = estimate(self._looks, self._times)
        if self.price is not None:
            self.plan = best_looks(times, self.price)
            return
        price = self.plan.price if self.plan else FIRST_PRICE * times.mean
        for _ in range(3):
            price = min(max(price, 1e-3), HIGHEST_PRICE * times.mean)
            self.plan = best_looks(times, price)
            delay, _ = self.plan.expected()
            got = max(delay / (DELAY * times.mean), 0.1)
            if 0.95 < got < 1.05 or (got < 1.0 and price >= HIGHEST_PRICE * times.mean):
                break
            price /= got**2

    def next_look(self, age: float, draw: float) -> float:
        """The age at which to look next, given that a look at ``age`` (0 for none yet) found it unfinished.

        draw: uniform in [0, 1).
        """
        if self.plan is None or age >= self.plan.times.ages[-1]:
            return self._blind(age, draw)
        low, high = self.plan.range_after(age)
        return max(low + draw * (high - low), age + SHORTEST)

    def first_look(self, draw: float) -> float:
        at = self.next_look(0.0, draw)
        if self._times is None:
            return at
        self._firsts += 1
        if self._drift.suspects_faster and self._firsts % PROBE_SUSPECT == 0:
            return at * (0.35 + 0.55 * draw)
        if self._firsts % PROBE_EVERY:
            return at
        self._probes += 1
        if self._probes % 3 == 0 and self._times.share_ended(at) >= 0.5:
            return at * (0.35 + 0.55 * draw)
        return self._times.age_at(draw)

    def _blind(self, age: float, draw: float) -> float:
        gap = min(max(age * SHARE, SHORTEST), LONGEST) * (1.0 + SPREAD * draw)
        if self.plan is None:
            quiet = min(self._soonest, self._longest[0] if len(self._longest) == 3 else FIRST_GUESS)
            if age < quiet:
                return max(age + SHORTEST, quiet * (1.0 + SPREAD * (draw - 0.5)))
        return age + gap
