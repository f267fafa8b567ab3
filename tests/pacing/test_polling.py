"""When a job is polled: never in the past, rarely in vain, soon after it is finished."""

from collections.abc import Callable
from itertools import pairwise
from random import Random
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.pacing.polling import ENOUGH, FURTHEST, KEPT, LEADERS, LONGEST, SHARE, SHORTEST, SPREAD, PollPlanner, Watch
from tests.support.waiting import Spread, World

draws = st.floats(0.0, 1.0, exclude_max=True)
ages = st.floats(0.0, 1e6)
brackets = st.builds(lambda since, gap: (since, since + gap), st.floats(0.0, 500.0), st.floats(0.01, 500.0))
histories = st.lists(brackets, max_size=60)  # of jobs: unfinished at one age, finished at another


def taught(history: list[tuple[float, float]], price: float | None = None) -> PollPlanner:
    planner = PollPlanner(price)
    for since, age in history:
        planner.learn(since, age)
    return planner


class School:
    """Jobs that come one after the other, each watched to its end."""

    def __init__(self, price: float | None = None, *, learns: bool = True) -> None:
        self.planner = PollPlanner(price)
        self.random = Random(1)
        self.learns = learns
        self.now = 0.0

    def live(self, run_time: float) -> tuple[int, float]:
        """The polls it took and the delay until it was noticed."""
        watch, calls, ends = self.planner.watch(self.now, learns=self.learns), 1, self.now + run_time
        at = watch.next(self.now, self.random.random())
        while at < ends:
            watch.missed(at, None)
            at, calls = watch.next(at, self.random.random()), calls + 1
        watch.finished(at)
        self.now = at
        return calls, at - ends

    def watch(self, run_time: float, jobs: int, sigma: float = 0.15) -> tuple[float, float]:
        """Looks a job and delay as a share of the run time, on average over some jobs of about that run time."""
        seen = [self.live(run_time * self.random.lognormvariate(0.0, sigma)) for _ in range(jobs)]
        return mean(calls for calls, _ in seen), mean(delay for _, delay in seen) / run_time


def schooled(run_time: float, jobs: int = 300, price: float | None = None) -> PollPlanner:
    school = School(price)
    school.watch(run_time, jobs)
    return school.planner


@given(history=histories, age=ages, draw=draws)
def test_the_next_poll_is_never_now_or_in_the_past(history: list[tuple[float, float]], age: float, draw: float) -> None:
    assert taught(history).next_poll(age, draw) >= age + SHORTEST * 0.999


@given(history=histories, draw=draws)
def test_a_first_poll_is_never_at_once(history: list[tuple[float, float]], draw: float) -> None:
    planner = taught(history)
    for _ in range(50):
        assert planner.first_poll(draw) >= SHORTEST * 0.999


@given(history=histories, age=ages, draw=draws)
def test_beyond_everything_seen_gaps_are_in_proportion_to_the_age_and_bounded(
    history: list[tuple[float, float]], age: float, draw: float
) -> None:
    planner = taught(history)
    age += max([0.0, *(age for _, age in history)])
    gap = planner.next_poll(age, draw) - age
    assert SHORTEST * 0.999 <= gap <= (1.0 + SPREAD) * min(max(age * SHARE, SHORTEST), LONGEST) * 1.001


@settings(max_examples=15, deadline=None)
@given(run_time=st.floats(0.3, 300.0), draw=draws)
def test_a_first_poll_never_comes_long_after_all_jobs_have_ended(run_time: float, draw: float) -> None:
    assert schooled(run_time, 200).next_poll(0.0, draw) <= max(2.0 * run_time, SHORTEST)


def test_the_same_polls_make_the_same_plan() -> None:
    assert [schooled(5.0).next_poll(at / 2, 0.5) for at in range(20)] == [
        schooled(5.0).next_poll(at / 2, 0.5) for at in range(20)
    ]


def test_jobs_submitted_together_are_not_polled_together() -> None:
    planner = schooled(10.0)
    at = [planner.next_poll(0.0, step / 50) for step in range(50)]
    assert len(set(at)) == 50
    assert max(at) - min(at) > 0.05


@pytest.mark.parametrize("run_time", [0.5, 5.0, 60.0, 600.0])
def test_the_delay_is_a_small_share_of_the_run_time_at_every_scale(run_time: float) -> None:
    school = School()
    school.watch(run_time, 200)
    calls, delay = school.watch(run_time, 500)
    assert delay < max(0.15, 1.5 * SHORTEST / run_time)
    assert calls < 4


def test_run_times_that_do_not_differ_take_one_poll() -> None:
    school = School()
    school.watch(7.0, 300, sigma=0.0)
    calls, delay = school.watch(7.0, 300, sigma=0.0)
    assert calls < 1.25  # one first poll in twelve comes early
    assert delay < 0.02


def test_a_call_that_is_dearer_is_made_less_often() -> None:
    calls = []
    for price in (0.02, 0.2, 2.0):
        school = School(price)
        school.watch(5.0, 200)
        calls.append(school.watch(5.0, 300)[0])
    assert calls[0] > calls[1] + 0.5
    assert calls[1] > calls[2] + 0.3


def test_polls_grow_with_the_logarithm_of_the_age() -> None:
    ages = [0.0]
    planner = PollPlanner()
    while ages[-1] < 200.0:
        ages.append(planner.next_poll(ages[-1], 0.5))
    decades = [sum(low <= age < 10 * low for age in ages) for low in (2.0, 20.0)]
    assert abs(decades[0] - decades[1]) <= 2
    assert all(later - earlier >= SHORTEST for earlier, later in pairwise(ages))


def test_where_many_wait_and_nothing_is_known_few_are_polled_for_all() -> None:
    planner = PollPlanner()
    watches = [planner.watch(0.0) for _ in range(1000)]
    polls = [_first_poll(watch) for watch in watches]
    assert sum(poll is not None for poll in polls) == LEADERS


def _first_poll(watch: Watch) -> float | None:
    """Of a job that began at 0, if it comes in the first two seconds; for others to be heard of, it does not end."""
    now = 0.0
    while now < 2.0:
        now = watch.next(now, 0.5)
        if not watch.follows:
            return now
    return None


def test_jobs_that_take_no_time_are_noticed_at_once_however_many() -> None:
    spread = Spread("none", ((1.0, 0.001, 0.0),))
    run = World(spread=spread, in_flight=256, jobs=3000, pace=1e6).play(PollPlanner())
    assert mean(job.delay for job in run.jobs) < 2 * SHORTEST
    assert max(job.delay for job in run.jobs) < 0.5


def test_a_follower_is_polled_all_the_same_when_no_leader_ever_comes_back() -> None:
    planner = PollPlanner()
    for _ in range(LEADERS):
        planner.watch(0.0).next(0.0, 0.5)
    watch, now = planner.watch(0.0), 0.0
    while (now := watch.next(now, 0.5)) < 100.0 and watch.follows:
        pass
    assert now < 1.2 * LONGEST


@pytest.mark.parametrize("run_time", [3.0, 10.0, 30.0])
def test_of_thousands_alike_none_waits_long_for_its_notice_even_when_nothing_is_known(run_time: float) -> None:
    spread = Spread("alike", ((1.0, run_time, 0.0),))
    run = World(spread=spread, in_flight=3000, jobs=6000, pace=1000.0).play(PollPlanner())
    assert max(job.delay for job in run.jobs) <= 0.15 * run_time + 1.0
    assert run.calls(0) < 4.0


@pytest.mark.parametrize("run_time", [3.0, 30.0])
@pytest.mark.parametrize("factor", [3.0, 1 / 3])
def test_a_service_that_turns_three_times_slower_or_faster_is_noticed_within_a_hundred_jobs(
    run_time: float, factor: float
) -> None:
    school = School()
    before, _ = school.watch(run_time, 400)
    school.watch(factor * run_time, 100)
    calls, delay = school.watch(factor * run_time, 100)
    assert calls < before + 1.0
    assert delay < 0.2  # unnoticed: above 1 when it is faster


def test_even_where_every_job_takes_equally_long_a_faster_service_is_noticed() -> None:
    school = School()
    school.watch(9.0, 400, sigma=0.0)
    school.watch(3.0, 100, sigma=0.0)
    assert school.watch(3.0, 100, sigma=0.0)[1] < 0.4


def test_jobs_of_an_earlier_process_teach_nothing() -> None:
    school = School(learns=False)
    school.watch(5.0, 100)
    assert not school.planner.knows


def test_a_job_of_an_earlier_process_is_asked_about_by_its_age() -> None:
    planner = schooled(10.0)
    watch = planner.watch(-300.0, learns=False)  # asked about at 0, at 300 seconds of age
    watch.missed(0.0, None)
    assert watch.next(0.0, 0.5) > 10.0


def test_jobs_of_an_earlier_process_are_asked_about_soon_where_no_other_is_there_to_learn_from() -> None:
    planner = PollPlanner()
    watches = [planner.watch(-1.0, learns=False) for _ in range(3)]
    for watch in watches:
        watch.missed(0.0, None)
        assert 0.0 < watch.next(0.0, 0.5) < 1.0
        assert not watch.follows


def in_line(
    planner: PollPlanner, submitted: float, place_at: Callable[[float], int | None], until: float
) -> list[float]:
    """When a job is polled that stands where it is said to, and never ends."""
    watch, now, at = planner.watch(submitted), submitted, []
    while (now := watch.next(now, 0.5)) < until:
        at.append(now)
        watch.missed(now, place_at(now))
    return at


def test_a_job_far_back_in_the_line_is_asked_about_when_the_line_has_moved() -> None:
    school = School()
    school.watch(3.0, 300)
    start = school.now
    at = in_line(school.planner, start, lambda now: max(200 - int(now - start), 0), until=start + 200.0)
    assert len(at) < 12
    assert max(at) > start + 150.0


def test_without_places_the_same_job_is_asked_about_more_often() -> None:
    school = School()
    school.watch(3.0, 300)
    assert len(in_line(school.planner, school.now, lambda _: None, until=school.now + 200.0)) > 15


@given(place=st.integers(0, 10**9), submitted=st.floats(0.0, 1e6))
@settings(max_examples=30, deadline=None)
def test_a_place_that_never_changes_keeps_nobody_from_asking(place: int, submitted: float) -> None:
    at = in_line(PollPlanner(), submitted, lambda _: place, until=submitted + 1000.0)
    gaps = [later - earlier for earlier, later in pairwise([submitted, *at])]
    assert max(gaps) <= FURTHEST + LONGEST * (1.0 + SPREAD)


@given(places=st.lists(st.none() | st.integers(0, 10**9), min_size=1, max_size=20), draw=draws)
def test_places_that_jump_about_never_put_a_poll_further_off_than_the_job_has_waited(
    places: list[int | None], draw: float
) -> None:
    watch, now = PollPlanner().watch(0.0), 0.0
    for place in places:
        at = watch.next(now, draw)
        assert now < at <= now + 2.0 * max(FURTHEST, now) + LONGEST
        now = at
        watch.missed(now, place)


@given(histories)
def test_whatever_was_seen_is_learned_without_trouble(history: list[tuple[float, float]]) -> None:
    planner = taught(history)
    assert planner.knows == (len(history) >= ENOUGH) or planner.changes


@given(histories, st.floats(0.001, 100.0), draws)
def test_every_poll_is_later_and_none_waits_for_longer_than_the_longest_job(
    history: list[tuple[float, float]], price: float, draw: float
) -> None:
    planner, at = taught(history, price), 0.0
    longest = max([1.0, *(age for _, age in history)])
    while at < longest:
        later = planner.next_poll(at, draw)
        assert at < later <= max(longest * 1.02, at + (1.0 + SPREAD) * min(max(at * SHARE, SHORTEST), LONGEST) * 1.001)
        at = later


def test_run_times_are_learned_from_polls_alone() -> None:
    school = School()
    school.watch(5.0, KEPT, sigma=0.2)
    at = school.planner.next_poll(0.0, 0.5)
    assert 5.0 * 0.6 < at < 5.0


def test_a_service_that_stays_the_same_is_not_taken_for_another() -> None:
    school = School()
    school.watch(5.0, 5_000, sigma=0.3)
    assert school.planner.changes <= 1
