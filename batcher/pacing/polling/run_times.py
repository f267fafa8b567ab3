"""How long jobs take: a sample of the newest, from polls that only say "not yet" or "by now". Pure; ages in seconds.

A poll never sees a run time, only that a job was unfinished at one age and finished at a later one. Half-way between is
taken for it. A job that was finished at its first poll says no more than "not later": it is taken to be like those of
its kind, so that a poll in one place only does not move the sample. Every so often a first poll comes early: a hit
where no job of the sample has ended, or a row of misses where all have, shows that the service has changed, and
everything from before is forgotten.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf, log
from typing import NamedTuple

KEPT = 512  # run times
ENOUGH = 8  # before there is an estimate
EVERY = 16  # new ones before it is made again; sooner while there are few
GRID = 24  # quantiles
WIDEST = 0.06  # between two ages, of their logarithms
RARE = 0.01  # of jobs end outside of what an end there surprises
SOONER, LATER = 1.06, 1.15  # by less than these factors it is no surprise
SURPRISES, OF_LATE = 4, 24  # so many among the last ends mean that the service has changed
UNLIKELY = 1e-6  # chance of a row of jobs that were all finished at their first poll: it became faster


class Look(NamedTuple):
    """A job unfinished at age ``since`` was polled at ``age``: finished (hit), or not."""

    since: float
    age: float
    hit: bool


@dataclass(frozen=True, slots=True)
class RunTimes:
    """At ``ages[i]`` the share ``ended[i]`` of all jobs has ended; between two ages, ends are spread evenly."""

    ages: Sequence[float]
    ended: Sequence[float]

    @classmethod
    def of(cls, sample: Sequence[float]) -> "RunTimes":
        times = sorted(sample)
        last = len(times) - 1
        ages, ended = [0.0, times[0] * 0.99], [0.0, 0.0]
        for step in range(1, GRID + 1):
            place = last * step / GRID
            low = int(place)
            age = times[low] + (place - low) * (times[min(low + 1, last)] - times[low])
            if age > ages[-1] * 1.0005 + 1e-6:
                ages.append(age)
                ended.append(step / GRID)
            else:
                ended[-1] = step / GRID if len(ages) > 2 else ended[-1]
        if ended[-1] < 1.0:
            ages.append(ages[-1] * 1.01 + 1e-4)
            ended.append(1.0)
        return cls(*_finer(ages, ended))

    @property
    def longest(self) -> float:
        return self.ages[-1]

    @property
    def mean(self) -> float:
        pairs = zip(self.ages, self.ages[1:], self.ended, self.ended[1:], strict=False)
        return sum((low + high) / 2 * (after - before) for low, high, before, after in pairs)

    def share_ended(self, age: float) -> float:
        at = bisect_right(self.ages, age)
        if at == len(self.ages):
            return 1.0
        low, high = self.ages[at - 1], self.ages[at]
        return self.ended[at - 1] + (age - low) / (high - low) * (self.ended[at] - self.ended[at - 1])

    def age_at(self, share: float) -> float:
        at = min(max(bisect_left(self.ended, share), 1), len(self.ages) - 1)
        low, high = self.ended[at - 1], self.ended[at]
        part = min((share - low) / (high - low), 1.0) if high > low else 1.0
        return self.ages[at - 1] + part * (self.ages[at] - self.ages[at - 1])


def _finer(ages: Sequence[float], ended: Sequence[float]) -> tuple[list[float], list[float]]:
    """With more ages where two are far apart, as the few longest run times are: polls can only be at an age."""
    fine_ages, fine_ended = list(ages[:2]), list(ended[:2])
    for age, share in zip(ages[2:], ended[2:], strict=True):
        low, before = fine_ages[-1], fine_ended[-1]
        steps = max(1, ceil(log(age / low) / WIDEST))
        fine_ages += [low * (age / low) ** (step / steps) for step in range(1, steps)]
        fine_ended += [before + (share - before) * (at - low) / (age - low) for at in fine_ages[len(fine_ended) :]]
        fine_ages.append(age)
        fine_ended.append(share)
    return fine_ages, fine_ended


class Memory:
    """``times`` is None while too little is known. changes: how often everything before a moment was forgotten."""

    def __init__(self) -> None:
        self.times: RunTimes | None = None
        self.changes = 0
        self.soonest = inf  # the age from which hits were running unseen
        self._sample: deque[float] = deque(maxlen=KEPT)
        self._surprises: deque[bool] = deque(maxlen=OF_LATE)
        self._new = 0
        self._row = 1.0  # chance of the row of hits at first polls
        self._turn = 0.0
        self._latest = 0.0  # the longest age of a miss

    @property
    def suspects_faster(self) -> bool:
        return any(self._surprises)

    def quiet_until(self, guess: float) -> float:
        """While there is no estimate: the age before which no job was seen to end, or ``guess``."""
        return min(self.soonest, max(self._latest, guess))

    def learn(self, look: Look) -> bool:
        """One more poll. Returns whether ``times`` is another one now."""
        if self.times is not None and self._changed(self.times, look):
            self._forget()
            self._take(look)
            return True
        self._take(look)
        patience = 3 if any(self._surprises) else 1  # what may come of a change is not mixed in at once
        due = len(self._sample) >= ENOUGH and self._new >= patience * min(max(2, len(self._sample) // 4), EVERY)
        if due:
            self._new = 0
            self.times = RunTimes.of(self._sample)
        return due

    def _take(self, look: Look) -> None:
        if not look.hit:
            self._latest = max(self._latest, look.age) if self.times is None else self._latest
            return
        self.soonest = min(self.soonest, look.since)
        self._sample.append(self._run_time(look))
        self._new += 1

    def _run_time(self, look: Look) -> float:
        times = self.times
        if times is None:
            return (look.since + look.age) / 2 if look.since else look.age * 0.8
        before, after = times.share_ended(look.since), times.share_ended(look.age)
        if after - before > RARE:  # where between the two those of the sample ended
            self._turn = (self._turn + 0.6180339887) % 1.0
            return times.age_at(before + self._turn * (after - before))
        return (look.since + look.age) / 2 if look.since else look.age * 0.8

    def _changed(self, times: RunTimes, look: Look) -> bool:
        if not look.since:
            self._row = self._row * max(times.share_ended(look.age), RARE) if look.hit else 1.0
        if look.hit:
            sooner = times.share_ended(look.age * SOONER) < RARE
            later = times.share_ended(look.since / LATER) > 1.0 - RARE
            self._surprises.append(sooner or later)
        return sum(self._surprises) >= SURPRISES or self._row < UNLIKELY

    def _forget(self) -> None:
        self.times, self.soonest, self._latest, self._row, self._new = None, inf, 0.0, 1.0, 0
        self.changes += 1
        self._sample.clear()
        self._surprises.clear()
