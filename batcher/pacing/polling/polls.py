"""The looks that cost least, for run times that are known. Pure: times are ages in seconds.

Asking costs a call, not asking costs delay: the time between a job's end and the look that finds it ended. With a
``price``, the seconds of delay that one call is worth, the two are one number, and for a known distribution F of run
times the looks that make its mean least are found by dynamic programming. Let W(a) be what a job costs from age a on,
when a look there found it unfinished (times the share of jobs that get so far). The next look, at b, gives

    W(a) = min over b > a of  price (1 - F(a)) + b (F(b) - F(a)) - (M(b) - M(a)) + W(b),    M(b) = sum of t dF(t) to b.

What depends on b is c(b) - b F(a) with c(b) = b F(b) - M(b) + W(b): a line in F(a) for every b. As a goes down, lines
come in order of slope and are asked for in order of F, so the lower envelope is a queue and the whole is linear in the
number of ages: exact, and cheap enough to be done again whenever some more run times are known.

A look is then put anywhere in the range that costs at most SLACK more than the best: so jobs submitted together are
looked at apart, and looks fall at enough different ages for the distribution to go on being learned.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from batcher.pacing.polling.run_times import RunTimes

SLACK = 0.025
TAIL = 2.0  # prices that a job costs beyond the last age: it is rare


@dataclass(frozen=True, slots=True)
class Plan:
    """Looks at the ages of ``times`` that cost least in the mean. best[i]: where to look after ages[i]."""

    times: RunTimes
    price: float
    best: Sequence[int]
    line: Sequence[float]  # c(b)
    cost: Sequence[float]  # W(a)
    _ranges: dict[int, tuple[float, float]] = field(default_factory=dict, repr=False)

    def range_after(self, age: float) -> tuple[float, float]:
        """The ages between which the next look costs at most SLACK more than at the best; ``age`` is below the last."""
        at = bisect_left(self.times.ages, age)
        known = self._ranges.get(at)
        if known is None:
            known = self._ranges[at] = self._range(at)
        return known

    def _range(self, at: int) -> tuple[float, float]:
        last, share = len(self.times.ages) - 1, self.times.ended[at]
        low = high = self.best[at]
        most = self._of(low, share) + SLACK * self.cost[at]
        while low - 1 > at and self._of(low - 1, share) <= most:
            low -= 1
        while high < last and self._of(high + 1, share) <= most:
            high += 1
        return self._crossing(low, max(low - 1, min(at + 1, low)), share, most), self._crossing(
            high, min(high + 1, last), share, most
        )

    def _of(self, after: int, share: float) -> float:
        """What a next look at ages[after] costs, but for what all next looks cost."""
        return self.line[after] - self.times.ages[after] * share

    def _crossing(self, inside: int, outside: int, share: float, most: float) -> float:
        """The age between two at which a look costs ``most``."""
        good, bad = self._of(inside, share), self._of(outside, share)
        part = (most - good) / (bad - good) if bad > most else 0.0
        return self.times.ages[inside] + part * (self.times.ages[outside] - self.times.ages[inside])

    def expected(self) -> tuple[float, float]:
        """Mean delay and mean calls of a job that is looked at where it is best."""
        ages, ended, moment = self.times.ages, self.times.ended, self.times.moment
        at, delay, calls = 0, 0.0, 0.0
        while at < len(ages) - 1:
            after = self.best[at]
            calls += 1.0 - ended[at]
            delay += ages[after] * (ended[after] - ended[at]) - (moment[after] - moment[at])
            at = after
        return delay, calls


def best_looks(times: RunTimes, price: float) -> Plan:
    ages, ended, moment = times.ages, times.ended, times.moment
    last = len(ages) - 1
    best, line, cost = [last] * (last + 1), [0.0] * (last + 1), [0.0] * (last + 1)
    cost[last] = (1.0 - ended[last]) * price * TAIL
    envelope: deque[int] = deque()
    for at in range(last - 1, -1, -1):
        new = at + 1
        line[new] = ages[new] * ended[new] - moment[new] + cost[new]
        while len(envelope) > 1 and _needless(ages, line, envelope[-2], envelope[-1], new):
            envelope.pop()
        envelope.append(new)
        share = ended[at]
        while len(envelope) > 1 and (
            line[envelope[1]] - ages[envelope[1]] * share <= line[envelope[0]] - ages[envelope[0]] * share
        ):
            envelope.popleft()
        best[at] = envelope[0]
        cost[at] = price * (1.0 - share) + moment[at] + line[best[at]] - ages[best[at]] * share
    return Plan(times, price, best, line, cost)


def _needless(ages: Sequence[float], line: Sequence[float], late: int, mid: int, soon: int) -> bool:
    """Whether the line of ``mid`` lies nowhere below both others."""
    return (line[mid] - line[late]) * (ages[mid] - ages[soon]) >= (line[soon] - line[mid]) * (ages[late] - ages[mid])
