"""How long jobs take, learned from looks that only say "not yet" or "by now". Pure: times are ages in seconds.

A look never sees a run time. It says of a job that was unfinished at one age whether it is finished at a later one, so
every look is evidence of its own: a miss, that no job ends between the two; a hit, that this one did, somewhere there.
Jobs still running count by their misses, and the quick ones, which are heard of first, don't pass for all.

The likelihood of such looks is that of interval-censored, left-truncated data, and expectation-maximisation climbs it
(Turnbull 1976). Ages are cut into cells; each cell has a hazard: the share of those alive at its start that end in it.
The E-step spreads every hit over the cells of its interval as the hazards of the moment say; the M-step divides, cell
by cell, the ends by the jobs at risk. Both sums are differences at two ends of an interval, so a step costs as much as
there are looks plus cells. Afterwards ends and exposure are smoothed over neighbouring cells of like width (EMS,
Silverman et al. 1990): else the estimate is all spikes. Each estimate starts from the one before, less sure
of itself: looks in one place only would otherwise confirm it for ever.

Two things make it quick and sharp. A look whose outcome was certain beforehand teaches nothing but makes EM crawl; it
has little weight, whatever came of it, so that the weights bias nothing. And cells are narrow where looks could teach
much, and where the estimate before had its mass.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import ceil, exp, floor, log
from typing import NamedTuple

STRIDE = 0.05  # between cells everywhere, on a logarithmic scale,
BY_LOOKS, BY_BEFORE = 72, 24  # and cells by quantiles of the looks' ages, and of the estimate before
FINEST = 5e-5  # of the age
DOWN = 4.0  # cells reach down to this part of the earliest look: what is found there may be much older
PRIOR = 0.05  # jobs' worth of belief that of those alive at an age half are alive at twice that age
HARDLY_ANY = 2e-3  # an estimate knows nothing of these
DOUBT, DOUBT_FEW, FACTORS = 0.06, 3.0, (0.87, 1.1, 1.3)  # the fewer the hits, the more
STEPS, FIRST_STEPS = 3, 12
SMOOTH, SMOOTH_FEW = 3, 64  # rounds; the fewer the hits, the more of them


class Look(NamedTuple):
    """A job unfinished at age ``since`` was asked about at ``age``: finished, or not. weight: at most 1."""

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

    @classmethod
    def from_survival(cls, ages: Sequence[float], alive: Sequence[float]) -> "RunTimes":
        moment = [0.0]
        for at in range(1, len(ages)):
            moment.append(moment[-1] + (alive[at - 1] - alive[at]) * (ages[at - 1] + ages[at]) / 2)
        return cls(ages, [1.0 - share for share in alive], moment)

    @property
    def longest(self) -> float:
        return self.ages[-1]

    @property
    def mean(self) -> float:
        """Of the jobs that end by the last age."""
        return self.moment[-1] / max(self.ended[-1], 1e-9)

    def share_ended(self, age: float) -> float:
        if age <= 0.0:
            return 0.0
        ages, ended = self.ages, self.ended
        after = bisect_right(ages, age)
        if after == len(ages):
            return ended[-1]
        low, before = ages[after - 1], ended[after - 1]
        return before + (age - low) / (ages[after] - low) * (ended[after] - before)

    def share_left(self, since: float, age: float) -> float | None:
        """Of the jobs alive at ``since`` those that still are at ``age``; None when hardly any gets so far at all."""
        alive = 1.0 - self.share_ended(since)
        return (1.0 - self.share_ended(age)) / alive if alive > HARDLY_ANY else None

    def age_at(self, share: float) -> float:
        """The age at which that share of jobs has ended, at most the last."""
        after = min(max(bisect_left(self.ended, share), 1), len(self.ages) - 1)
        low, high = self.ended[after - 1], self.ended[after]
        part = min((share - low) / (high - low), 1.0) if high > low else 1.0
        return self.ages[after - 1] + part * (self.ages[after] - self.ages[after - 1])


def estimate(looks: Sequence[Look], before: RunTimes | None = None) -> RunTimes:
    """The distribution that explains the looks, at least one of them a hit. before: an estimate to start from."""
    ages = _cells(looks, before)
    prior = [0.02, *(1.0 - low / high for low, high in pairwise(ages[1:]))]
    exposed, hits = _indexed(looks, ages)
    alive = _survival(prior) if before is None else _doubted(before, ages, min(DOUBT + DOUBT_FEW / len(hits), 0.5))
    for _ in range(FIRST_STEPS if before is None else STEPS):
        ends, risk = _expected(alive, exposed, hits, prior)
        alive = _survival(n / of for n, of in zip(ends, risk, strict=True))
    rounds = max(SMOOTH, SMOOTH_FEW // len(hits))
    return RunTimes.from_survival(ages, _survival(_smooth_hazards(ages, ends, risk, rounds)))


def _doubted(before: RunTimes, ages: Sequence[float], doubt: float) -> list[float]:
    """The estimate before, with some belief in its being wrong by a factor: EM can't revive what has no mass at all."""
    sure, each = 1.0 - doubt, doubt / len(FACTORS)
    ended = before.share_ended
    return [1.0 - sure * ended(age) - each * sum(ended(age * factor) for factor in FACTORS) for age in ages]


def _cells(looks: Iterable[Look], before: RunTimes | None) -> list[float]:
    known = sorted([(age, weight) for _, age, _, weight in looks])
    last = known[-1][0]
    low, high = log(known[0][0] / DOWN) / STRIDE, log(last) / STRIDE
    points = [exp(STRIDE * step) for step in range(floor(low), ceil(high))]
    points += _by_weight(known)
    if before is not None:
        points += [before.age_at(step / BY_BEFORE) for step in range(1, BY_BEFORE)]
    ages = [0.0]
    for point in sorted(points):
        if point > ages[-1] * (1.0 + FINEST) + 1e-6 and point < last:
            ages.append(point)
    return [*ages, last]


def _by_weight(known: Sequence[tuple[float, float]]) -> list[float]:
    points, filled = [], 0.0
    share = sum(weight for _, weight in known) / BY_LOOKS
    for age, weight in known:
        filled += weight
        if filled >= share:
            points.append(age)
            filled = 0.0
    return points


def _indexed(looks: Iterable[Look], ages: Sequence[float]) -> tuple[list[float], list[tuple[int, int, float]]]:
    """The weight of the misses that each cell was seen through in, and each hit's first and last bound and weight.

    Ages count as the nearest bound between cells, those of a hit as two different ones.
    """
    steps, hits = [0.0] * len(ages), []
    middles = [0.0, *((low + high) / 2 for low, high in pairwise(ages[1:]))]
    for since, age, hit, weight in looks:
        first = bisect_right(middles, since) if since else 0
        last = bisect_right(middles, age)
        if hit:
            hits.append((first if first < last else last - 1, last, weight))
        elif first < last:
            steps[first] += weight
            steps[last] -= weight
    return list(accumulate(steps)), hits


def _survival(hazards: Iterable[float]) -> list[float]:
    return list(accumulate(hazards, lambda alive, hazard: alive * (1.0 - hazard), initial=1.0))


def _expected(
    alive: Sequence[float],
    exposed: Sequence[float],
    hits: Iterable[tuple[int, int, float]],
    prior: Sequence[float],
) -> tuple[list[float], list[float]]:
    """Ends and jobs at risk in every cell, as the survival of the moment divides the hits among cells."""
    size = len(alive)
    chance, later = [0.0] * size, [0.0] * size
    for first, last, weight in hits:
        after = alive[last]
        part = weight / max(alive[first] - after, 1e-12)
        chance[first] += part
        chance[last] -= part
        later[first] += part * after
        later[last] -= part * after
    ends, risk, part, after = [], [], 0.0, 0.0
    for at, guess in enumerate(prior):
        part += chance[at]
        after += later[at]
        ends.append(max(alive[at] - alive[at + 1], 0.0) * max(part, 0.0) + PRIOR * guess)
        risk.append(max(exposed[at] + alive[at] * part - after + PRIOR, ends[-1]))
    return ends, risk


def _smooth_hazards(ages: Sequence[float], ends: Sequence[float], risk: Sequence[float], rounds: int) -> list[float]:
    widths = [high - low for low, high in pairwise(ages)]
    ties = [min(a, b) / max(a, b) / 4 for a, b in pairwise(widths)]
    exposure: Sequence[float] = [jobs * width for jobs, width in zip(risk, widths, strict=True)]
    for _ in range(rounds):
        ends, exposure = _smooth(ends, ties), _smooth(exposure, ties)
    return [min(n / time * width, 1.0) for n, time, width in zip(ends, exposure, widths, strict=True)]


def _smooth(values: Sequence[float], ties: Sequence[float]) -> list[float]:
    """Every value flows to its neighbours by the tie between them; the sum stays."""
    flows = [tie * (right - left) for tie, left, right in zip(ties, values, values[1:], strict=False)]
    return [value + out - into for value, out, into in zip(values, [*flows, 0.0], [0.0, *flows], strict=True)]
