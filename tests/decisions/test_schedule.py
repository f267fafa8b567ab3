"""When a job is looked at: never in the past, rarely in vain, soon after it is finished."""

from itertools import pairwise
from random import Random
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.schedule import LONGEST, SHARE, SHORTEST, WINDOW, PollPlanner

draws = st.floats(0.0, 1.0, exclude_max=True)
ages = st.floats(0.0, 1e6)
histories = st.lists(st.floats(0.01, 5000.0), max_size=3 * WINDOW)


def learned(run_times: list[float]) -> PollPlanner:
    planner = PollPlanner()
    for run_time in run_times:
        planner.learn(run_time)
    return planner


def live(planner: PollPlanner, run_time: float, random: Random) -> tuple[int, float]:
    """One job of that run time is watched to its end: the looks it took and the delay until it was noticed."""
    age, looks = 0.0, 0
    while age < run_time:
        age = planner.next_look(age, random.random())
        looks += 1
    planner.learn(age, first_look=looks == 1)
    return looks, age - run_time


def watch(planner: PollPlanner, run_time: float, jobs: int, random: Random) -> tuple[float, float]:
    """Looks a job and delay as a share of the run time, on average over some jobs of about that run time."""
    seen = [live(planner, run_time * random.lognormvariate(0.0, 0.15), random) for _ in range(jobs)]
    return mean(looks for looks, _ in seen), mean(delay for _, delay in seen) / run_time


@given(history=histories, age=ages, draw=draws)
def test_the_next_look_is_never_now_or_in_the_past(history: list[float], age: float, draw: float) -> None:
    assert learned(history).next_look(age, draw) > age


@given(history=histories, age=ages, draw=draws)
def test_a_gap_is_bounded_once_a_look_was_worth_a_call(history: list[float], age: float, draw: float) -> None:
    planner = learned(history)
    if age < planner.early:
        return
    gap = planner.next_look(age, draw) - age
    assert SHORTEST * 0.999 <= gap <= 1.25 * min(max(age * SHARE, SHORTEST), LONGEST) * 1.001


@given(history=histories, draw=draws)
def test_the_first_look_waits_for_the_early_run_times_and_not_much_longer(history: list[float], draw: float) -> None:
    planner = learned(history)
    assert planner.next_look(0.0, draw) <= max(1.05 * planner.early, 1.25 * SHORTEST)
    assert planner.next_look(0.0, draw) >= 0.95 * planner.early


@given(history=histories, draw=draws, first=ages, later=ages)
def test_an_older_job_is_looked_at_later(history: list[float], draw: float, first: float, later: float) -> None:
    planner = learned(history)
    young, old = sorted((first, later))
    assert planner.next_look(young, draw) <= planner.next_look(old, draw) * 1.0000001


def test_jobs_submitted_together_are_not_looked_at_together() -> None:
    planner = learned([10.0] * WINDOW)
    looks = [planner.next_look(0.0, step / 50) for step in range(50)]
    assert len(set(looks)) == 50
    assert max(looks) - min(looks) > 0.5
    later = [planner.next_look(100.0, step / 50) for step in range(50)]
    assert max(later) - min(later) > 0.2 * SHARE * 100.0


@pytest.mark.parametrize("run_time", [0.5, 5.0, 60.0, 600.0])
def test_the_delay_is_a_small_share_of_the_run_time_at_every_scale(run_time: float) -> None:
    random, planner = Random(1), PollPlanner()
    watch(planner, run_time, 200, random)
    looks, delay = watch(planner, run_time, 500, random)
    assert delay < max(0.12, SHORTEST / run_time)
    assert looks < 6 + run_time / LONGEST / 3


def test_looks_grow_with_the_logarithm_of_the_age() -> None:
    ages = [0.0]
    planner = PollPlanner()
    while ages[-1] < 200.0:
        ages.append(planner.next_look(ages[-1], 0.5))
    decades = [sum(low <= age < 10 * low for age in ages) for low in (2.0, 20.0)]
    assert abs(decades[0] - decades[1]) <= 2
    assert all(later - earlier >= SHORTEST for earlier, later in pairwise(ages))


@pytest.mark.parametrize("run_time", [3.0, 30.0])
def test_a_service_that_turns_three_times_slower_is_noticed_within_a_hundred_jobs(run_time: float) -> None:
    random, planner = Random(2), PollPlanner()
    before, _ = watch(planner, run_time, 400, random)
    surprised, _ = watch(planner, 3 * run_time, 30, random)
    watch(planner, 3 * run_time, 70, random)
    looks, _ = watch(planner, 3 * run_time, 100, random)
    assert surprised > before + 4
    assert looks < before + 1.5


@pytest.mark.parametrize("run_time", [3.0, 30.0])
def test_a_service_that_turns_three_times_faster_is_noticed_within_a_hundred_jobs(run_time: float) -> None:
    random, planner = Random(3), PollPlanner()
    watch(planner, run_time, 400, random)
    _, surprised = watch(planner, run_time / 3, 20, random)
    watch(planner, run_time / 3, 80, random)
    _, delay = watch(planner, run_time / 3, 100, random)
    assert surprised > 0.5
    assert delay < 0.12


def test_only_the_newest_run_times_count() -> None:
    planner = learned([100.0] * 500 + [1.0] * WINDOW)
    assert planner.typical == 1.0
    assert planner.early == 1.0


def test_before_anything_is_known_the_first_look_comes_within_about_a_second() -> None:
    assert 0.9 <= PollPlanner().next_look(0.0, 0.5) <= 1.1
    assert PollPlanner().typical is None


def test_the_typical_run_time_is_the_median() -> None:
    assert learned([5.0, 1.0, 9.0]).typical == 5.0
