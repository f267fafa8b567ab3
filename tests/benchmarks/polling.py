"""The poll planner beside the best possible polls and beside fixed intervals, in plain virtual time.

A job costs its detection delay (seconds between its end and the poll that finds it ended) plus a price for every call.
For a distribution of run times that is known, dynamic programming gives the least possible mean; the planner has to
learn the distribution from what its own polls say. The first KNOWN jobs of a run are its schooling: what counts are
the jobs submitted once they were found.
"""

from collections.abc import Iterator
from functools import cache
from random import Random
from time import thread_time_ns

from batcher.pacing.polling import PollPlanner
from tests.benchmarks.table import Line
from tests.support.waiting import (
    Job,
    Played,
    Spread,
    World,
    best_cost,
    every,
    in_steady_state,
    interval_of,
    most_within,
)

KNOWN = 200
PRICES = (0.1, 0.5)  # seconds of delay that a call is worth
FLIGHTS = {64: 4_000, 1_000: 10_000}  # in flight, and jobs in all
CLOSE = 0.3  # above the least possible cost is close to it
WITHIN = 100  # jobs

LOG_NORMAL = {
    (median, sigma): Spread(f"log-normal {median:g} s, sigma {sigma:g}", ((1.0, median, sigma),))
    for median in (3.0, 8.0)
    for sigma in (0.15, 0.3, 0.5)
}
FIXED = {median: Spread(f"fixed {median:g} s", ((1.0, median, 0.0),)) for median in (3.0, 8.0)}
UNIFORM = Spread("uniform 2 to 10 s", low=2.0, high=10.0)
BIMODAL = Spread("bimodal 2 and 8 s", ((0.7, 2.0, 0.15), (0.3, 8.0, 0.15)))
SPREADS = [*LOG_NORMAL.values(), *FIXED.values(), UNIFORM, BIMODAL]


def measure() -> Iterator[Line]:
    yield from beside_the_best()
    yield from beside_fixed_intervals()
    yield by_default()
    yield from changes()
    yield from bursts()
    yield from places()
    yield from upkeep()


@cache
def played(spread: Spread, in_flight: int, price: float | None) -> Played:
    return World(spread=spread, in_flight=in_flight, jobs=FLIGHTS[in_flight]).play(PollPlanner(price))


def beside_the_best() -> Iterator[Line]:
    for price in PRICES:
        ratios = {}
        for spread in SPREADS:
            best = best_cost(spread, price)
            for in_flight in FLIGHTS:
                run = played(spread, in_flight, price)
                ratios[run.cost(price, after=KNOWN) / best] = (spread, in_flight, run, best)
        worst, (spread, in_flight, run, best) = max(ratios.items())
        mean = sum(ratios) / len(ratios)
        yield Line(
            what=f"delay + {price:g} s x calls, the worst of {len(ratios)} ({spread.name}, {in_flight} in flight)",
            value=run.cost(price, after=KNOWN),
            unit="s a job",
            against="the least possible",
            ratio=worst,
            note=f"least possible {best:.3g} s; {run.delay(KNOWN):.3g} s and {run.calls(KNOWN):.2f} calls; "
            f"the mean of all is {mean:.2f}",
        )


def beside_fixed_intervals() -> Iterator[Line]:
    for sigma, bound in ((0.15, None), (0.3, 0.65), (0.5, 0.90)):
        worst, of = max(_beside_fixed(LOG_NORMAL[median, sigma], price) for median in (3.0, 8.0) for price in _WITH)
        yield Line(
            what=f"delay, log-normal, sigma {sigma:g}, the worst of {2 * len(_WITH)}",
            value=of[0],
            unit="s",
            against="a fixed interval with as many calls",
            ratio=worst,
            bound="" if bound is None else f"<= {bound:.2f}",
            ok=None if bound is None else worst <= bound,
            note=f"{of[1]:.2f} calls a job; the fixed interval is {of[2]:.2f} s",
        )
    spread = LOG_NORMAL[3.0, 0.3]
    run_times = _sample(spread)
    run = played(spread, 64, None)
    fixed = "; ".join(
        "{:g} s: {:.2f} s and {:.1f} calls".format(at, *every(at, run_times)) for at in (0.1, 0.5, 2.0, 5.0)
    )
    share = run.delay(KNOWN) / 3.0
    yield Line(
        what=f"delay by default, {spread.name}",
        value=100 * share,
        unit="% of the median",
        bound="<= 12 %",
        ok=share <= 0.12,
        note=f"{run.calls(KNOWN):.1f} calls a job. Fixed intervals: {fixed}",
    )


_WITH = (None, *PRICES)


def _beside_fixed(spread: Spread, price: float | None) -> tuple[float, tuple[float, float, float]]:
    run, run_times = played(spread, 64, price), _sample(spread)
    delay, calls = run.delay(KNOWN), run.calls(KNOWN)
    interval = interval_of(calls, run_times)
    return delay / every(interval, run_times)[0], (delay, calls, interval)


@cache
def _sample(spread: Spread) -> list[float]:
    random = Random(7)
    return [spread.draw(random) for _ in range(10_000)]


def by_default() -> Line:
    shares = {}
    for spread in (*LOG_NORMAL.values(), UNIFORM, BIMODAL):
        run = played(spread, 64, None)
        shares[run.delay(KNOWN) / run.run_time(KNOWN)] = spread.name
    mean = sum(shares) / len(shares)
    return Line(
        what="delay by default, a mean over distributions",
        value=100 * mean,
        unit="% of the run time",
        bound="5 to 9 %",
        ok=0.05 <= mean <= 0.09,
        note=f"from {100 * min(shares):.1f} ({shares[min(shares)]}) to {100 * max(shares):.1f} "
        f"({shares[max(shares)]}); fixed run times {100 * played(FIXED[3.0], 64, None).delay(KNOWN) / 3.0:.1f}",
    )


def changes() -> Iterator[Line]:
    for in_flight in FLIGHTS:
        for word, factor in (("slower", 3.0), ("faster", 1 / 3)):
            took = {}
            for spread in (LOG_NORMAL[3.0, 0.3], LOG_NORMAL[8.0, 0.5], FIXED[3.0], BIMODAL):
                took[_jobs_until_noticed(spread, factor, in_flight)] = spread.name
            worst = max(took)
            yield Line(
                what=f"jobs until 3x {word} is noticed, {in_flight} in flight, the worst of 4 ({took[worst]})",
                value=worst,
                unit="jobs",
                bound=f"<= {WITHIN}",
                ok=worst <= WITHIN,
                note="of those submitted since: until half of what polls cost above the least possible is gone",
            )


def _jobs_until_noticed(spread: Spread, factor: float, in_flight: int) -> int:
    after = spread.times(factor)
    price, begins = PRICES[0], 2 * KNOWN + 2 * in_flight
    least = best_cost(after, price)
    at_first, later = 0.0, 0

    def above(planner: PollPlanner) -> float:
        delay, calls = in_steady_state(planner, after, 300)
        return (delay + price * calls) / least - 1.0

    def noticed(job: Job, run: Played) -> bool:
        nonlocal at_first, later
        if at_first == 0.0 and len(run.jobs) + in_flight >= begins:  # the first of the new kind is submitted
            at_first = above(run.planner)
        later += job.number >= begins
        return job.number >= begins and later % 5 == 1 and above(run.planner) <= max(at_first / 2.0, CLOSE)

    world = World(spread=spread, in_flight=in_flight, jobs=begins + 1_500, change=(begins, factor))
    world.play(PollPlanner(price), noticed)
    return later


def bursts() -> Iterator[Line]:
    for spread in (FIXED[3.0], LOG_NORMAL[3.0, 0.3]):
        run = World(spread=spread, in_flight=1_000, jobs=5_000, together=True).play(PollPlanner())
        middle = [at for at in run.polls if at < run.polls[-1] * 0.8]  # without the end, when fewer and fewer are left
        mean = len(middle) / middle[-1] * 0.1
        most = most_within(middle, 0.1)
        yield Line(
            what=f"most polls in any 100 ms, 1,000 jobs submitted at once, {spread.name}",
            value=most,
            unit="polls",
            against="the mean",
            ratio=most / mean,
            bound="<= 5",
            ok=most / mean <= 5.0,
        )


def places() -> Iterator[Line]:
    spread, price = LOG_NORMAL[3.0, 0.3], PRICES[1]
    for words, in_flight, others in (
        ("one that stays the same", 200, None),
        ("one that others flood", 20, (90.0, 200)),
    ):
        costs = {}
        for with_places in (False, True):
            world = World(spread=spread, in_flight=in_flight, jobs=2_000, slots=10, places=with_places, others=others)
            run = world.play(PollPlanner(price))
            costs[with_places] = run.cost(price, after=KNOWN), run.delay(KNOWN), run.calls(KNOWN)
        ratio = costs[True][0] / costs[False][0]
        bound = 0.5 if others else None
        yield Line(
            what=f"delay + {price:g} s x calls with places in a line, {words}",
            value=costs[True][0],
            unit="s a job",
            against="without places",
            ratio=ratio,
            bound="" if bound is None else f"<= {bound:g}",
            ok=None if bound is None else ratio <= bound,
            note="{:.2f} s and {:.1f} calls, instead of {:.2f} s and {:.1f} calls".format(
                *costs[True][1:], *costs[False][1:]
            ),
        )


def upkeep() -> Iterator[Line]:
    """The least of some runs each: what others do on this machine at the same time is not the planner's."""
    clock, costs, longest = _clock_costs(), {}, 0.0
    for spread in (LOG_NORMAL[8.0, 0.5], LOG_NORMAL[3.0, 0.3], BIMODAL, FIXED[3.0]):
        runs = [World(spread=spread, in_flight=64, jobs=3_000).play(PollPlanner()) for _ in range(3)]
        least = min(run.nanoseconds for run in runs) - clock * (len(runs[0].polls) + len(runs[0].jobs))
        costs[least / len(runs[0].jobs) / 1e3] = f"{spread.name}, {runs[0].calls(0):.1f} calls a job"
        longest = max(longest, min(run.longest_call for run in runs) / 1e6)
    worst = max(costs)
    yield Line(
        what=f"CPU of the planner by default, the most of {len(costs)} ({costs[worst]})",
        value=worst,
        unit="us a job",
        bound="<= 100",
        ok=worst <= 100.0,
        note=f"the least is {min(costs):.0f} us ({costs[min(costs)]}); a poll costs about 7 us, the rest is estimating",
    )
    yield Line(what="longest single call of the planner", value=longest, unit="ms CPU", bound="<= 5", ok=longest <= 5.0)


def _clock_costs() -> float:
    """Nanoseconds that reading the clock adds to what it measures."""
    began = thread_time_ns()
    for _ in range(10_000):
        thread_time_ns()
    return (thread_time_ns() - began) / 10_000
