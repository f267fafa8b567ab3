"""What the poll planner is made of: run times from looks, the best looks for them, changes, turns."""

from bisect import bisect_right
from random import Random
from statistics import quantiles

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.pacing.polling.drift import Drift
from batcher.pacing.polling.history import Memory
from batcher.pacing.polling.polls import SLACK, TAIL, Plan, best_looks
from batcher.pacing.polling.queue_line import Line
from batcher.pacing.polling.run_times import Look, RunTimes, estimate
from batcher.pacing.polling.turns import ALWAYS, WIDTH, Turns

prices = st.floats(0.001, 100.0)
looks = st.builds(
    lambda since, gap, hit, weight: Look(since, since + gap, hit, weight),
    st.floats(0.0, 1e4),
    st.floats(0.001, 1e4),
    st.booleans(),
    st.floats(0.04, 1.0),
)


@st.composite
def run_times(draw: st.DrawFn) -> RunTimes:
    steps = draw(st.lists(st.floats(0.01, 10.0), min_size=1, max_size=40))
    deaths = draw(st.lists(st.floats(0.0, 1.0), min_size=len(steps), max_size=len(steps)))
    ages, alive = [0.0], [1.0]
    for step, death in zip(steps, deaths, strict=True):
        ages.append(ages[-1] + step)
        alive.append(alive[-1] * (1.0 - death))
    return RunTimes.from_survival(ages, alive)


def price_of(times: RunTimes, price: float, at: int, to: int) -> float:
    """What the step from one look to the next costs, from the definition: a call, and the wait of those that ended."""
    calls = price * (1.0 - times.ended[at])
    between = [(i, times.ended[i + 1] - times.ended[i]) for i in range(at, to)]
    return calls + sum(share * (times.ages[to] - (times.ages[i] + times.ages[i + 1]) / 2) for i, share in between)


def least(times: RunTimes, price: float) -> list[float]:
    """By trying every next look after every look."""
    last = len(times.ages) - 1
    cost = [0.0] * last + [(1.0 - times.ended[-1]) * price * TAIL]
    for at in range(last - 1, -1, -1):
        cost[at] = min(price_of(times, price, at, to) + cost[to] for to in range(at + 1, last + 1))
    return cost


@given(times=run_times(), price=prices)
def test_no_other_looks_cost_less(times: RunTimes, price: float) -> None:
    plan = best_looks(times, price)
    for planned, possible in zip(plan.cost, least(times, price), strict=True):
        assert planned == pytest.approx(possible, rel=1e-6, abs=1e-6)


@given(times=run_times(), price=prices)
def test_delay_and_calls_of_a_plan_add_up_to_its_cost(times: RunTimes, price: float) -> None:
    plan = best_looks(times, price)
    delay, calls = plan.expected()
    assert delay + price * calls + (1.0 - times.ended[-1]) * price * TAIL == pytest.approx(plan.cost[0], abs=1e-6)


@given(times=run_times(), price=prices, part=st.floats(0.0, 1.0, exclude_max=True))
def test_a_look_anywhere_in_its_range_is_later_and_costs_hardly_more(
    times: RunTimes, price: float, part: float
) -> None:
    plan, age = best_looks(times, price), part * times.longest
    low, high = plan.range_after(age)
    assert age < low <= high <= times.longest
    at = next(i for i, known in enumerate(times.ages) if known >= age)
    if at == len(times.ages) - 1:
        return
    for to in range(at + 1, len(times.ages)):
        if low <= times.ages[to] <= high:
            assert price_of(times, price, at, to) + plan.cost[to] <= plan.cost[at] * (1.0 + SLACK) + 1e-6


def seen(spread: list[float], random: Random, *, gap: float, until: float) -> list[Look]:
    """Looks at jobs of those run times, at ages that differ; beyond ``until`` nobody looks."""
    found = []
    for run_time in spread:
        since, age = 0.0, gap * random.random()
        while age < until:
            found.append(Look(since, age, age >= run_time))
            if age >= run_time:
                break
            since, age = age, age + gap
    return found


@settings(max_examples=50, deadline=None)
@given(history=st.lists(looks, min_size=1, max_size=80))
def test_whatever_was_seen_an_estimate_is_a_distribution(history: list[Look]) -> None:
    if not any(look.hit for look in history):
        return
    times = estimate(history)
    again = estimate(history, times)
    for known in (times, again):
        assert all(a < b for a, b in zip(known.ages, known.ages[1:], strict=False))
        assert all(0.0 <= a <= b <= 1.0 for a, b in zip(known.ended, known.ended[1:], strict=False))
        assert known.ages[0] == known.ended[0] == 0.0
        assert 0.0 <= known.mean <= known.longest


@given(times=run_times(), share=st.floats(0.0, 1.0))
def test_the_age_at_which_a_share_has_ended_is_where_it_has(times: RunTimes, share: float) -> None:
    age = times.age_at(share)
    assert 0.0 <= age <= times.longest
    if share <= times.ended[-1]:
        assert times.share_ended(age) >= share - 1e-6


def test_run_times_are_learned_from_looks_alone() -> None:
    random = Random(1)
    spread = [random.lognormvariate(1.0, 0.3) for _ in range(400)]
    times = estimate(seen(spread, random, gap=1.0, until=20.0))
    for share, real in zip((0.1, 0.3, 0.5, 0.7, 0.9), quantiles(spread, n=10)[::2], strict=True):
        assert times.age_at(share) == pytest.approx(real, rel=0.12)


def test_jobs_that_still_run_are_not_forgotten() -> None:
    random = Random(1)
    spread = [random.uniform(0.0, 10.0) for _ in range(600)]
    times = estimate(seen(spread, random, gap=1.0, until=4.0))  # three of five are never found
    assert times.share_ended(2.0) == pytest.approx(0.2, abs=0.04)
    assert times.share_ended(3.5) == pytest.approx(0.35, abs=0.05)


def test_looks_are_learned_from_without_what_was_seen_before_them() -> None:
    random = Random(1)
    spread = [random.uniform(2.0, 6.0) for _ in range(600)]
    late = [look for look in seen(spread, random, gap=0.5, until=20.0) if look.since >= 3.0]
    times = estimate([*late, Look(0.0, 3.0, hit=False)])
    left = (1.0 - times.share_ended(5.0)) / (1.0 - times.share_ended(3.5))
    assert left == pytest.approx(1.0 / 2.5, abs=0.06)


def test_an_estimate_settles_on_run_times_that_do_not_differ() -> None:
    random, memory = Random(1), Memory()
    for _ in range(100):
        for look in seen([5.0], random, gap=0.3, until=9.0):
            memory.learn(look)
    assert memory.times is not None
    assert memory.times.age_at(0.1) > 4.7
    assert memory.times.age_at(0.9) < 5.3


def uniform(low: float, high: float) -> RunTimes:
    ages = [0.0, *(low + (high - low) * step / 50 for step in range(51))]
    return RunTimes.from_survival(ages, [1.0, *(1.0 - step / 50 for step in range(51))])


def looks_until_change(factor: float, most: int) -> int:
    random, drift, times = Random(2), Drift(), uniform(4.0, 8.0)
    done = 0
    while done < most:
        for look in seen([random.uniform(4.0, 8.0) * factor], random, gap=2.0, until=1e9):
            done += 1
            if drift.see(times, look):
                return done
    return most


def test_a_service_that_stays_the_same_is_not_taken_for_another() -> None:
    assert looks_until_change(1.0, 20_000) == 20_000


@pytest.mark.parametrize("factor", [3.0, 1 / 3])
def test_a_service_three_times_slower_or_faster_is_another_within_fifty_looks(factor: float) -> None:
    assert looks_until_change(factor, 1000) <= 50


def test_what_was_learned_before_a_change_is_forgotten() -> None:
    random, memory = Random(1), Memory()
    for factor in (1.0, 5.0):
        for _ in range(150):
            for look in seen([random.uniform(4.0, 8.0) * factor], random, gap=2.0, until=1e9):
                memory.learn(look)
    assert memory.changes >= 1
    assert memory.times is not None
    assert memory.times.share_ended(15.0) < 0.05


@given(wanted=st.lists(st.floats(0.0, 100.0), min_size=1, max_size=200))
def test_nobody_is_called_before_it_is_wanted(wanted: list[float]) -> None:
    turns = Turns()
    for at in wanted:
        assert turns.book(0.0, at) >= at


def test_a_thousand_looks_wanted_at_once_are_spread_out() -> None:
    turns = Turns()
    at = sorted(turns.book(0.0, 3.0) for _ in range(1000))
    assert max(bisect_right(at, start + 2 * WIDTH) - i for i, start in enumerate(at)) <= 3 * 45
    assert at[-1] < 3.0 + 3.0


def test_looks_that_are_apart_stay_where_they_are_wanted() -> None:
    turns, random = Turns(), Random(1)
    for now in range(1000):
        for _ in range(ALWAYS):
            wanted = now + 5.0 + random.random()
            assert turns.book(float(now), wanted) <= wanted + 2 * WIDTH


def test_looks_that_are_over_make_room() -> None:
    turns = Turns()
    for now in range(100):
        for _ in range(10):
            turns.book(float(now), now + 2.0)
    assert turns.booked <= 30
    turns.book(1e6, 1e6 + 1.0)
    assert turns.booked == 1


def test_a_line_that_moves_says_when_a_job_begins() -> None:
    line = Line()
    assert line.seen(0.0, 1.0, 50) is None
    line.moved(10, 5.0)
    begins = line.seen(0.0, 6.0, 20)
    assert begins is not None
    assert begins == pytest.approx(6.0 + 0.9 * 21 * 0.5)
    assert line.begins(7.0) == begins
    assert line.begins(begins + 0.1) is None


def test_one_new_job_in_eight_is_asked_about_as_if_there_were_no_line() -> None:
    line = Line()
    line.moved(10, 5.0)
    line.seen(0.0, 6.0, 20)
    assert sum(line.begins(7.0) is None for _ in range(80)) == 10
    line.over(1.0)
    assert line.begins(7.0) is None


def test_a_plan_is_as_good_for_a_job_that_was_looked_at_elsewhere() -> None:
    plan: Plan = best_looks(uniform(4.0, 8.0), 0.1)
    low, high = plan.range_after(5.013)
    assert 5.013 < low <= high < 8.0
