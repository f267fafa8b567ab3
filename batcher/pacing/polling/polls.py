"""The polls that cost least, for run times that are known: each next poll is tried after each. Pure; ages in seconds.

Asking costs a call, not asking costs delay: the time between a job's end and the poll that finds it ended. With a
``price``, the seconds of delay that one call is worth, the two are one number.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from batcher.pacing.polling.run_times import RunTimes

SPREAD = 0.5  # of the way to the neighbouring ages: polls of jobs submitted together are apart


@dataclass(frozen=True, slots=True)
class Plan:
    """best[i]: where to poll after ages[i] of ``times``. delay: mean, of a job that is polled there."""

    times: RunTimes
    price: float
    best: Sequence[int]
    delay: float

    def range_after(self, age: float) -> tuple[float, float]:
        """Between which ages the next poll is best; ``age`` is below the last."""
        ages = self.times.ages
        at = bisect_left(ages, age)
        best = max(self.best[at], at + 1) if at < len(ages) - 1 else len(ages) - 1
        low = ages[best] - SPREAD * (ages[best] - ages[best - 1]) if best - 1 > at else ages[best]
        high = ages[min(best + 1, len(ages) - 1)]
        return low, ages[best] + SPREAD * (high - ages[best])


def best_polls(times: RunTimes, price: float) -> Plan:
    ages, ended = times.ages, times.ended
    last = len(ages) - 1
    moment = [0.0]
    for at in range(last):
        moment.append(moment[-1] + (ended[at + 1] - ended[at]) * (ages[at] + ages[at + 1]) / 2)
    best, cost, delay = [last] * (last + 1), [0.0] * (last + 1), [0.0] * (last + 1)
    for at in range(last - 1, -1, -1):
        share = ended[at]
        _, to = min((ages[to] * (ended[to] - share) - moment[to] + cost[to], to) for to in range(at + 1, last + 1))
        late = ages[to] * (ended[to] - share) - (moment[to] - moment[at])
        best[at], delay[at] = to, late + delay[to]
        cost[at] = price * (1.0 - share) + late + cost[to]
    return Plan(times, price, best, delay[0])
