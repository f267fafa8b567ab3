"""Jobs that are waited for, in plain virtual time: no HTTP, no files, the planner asked just as the runner asks it."""

import copy
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from heapq import heapify, heappop, heappush
from itertools import count
from math import ceil, erf, exp, inf, log, sqrt
from random import Random
from statistics import fmean
from time import thread_time_ns

from batcher.pacing.polling import PollPlanner, Watch

GRID = 700  # ages for the best possible polls
FAR = 4.6  # standard deviations covered on either side


@dataclass(frozen=True, slots=True)
class Spread:
    """How long jobs take: a mixture of log-normal parts (share, median, sigma), or even from ``low`` to ``high``."""

    name: str
    parts: tuple[tuple[float, float, float], ...] = ()
    low: float = 0.0
    high: float = 0.0

    def times(self, factor: float) -> "Spread":
        parts = tuple((share, median * factor, sigma) for share, median, sigma in self.parts)
        return Spread(self.name, parts, self.low * factor, self.high * factor)

    def draw(self, random: Random) -> float:
        if not self.parts:
            return random.uniform(self.low, self.high)
        [(_, median, sigma)] = random.choices(self.parts, [share for share, _, _ in self.parts])
        return median * exp(sigma * random.gauss(0.0, 1.0))

    def ended(self, age: float) -> float:
        if not self.parts:
            return min(max((age - self.low) / (self.high - self.low), 0.0), 1.0)
        return sum(share * _normal(age, median, sigma) for share, median, sigma in self.parts)

    def ages(self) -> list[float]:
        """Where polls are considered: close enough that a finer grid finds nothing better by a thousandth."""
        if not self.parts:
            return [0.0, *(self.low + (self.high - self.low) * step / GRID for step in range(1, GRID + 1))]
        if all(sigma == 0.0 for _, _, sigma in self.parts):
            return [0.0, *sorted(median for _, median, _ in self.parts)]
        low = log(min(median * exp(-FAR * sigma) for _, median, sigma in self.parts))
        high = log(max(median * exp(FAR * sigma) for _, median, sigma in self.parts))
        return [0.0, *(exp(low + (high - low) * step / GRID) for step in range(GRID + 1))]


def _normal(age: float, median: float, sigma: float) -> float:
    if sigma == 0.0:
        return float(age >= median)
    return (1.0 + erf(log(age / median) / sigma / sqrt(2.0))) / 2.0 if age > 0.0 else 0.0


def best_cost(spread: Spread, price: float) -> float:
    """The least possible mean of delay plus price times calls: by trying every next poll after every poll."""
    ages = spread.ages()
    ended = [spread.ended(age) for age in ages[:-1]] + [1.0]
    moment = [0.0]
    for at in range(1, len(ages)):
        middle = ages[at] if len(ages) < GRID else (ages[at - 1] + ages[at]) / 2
        moment.append(moment[-1] + (ended[at] - ended[at - 1]) * middle)
    cost = [0.0] * len(ages)
    for at in range(len(ages) - 2, -1, -1):
        share = ended[at]
        later = min(ages[to] * (ended[to] - share) - moment[to] + cost[to] for to in range(at + 1, len(ages)))
        cost[at] = price * (1.0 - share) + moment[at] + later
    return cost[0]


@dataclass(slots=True)
class Job:
    number: int
    standing: int  # in line, from 0
    submitted: float
    ended: int  # jobs noticed to have ended before it was submitted
    ends: float
    run_time: float
    watch: Watch
    calls: int = 0
    delay: float = 0.0


@dataclass(slots=True)
class Played:
    """What came of it. jobs: in the order of noticed ends. polls: when. nanoseconds: the planner's CPU."""

    planner: PollPlanner
    jobs: list[Job] = field(default_factory=list)
    polls: list[float] = field(default_factory=list)
    naps: int = 0
    nanoseconds: int = 0
    longest_call: int = 0

    def cost(self, price: float, *, after: int) -> float:
        return self.delay(after) + price * self.calls(after)

    def delay(self, after: int) -> float:
        return fmean(job.delay for job in self.jobs if job.ended >= after)

    def calls(self, after: int) -> float:
        return fmean(job.calls for job in self.jobs if job.ended >= after)

    def run_time(self, after: int) -> float:
        return fmean(job.run_time for job in self.jobs if job.ended >= after)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """in_flight: jobs at the service at once. together: whether the first of them are submitted at one moment, else
    they come over one mean run time, as at the pace the service can keep; or pace, submits a second. slots: jobs that
    run at once (None: all), the others wait in line. others: every so many seconds so many jobs of other people join
    it. places: whether the service says where in it a job stands. change: when that many jobs were submitted the
    service becomes so many times slower, for those that run, too.
    """

    spread: Spread
    in_flight: int
    jobs: int
    together: bool = False
    pace: float | None = None
    slots: int | None = None
    places: bool = False
    others: tuple[float, int] | None = None
    change: tuple[int, float] | None = None
    seed: int = 1

    def play(self, planner: PollPlanner, on_noticed: Callable[[Job, Played], bool] | None = None) -> Played:
        """on_noticed may end it by answering True."""
        random, played, order = Random(self.seed), Played(planner), count()
        ramp = 0.0 if self.together else fmean(self.spread.draw(random) for _ in range(500)) / self.in_flight
        ramp = ramp if self.pace is None else 1.0 / self.pace
        events: list[tuple[float, int, Job | None]] = [(at * ramp, next(order), None) for at in range(self.in_flight)]
        heapify(events)
        service = _Service(self.slots)
        while events:
            now, _, job = heappop(events)
            if job is None:
                if self.change is not None and service.submitted == self.change[0]:
                    _slow_down([job for _, _, job in events if job is not None], now, self.change[1])
                job = self._submitted(now, len(played.jobs), service, random, planner)
                heappush(events, (_timed(played, partial(_first, job, now, random.random())), next(order), job))
                continue
            if job.watch.follows:
                played.naps += 1
                heappush(events, (_timed(played, partial(_first, job, now, random.random())), next(order), job))
                continue
            job.calls += 1
            played.polls.append(now)
            if now < job.ends:
                place = service.place(job.standing, now) if self.places else None
                at = _timed(played, partial(_missed, job, now, place, random.random()))
                heappush(events, (at, next(order), job))
                continue
            _timed(played, partial(_noticed, job, now))
            job.delay = now - job.ends
            played.jobs.append(job)
            if on_noticed is not None and on_noticed(job, played):
                break
            if service.submitted < self.jobs:
                heappush(events, (now, next(order), None))
        return played

    def _submitted(self, now: float, ended: int, service: "_Service", random: Random, planner: PollPlanner) -> Job:
        if self.others is not None:
            service.flood(now, *self.others, lambda: self.spread.draw(random))
        run_time = self.spread.draw(random)
        if self.change is not None and service.submitted >= self.change[0]:
            run_time *= self.change[1]
        number = service.submitted
        standing, begins = service.take(now, run_time)
        return Job(number, standing, now, ended, begins + run_time, begins + run_time - now, planner.watch(now))


class _Service:
    """First come, first served."""

    def __init__(self, slots: int | None) -> None:
        self._free = [0.0] * (slots or 0)
        self._begins: list[float] = []  # of every job in line, in its order: none overtakes another
        self._next_flood = 0.0
        self.submitted = 0

    def take(self, now: float, run_time: float) -> tuple[int, float]:
        """Its standing in the line, and when it begins."""
        self.submitted += 1
        return len(self._begins), self._enter(now, run_time)

    def flood(self, now: float, seconds: float, jobs: int, draw: Callable[[], float]) -> None:
        while self._next_flood + seconds <= now:
            self._next_flood += seconds
            for _ in range(jobs):
                self._enter(self._next_flood, draw())

    def _enter(self, now: float, run_time: float) -> float:
        begins = now
        if self._free:
            begins = max(now, heappop(self._free))
            heappush(self._free, begins + run_time)
        self._begins.append(begins)
        return begins

    def place(self, standing: int, now: float) -> int | None:
        """How many are before it in the line, None when it runs."""
        begun = bisect_right(self._begins, now)
        return standing - begun if standing >= begun else None


def _slow_down(jobs: Sequence[Job], now: float, factor: float) -> None:
    for job in jobs:
        job.ends = now + max(job.ends - now, 0.0) * factor + min(job.ends - now, 0.0)


def _first(job: Job, now: float, draw: float) -> float:
    return job.watch.next(now, draw)


def _noticed(job: Job, now: float) -> float:
    job.watch.finished(now)
    return now


def _missed(job: Job, now: float, place: int | None, draw: float) -> float:
    job.watch.missed(now, place)
    return job.watch.next(now, draw)


def _timed(played: Played, call: Callable[[], float]) -> float:
    began = thread_time_ns()
    answer = call()
    took = thread_time_ns() - began
    played.nanoseconds += took
    played.longest_call = max(played.longest_call, took)
    return answer


def in_steady_state(planner: PollPlanner, spread: Spread, jobs: int, seed: int = 5) -> tuple[float, float]:
    """Mean delay and calls of jobs that are polled as the planner would now, without its learning from them."""
    still, random = copy.deepcopy(planner), Random(seed)
    delays, calls = [], 0
    for _ in range(jobs):
        run_time = spread.draw(random)
        age, polls = still.first_poll(random.random()), 1
        while age < run_time:
            age, polls = still.next_poll(age, random.random()), polls + 1
        delays.append(age - run_time)
        calls += polls
    return fmean(delays), calls / jobs


def every(interval: float, run_times: Sequence[float]) -> tuple[float, float]:
    """Mean delay and calls when every job is asked about at a fixed interval."""
    calls = [max(ceil(run_time / interval), 1) for run_time in run_times]
    return fmean(n * interval - run_time for n, run_time in zip(calls, run_times, strict=True)), fmean(calls)


def interval_of(calls: float, run_times: Sequence[float]) -> float:
    """The fixed interval that makes so many calls a job."""
    low, high = min(run_times) / 100.0, max(run_times) * 2.0
    for _ in range(40):
        middle = sqrt(low * high)
        low, high = (middle, high) if every(middle, run_times)[1] > calls else (low, middle)
    return high


def most_within(polls: Sequence[float], seconds: float) -> int:
    """The largest number of polls in any stretch of so many seconds."""
    first = most = 0
    for last, at in enumerate(polls):
        while polls[first] < at - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most if polls else int(-inf)
