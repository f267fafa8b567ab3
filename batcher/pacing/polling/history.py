"""What the newest looks say of run times, kept up to date and forgotten when the service has changed."""

from collections import deque
from math import inf

from batcher.pacing.polling.drift import Drift
from batcher.pacing.polling.run_times import Look, RunTimes, estimate

WINDOW = 1024  # looks
ENOUGH = 8  # hits before there is an estimate
MOST_HITS, MOST_LOOKS = 128, 768  # before it is made again; sooner while there are few
LEAST_WORTH, SLOPE = 0.04, 3.0  # of a look that was certain to be a hit, and how it rises with the doubt
LEAST_WEIGHT = 0.15  # of looks worth less only some are kept, as many as they are worth: else they fill the window


class Memory:
    """``times`` is None while too little is known. changes: how often everything before a moment was forgotten."""

    def __init__(self) -> None:
        self.times: RunTimes | None = None
        self.changes = 0
        self._drift = Drift()
        self._looks: deque[Look] = deque(maxlen=WINDOW)
        self._recent: deque[Look] = deque(maxlen=WINDOW)  # whatever they were worth
        self._worth = 0.0
        self.soonest = inf  # the age from which hits were running unseen
        self._latest: list[float] = []  # the three longest ages of misses
        self._hits = self._learned = self._new_hits = self._new_looks = 0

    @property
    def suspects_faster(self) -> bool:
        return self._drift.suspects_faster

    def quiet_until(self, guess: float) -> float:
        """While there is no estimate: the age before which no job was seen to end, or ``guess``."""
        missed = self._latest[0] if len(self._latest) == 3 else guess
        return min(self.soonest, max(missed, guess))

    def learn(self, look: Look) -> bool:
        """One more look. Returns whether ``times`` is another one now."""
        changed = 0
        if self.times is not None:
            changed = self._drift.see(self.times, look)
            left = self.times.share_left(look.since, look.age)
            worth = 1.0 if left is None else min(1.0, LEAST_WORTH + SLOPE * left)
            self._worth += min(1.0, worth / LEAST_WEIGHT)  # decided before the outcome counts: it favours none
            look = look._replace(weight=max(worth, LEAST_WEIGHT))
        else:
            self._worth = 1.0
        self._recent.append(look)
        if self._worth >= 1.0:
            self._worth -= 1.0
            self._add(look)
        if changed:
            self._forget(changed)
            return True
        due = self._new_hits >= min(max(2, self._learned // 4), MOST_HITS) or self._new_looks >= MOST_LOOKS
        if due and self._hits >= ENOUGH:
            self._estimate()
            return True
        return False

    def _add(self, look: Look) -> None:
        if len(self._looks) == WINDOW:
            self._hits -= self._looks[0].hit
        self._looks.append(look)
        self._hits += look.hit
        self._learned += look.hit
        self._new_hits += look.hit
        self._new_looks += 1
        if look.hit:
            self.soonest = min(self.soonest, look.since)
        elif len(self._latest) < 3 or look.age > self._latest[0]:
            self._latest = sorted([*self._latest, look.age])[-3:]

    def _estimate(self) -> None:
        self._new_hits = self._new_looks = 0
        self.times = estimate(self._looks, self.times)

    def _forget(self, newest: int) -> None:
        """All but the newest looks, with those that were worth little to an estimate that is void."""
        kept = [look._replace(weight=1.0) for look in list(self._recent)[-newest:]]
        self.times = None
        self.changes += 1
        self._drift = Drift()
        self._looks.clear()
        self.soonest, self._latest = inf, []
        self._hits = self._learned = self._new_hits = self._new_looks = 0
        for look in kept:
            self._add(look)
        if self._hits >= ENOUGH:
            self._estimate()
