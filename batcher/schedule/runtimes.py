"""How long jobs take, learned from looks that only say "not yet" or "by now". Pure: times are ages in seconds.

A look never sees a run time. It says of a job that was unfinished at one age whether it is finished at a later one, so
every look is evidence of its own: a miss, that no job ends between the two; a hit, that this one did, somewhere there.
Jobs still running count by their misses, and the quick ones, which are heard of first, don't pass for all.

The likelihood of such looks is that of interval-censored, left-truncated data, and expectation-maximisation climbs it
(Turnbull 1976). Ages are cut into cells; each cell has a hazard: the share of those alive at its start that end in it.
The E-step spreads every hit over the cells of its interval as the hazards of the moment say; the M-step divides, cell
by cell, the ends by the jobs at risk. Both sums are differences at two ends of an interval, so a step costs as much as
there are looks plus cells. Between E and M, ends and exposure are smoothed over neighbouring cells (EMS, Silverman et
al. 1990): else the estimate is all spikes. Cells are narrow where looks were many, which is where it matters.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil, exp, floor, log

BY_LOOKS, STRIDE = 80, 0.05  # cells: by quantiles of the looks' ages, and evenly on a logarithmic scale
DOWN = 4.0  # cells reach down to this part of the earliest look: what is found there may be much older
PRIOR_WEIGHT = 0.05  # jobs' worth of belief that of those alive at an age half are alive at twice that age
STEPS = 4
KEPT = 24
SMOOTH = 4


@dataclass(frozen=True, slots=True)
class Look:
    """A job unfinished at age ``since`` was asked about at ``age``: finished, or not."""

    since: float
    age: float
    hit: bool
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class RunTimes:
    """A distribution: at ``ages[i]`` the share ``ended[i]`` of all jobs has ended; ``moment[i]`` is the sum of their
    run times, for each job of the whole. ``ages[0]`` is 0; between two ages, ends are spread evenly.
    """

    ages: Sequence[float]
    ended: Sequence[float]
    moment: Sequence[float]
    raw: Sequence[float] = ()

    @property
    def mean(self) -> float:
        """Of those that end before the last age."""
        return self.moment[-1] / max(self.ended[-1], 1e-9)

    def share_ended(self, age: float) -> float:
        after = bisect_right(self.ages, age)
        if after == len(self.ages):
            return self.ended[-1]
        low, high = self.ages[after - 1], self.ages[after]
        part = (age - low) / (high - low)
        return self.ended[after - 1] + part * (self.ended[after] - self.ended[after - 1])

    def share_left(self, since: float, age: float) -> float:
        """Of the jobs alive at ``since``, those that still are at ``age``."""
        if age <= since:
            return 1.0
        return (1.0 - self.share_ended(age)) / max(1.0 - self.share_ended(since), 1e-9)

    def raw_at(self, age: float) -> float:
        after = bisect_right(self.ages, age)
        if after == len(self.ages):
            return self.raw[-1]
        low, high = self.ages[after - 1], self.ages[after]
        part = (age - low) / (high - low)
        return self.raw[after - 1] + part * (self.raw[after] - self.raw[after - 1])

    def age_at(self, share: float) -> float:
        """The age at which that share of jobs has ended."""
        after = min(max(bisect_left(self.ended, share), 1), len(self.ages) - 1)
        low, high = self.ended[after - 1], self.ended[after]
        part = min((share - low) / (high - low), 1.0) if high > low else 1.0
        return self.ages[after - 1] + part * (self.ages[after] - self.ages[after - 1])


def from_survival(ages: Sequence[float], alive: Sequence[float], raw: Sequence[float] = ()) -> RunTimes:
    ended, moment = [0.0], [0.0]
    for at in range(1, len(ages)):
        share = alive[at - 1] - alive[at]
        ended.append(1.0 - alive[at])
        moment.append(moment[-1] + share * (ages[at - 1] + ages[at]) / 2)
    return RunTimes(ages, ended, moment, raw)


def estimate(looks: Sequence[Look], before: RunTimes | None = None) -> RunTimes:
    """The distribution that explains the looks. before: an earlier estimate, to start from."""
    ages = cells(looks, before)
    prior = [0.02] + [1.0 - low / high for low, high in zip(ages[1:], ages[2:], strict=False)]
    alive = _start(ages, prior, before)
    exposed, hits = _indexed(looks, ages)
    widths = [high - low for low, high in zip(ages, ages[1:], strict=False)]
    likeness = [min(a, b) / max(a, b) for a, b in zip(widths, widths[1:], strict=False)]
    for _ in range(STEPS if before else 3 * STEPS):
        ends, risk = _expected(alive, exposed, hits)
        ends = [n + PRIOR_WEIGHT * guess for n, guess in zip(ends, prior, strict=True)]
        risk = [max(n, 0.0) + PRIOR_WEIGHT for n in risk]
        alive = _survival(n / time for n, time in zip(ends, risk, strict=True))
    exposure = [n * width for n, width in zip(risk, widths, strict=True)]
    for _ in range(max(SMOOTH, 256 // len(hits))):
        ends, exposure = _smooth(ends, likeness), _smooth(exposure, likeness)
    smooth = _survival(min(max(n, 0.0) / time * width, 1.0) for n, time, width in zip(ends, exposure, widths, strict=True))
    return from_survival(ages, smooth, alive)


def cells(looks: Iterable[Look], before: RunTimes | None) -> list[float]:
    known = sorted((look.age, look.weight) for look in looks)
    low, high = log(known[0][0] / DOWN) / STRIDE, log(known[-1][0]) / STRIDE
    points = [exp(STRIDE * step) for step in range(floor(low), ceil(high))]
    share, filled = sum(weight for _, weight in known) / BY_LOOKS, 0.0
    for age, weight in known:
        filled += weight
        if filled >= share:
            points.append(age)
            filled = 0.0
    points.append(known[-1][0])
    if before is not None:
        points += [age for step in range(1, KEPT) if (age := before.age_at(step / KEPT)) < known[-1][0]]
    ages = [0.0]
    for point in sorted(points):
        if point > ages[-1] * 1.0002 + 1e-6:
            ages.append(point)
    return ages


def _indexed(looks: Sequence[Look], ages: Sequence[float]) -> tuple[list[float], list[tuple[int, int, float]]]:
    """The weight of the misses each cell saw through, and the cells of each hit with its weight."""
    steps, hits = [0.0] * (len(ages) + 1), []
    middles = [0.0, *((low + high) / 2 for low, high in zip(ages[1:], ages[2:], strict=False))]
    end = len(ages) - 1
    for look in looks:
        first = bisect_right(middles, look.since) if look.since else 0
        last = min(bisect_right(middles, look.age), end)
        if look.hit:
            hits.append((min(first, last - 1), last, look.weight))
        elif first < last:
            steps[first] += look.weight
            steps[last] -= look.weight
    return list(accumulate(steps)), hits


def _start(ages: Sequence[float], prior: Sequence[float], before: RunTimes | None) -> list[float]:
    fresh = _survival(prior)
    if before is None:
        return fresh
    return [before.raw_at(age) for age in ages]


def _survival(hazards: Iterable[float]) -> list[float]:
    return list(accumulate(hazards, lambda alive, hazard: alive * (1.0 - hazard), initial=1.0))


def _expected(
    alive: Sequence[float], exposed: Sequence[float], hits: Iterable[tuple[int, int, float]]
) -> tuple[list[float], list[float]]:
    """Ends and jobs at risk in every cell, as the survival of the moment divides the hits among cells."""
    size = len(alive)
    chance, later = [0.0] * size, [0.0] * size
    for first, last, of in hits:
        after = alive[last]
        weight = of / max(alive[first] - after, 1e-12)
        chance[first] += weight
        chance[last] -= weight
        later[first] += weight * after
        later[last] -= weight * after
    ends, risk, weight, after = [], [], 0.0, 0.0
    for at in range(size - 1):
        weight += chance[at]
        after += later[at]
        ends.append((alive[at] - alive[at + 1]) * weight)
        risk.append(exposed[at] + alive[at] * weight - after)
    return ends, risk


def _smooth(values: Sequence[float], likeness: Sequence[float]) -> list[float]:
    flows = [like * (b - a) / 4 for like, a, b in zip(likeness, values, values[1:], strict=False)]
    return [a + here - before for a, here, before in zip(values, [*flows, 0.0], [0.0, *flows], strict=True)]
