"""What the poll planner is made of: a sample of run times, the best polls for it, changes, turns."""

from bisect import bisect_right
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.pacing.polling.polls import best_polls
from batcher.pacing.polling.queue_line import Line
from batcher.pacing.polling.run_times import ENOUGH, KEPT, Look, Memory, RunTimes
from batcher.pacing.polling.turns import ALWAYS, WIDTH, Turns

samples = st.lists(st.floats(0.01, 1e4), min_size=ENOUGH, max_size=KEPT)
looks = st.builds(
    lambda since, gap, hit: Look(since, since + gap, hit), st.floats(0.0, 1e4), st.floats(0.001, 1e4), st.booleans()
)


@given(samples)
def test_a_sample_is_a_distribution(sample: list[float]) -> None:
    times = RunTimes.of(sample)
    assert times.ended[0] == 0.0
    assert times.ended[-1] == 1.0
    assert list(times.ended) == sorted(times.ended)
    assert all(low < high for low, high in zip(times.ages, times.ages[1:], strict=False))
    assert times.share_ended(times.longest) == 1.0


@given(samples, st.floats(0.0, 1.0))
def test_the_age_at_which_a_share_has_ended_is_where_it_has(sample: list[float], share: float) -> None:
    times = RunTimes.of(sample)
    assert 0.0 <= times.age_at(share) <= times.longest * 1.000001
    assert times.share_ended(times.age_at(share)) == pytest.approx(share, abs=0.02)


@given(samples, st.floats(0.001, 100.0))
def test_no_other_polls_cost_less_and_every_poll_is_later(sample: list[float], price: float) -> None:
    times = RunTimes.of(sample)
    plan = best_polls(times, price)
    assert all(best > at for at, best in enumerate(plan.best[:-1]))
    assert 0.0 <= plan.delay <= times.longest
    for age in times.ages[:-1]:
        low, high = plan.range_after(age)
        assert age < low <= high


@given(st.lists(looks, max_size=200))
def test_whatever_was_seen_is_learned_without_trouble(history: list[Look]) -> None:
    memory = Memory()
    for look in history:
        memory.learn(look)
    assert memory.times is None or memory.times.longest > 0.0


def taught(median: float, jobs: int, memory: Memory, random: Random) -> Memory:
    """Jobs that are polled every tenth of their median."""
    for _ in range(jobs):
        run_time, age = median * random.lognormvariate(0.0, 0.2), 0.0
        while age < run_time:
            since, age = age, age + median * (0.05 + 0.1 * random.random())
            memory.learn(Look(since, age, age >= run_time))
    return memory


def test_run_times_are_learned_from_polls_alone() -> None:
    times = taught(5.0, 400, Memory(), Random(1)).times
    assert times is not None
    assert times.age_at(0.5) == pytest.approx(5.0, rel=0.05)
    assert times.age_at(0.9) == pytest.approx(5.0 * 1.292, rel=0.08)


def test_a_service_that_stays_the_same_is_not_taken_for_another() -> None:
    assert taught(5.0, 5_000, Memory(), Random(2)).changes <= 2


@pytest.mark.parametrize("factor", [3.0, 1 / 3])
def test_a_service_three_times_slower_or_faster_is_another_within_thirty_jobs(factor: float) -> None:
    random = Random(3)
    memory = taught(5.0, 400, Memory(), random)
    before = memory.changes
    taught(5.0 * factor, 30, memory, random)
    assert memory.changes == before + 1
    assert memory.times is not None
    assert memory.times.age_at(0.5) == pytest.approx(5.0 * factor, rel=0.15)


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
