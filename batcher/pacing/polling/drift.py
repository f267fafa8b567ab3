"""Whether the service is still the one whose run times were learned: a sequential test of every look.

Before a look the estimate gives the chance that it finds the job ended. Two cumulative sums (Page's CUSUM) of the
log-likelihood ratio hold the outcomes against "the odds are much better" (it became faster) and "much worse" (slower).
A look whose outcome was certain says nothing; an outcome that was all but ruled out says much. A sum that falls to 0
begins anew, so where it last did is where the change began: what was learned before that is to be forgotten.
"""

from math import exp, log

from batcher.pacing.polling.run_times import Look, RunTimes

MARGIN = 1.06  # a service slower or faster by less is no change: the estimate moves along
TILT = 3.0  # of the log-odds
ENOUGH = 10.0  # by chance alone about once in exp(10) looks
SUSPECT = 2.0
SURE = 0.05  # an estimate from some hundred looks is never surer than this of the outcome that did not come
ALLOWED = 0.05  # a look, for an estimate that is a little wrong
_ODDS = {tilt: exp(tilt) - 1.0 for tilt in (TILT, -TILT)}


class Drift:
    def __init__(self) -> None:
        self._faster = self._slower = 0.0
        self._since_faster = self._since_slower = 0

    @property
    def suspects_faster(self) -> bool:
        return self._faster >= SUSPECT

    def see(self, times: RunTimes, look: Look) -> int:
        """One look. Returns how many looks ago a change began, this one counted; 0 for no change."""
        since, age, hit, _ = look
        # A miss alone never speaks for a faster service, nor a hit for a slower one.
        if (hit or self._faster) and (left := times.share_left(since * MARGIN, age * MARGIN)) is not None:
            self._faster = max(0.0, self._faster + _evidence(1.0 - left, TILT, hit))
        if (not hit or self._slower) and (left := times.share_left(since / MARGIN, age / MARGIN)) is not None:
            self._slower = max(0.0, self._slower + _evidence(1.0 - left, -TILT, hit))
        self._since_faster = self._since_faster + 1 if self._faster else 0
        self._since_slower = self._since_slower + 1 if self._slower else 0
        if self._faster > ENOUGH:
            return self._since_faster
        return self._since_slower if self._slower > ENOUGH else 0


def _evidence(chance: float, tilt: float, hit: bool) -> float:
    chance = max(chance, SURE) if hit else min(chance, 1.0 - SURE)
    return (tilt if hit else 0.0) - log(1.0 + chance * _ODDS[tilt]) - ALLOWED
