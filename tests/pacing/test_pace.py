"""The rate limit: smooth, reached and never exceeded; and what the pace learns from being refused.

The second half plays services with a limit of their own that nobody told us against the pace: tests/hidden_limit.py.
"""

from bisect import bisect_right
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.pacing import LATE, Pace, SlowStart
from batcher.pacing.pace import UNKNOWN
from batcher.pacing.service_limit import LONGER, QUIETEST, SLOWEST
from tests.support.hidden_limit import FITTED, KINDS, WAYS, Seen, Way, made, play, shared
from tests.support.limiters import Bucket, Limit

rates = st.floats(0.05, 300.0)
waits = st.lists(st.floats(0.0, 3.0) | st.floats(0.0, 0.01), min_size=1, max_size=200)


def fullest_second(starts: list[float]) -> int:
    """The most starts that any window of one second holds, both of its ends included."""
    return max(bisect_right(starts, first + 1.0 - 1e-9) - index for index, first in enumerate(starts))


@given(rate=rates, gaps=waits)
def test_starts_are_ordered_and_never_before_they_were_asked_for(rate: float, gaps: list[float]) -> None:
    pace, now, last = Pace(rate), 0.0, 0.0
    for gap in gaps:
        now += gap
        start = pace.reserve(now)
        assert start >= max(now, last)
        last = start


@given(rate=rates, gaps=waits)
def test_no_second_holds_more_than_the_rate_and_one(rate: float, gaps: list[float]) -> None:
    pace, now, starts = Pace(rate), 0.0, []
    for gap in gaps:
        now += gap
        starts.append(pace.reserve(now))
    assert fullest_second(starts) <= rate + 1


@given(rate=st.floats(0.5, 300.0), seed=st.integers(0, 10**6))
def test_no_second_holds_more_than_the_rate_and_one_for_a_loop_that_is_late_at_random(rate: float, seed: int) -> None:
    pace, now, starts, random = Pace(rate), 0.0, [], Random(seed)
    for _ in range(600):
        start = pace.reserve(now)
        starts.append(start)
        now = max(now, start) + random.choice([0.0, 0.0001, 0.004, 0.02, 0.3 * random.random() ** 4])
    assert fullest_second(starts) <= rate + 1


@pytest.mark.parametrize("rate", [1.0, 2.0, 3.3, 10.0, 50.0, 120.0, 200.0, 300.0])
def test_a_loop_that_is_a_little_late_reaches_the_rate_that_was_asked_for(rate: float) -> None:
    pace, now, starts, random = Pace(rate), 0.0, [], Random(4)
    while now < 30.0:
        start = pace.reserve(now)
        starts.append(start)
        if start > now:  # it has to sleep, and wakes up late
            now = start + 0.004 * random.random()
    assert sum(start < 30.0 for start in starts) >= 0.99 * rate * 30.0


@given(
    rate=st.floats(0.5, 300.0),
    late=st.lists(st.floats(0.0, 0.004) | st.floats(0.0, 0.15) | st.just(1.5), min_size=30, max_size=200),
    on_time=st.integers(0, 5),
)
def test_no_second_holds_more_than_the_rate_and_one_however_late_the_loop_is(
    rate: float, late: list[float], on_time: int
) -> None:
    """Booked as they leave; every few in a row on time, so that there is something to make up for and a chance to."""
    pace, now, starts = Pace(rate), 0.0, []
    for at, delay in enumerate(late * 4):
        now = max(now, pace.due) + (delay if at % (on_time + 1) == 0 else 0.0)
        assert pace.reserve(now) == now
        starts.append(now)
    assert fullest_second(starts) <= rate + 1


@pytest.mark.parametrize("rate", [10.0, 100.0, 300.0])
def test_a_loop_that_is_far_too_late_once_a_second_reaches_the_rate_all_the_same(rate: float) -> None:
    pace, now, starts = Pace(rate), 0.0, []
    while now < 60.0:
        before, now = now, max(now + 0.0003, pace.next_start(now))
        now += 0.02 * (int(before) != int(now))
        pace.reserve(now)
        starts.append(now)
    assert len(starts) >= 0.99 * rate * 60.0
    assert fullest_second(starts) <= rate + 1


def test_a_pause_is_made_up_for_by_a_fifth_of_a_second_at_most() -> None:
    pace = Pace(30.0)
    pace.reserve(0.0)
    starts = [pace.reserve(60.0) for _ in range(12)]
    assert starts.count(60.0) <= 1 + 30.0 * LATE
    assert starts[-1] >= 60.0 + 11 / 30.0 - LATE


@given(rate=rates, gaps=waits)
def test_what_is_foretold_is_what_is_booked(rate: float, gaps: list[float]) -> None:
    pace, now = Pace(rate), 0.0
    for gap in gaps:
        now += gap
        foretold = pace.next_start(now)
        assert pace.next_start(now) == foretold
        assert pace.reserve(now) == foretold


def test_without_a_limit_nobody_waits() -> None:
    pace = Pace(None)
    assert pace.interval == 0.0
    assert [pace.reserve(5.0) for _ in range(100)] == [5.0] * 100


# After a refusal.


@given(rate=rates, retry_after=st.none() | st.floats(0.0, 3600.0), late=st.floats(0.0, 30.0))
def test_after_a_refusal_nothing_starts_before_the_service_allows_it(
    rate: float, retry_after: float | None, late: float
) -> None:
    pace = Pace(rate)
    for count in range(5):
        pace.reserve(count / rate)
    now = 5 / rate
    pace.refused(now, retry_after)
    earliest = now + max(UNKNOWN, retry_after or 0.0)
    assert pace.next_start(now + late) >= earliest
    assert pace.reserve(now + late) >= earliest


def test_the_longest_of_several_retry_afters_counts() -> None:
    pace = Pace(5.0)
    pace.reserve(0.0)
    pace.refused(0.1, 30.0)
    pace.refused(0.2, 2.0)
    assert pace.reserve(0.3) >= 30.1


def used_up(rate: float) -> tuple[Pace, float]:
    """A pace after its first refusal, and the time it was heard of."""
    pace, now = Pace(rate), 0.0
    for _ in range(20):
        now = pace.reserve(now)
    pace.refused(now + 0.05, None, now)
    return pace, now + 0.05


@given(rate=st.floats(1.0, 300.0), late=st.lists(st.floats(0.0, 0.9), min_size=1, max_size=100))
def test_refusals_of_one_episode_cut_the_pace_once(rate: float, late: list[float]) -> None:
    pace, now = used_up(rate)
    once, begins = pace.rate, pace.next_start(now)
    for delay in sorted(late):
        pace.refused(now + delay, None, now - 0.01)
    assert pace.rate == once
    assert pace.refusals == 1 + len(late)
    assert pace.next_start(now) == begins


def test_refusals_that_come_home_late_belong_to_the_episode_they_left_in() -> None:
    pace, now = used_up(50.0)
    for _ in range(5):
        now = pace.reserve(now)
    rate = pace.rate
    pace.refused(now, None, 0.1)
    assert pace.rate == rate


def test_a_refusal_of_the_next_episode_cuts_it_again() -> None:
    pace, now = used_up(50.0)
    for _ in range(4):
        before = pace.rate
        for _ in range(3):
            now = pace.reserve(now)
        pace.refused(now, None, now)
        assert before is not None
        assert pace.rate is not None
        assert pace.rate < 0.97 * before


def test_when_the_scout_is_refused_too_the_silence_grows_by_half_up_to_half_a_minute() -> None:
    pace, now = used_up(50.0)
    silences = []
    for _ in range(20):
        start = pace.reserve(now)
        silences.append(start - now)
        now = start + 0.05
        pace.refused(now, None, start)
    grown = [later / sooner for sooner, later in pairwise(silences[2:])]
    assert grown[:10] == [pytest.approx(LONGER, rel=0.05)] * 10
    assert max(silences) < 1.1 * QUIETEST


def test_nothing_follows_a_scout_until_its_answer_is_due() -> None:
    pace, now = used_up(50.0)  # a round trip of 0.05 s
    scout = pace.reserve(now)
    assert pace.next_start(scout) > scout + 0.05


@given(rate=st.none() | st.floats(1e-5, 300.0), story=st.lists(st.tuples(st.floats(0.0, 90.0), st.booleans())))
def test_no_story_lifts_the_pace_over_its_ceiling_or_stops_it_for_good(
    rate: float | None, story: list[tuple[float, bool]]
) -> None:
    pace, now = Pace(rate), 0.0
    for gap, refused in story:
        now = pace.reserve(now + gap)
        if refused:
            pace.refused(now, None)
        if pace.rate is not None:
            assert pace.rate >= 0.49 * min(SLOWEST, rate or SLOWEST)
        if rate is not None:
            assert pace.rate is not None
            assert pace.rate <= rate


@pytest.mark.parametrize("rate", [0.5, 2.0, 10.0, 50.0, 300.0])
def test_after_one_refusal_it_is_back_at_the_ceiling_within_a_minute_and_a_half(rate: float) -> None:
    pace, now = Pace(rate), 0.0
    while now < 20.0:
        now = pace.reserve(now)
    pace.refused(now, None)
    assert pace.rate is not None
    assert pace.rate < rate
    while now < 110.0:
        now = pace.reserve(now)
    assert pace.rate == rate


def test_a_pace_of_a_few_starts_an_hour_is_cut_too_and_not_lifted_to_the_slowest() -> None:
    pace, now = Pace(10 / 3600), 0.0
    for _ in range(20):
        now = pace.reserve(now)
        pace.refused(now, None)
        assert pace.rate is not None
        assert pace.rate < 10 / 3600


def test_refusals_slow_down_also_what_has_no_ceiling() -> None:
    pace, now = Pace(None), 0.0
    for _ in range(100):
        now = pace.reserve(now + 0.01)
    pace.refused(now, None)
    assert pace.rate == pytest.approx(50.0, rel=0.1)


# A service with a limit that nobody told us. What can't be had, and why: batcher/pacing/service_limit.py.

CEILING = 300.0
CALLS_EACH = 4.0  # API calls that a job makes at least: a submit and its looks


def met(kind: str, limit: Limit, *, seconds: float, way: Way = WAYS["near"], says_when: bool = False) -> Seen:
    return play(Pace(CEILING), made(kind, limit), seconds=seconds, way=way, says_when=says_when)


@pytest.mark.parametrize("says_when", [False, True])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("limit", [3.0, 10.0, 50.0])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in {"bucket of one", "sliding counter, 1 s"}])
def test_a_hidden_limit_is_used_with_few_refusals(kind: str, limit: float, way: str, says_when: bool) -> None:
    seen = met(kind, lambda _: limit, seconds=240.0, way=WAYS[way], says_when=says_when)
    assert seen.rate(60.0, 240.0) >= 0.65 * limit
    assert seen.refused_share(60.0, 240.0) <= 0.11
    assert seen.refused_share(60.0, 240.0, CALLS_EACH) <= 0.03


@pytest.mark.parametrize("limit", [1.0, 3.0, 10.0, 50.0, 100.0])
def test_a_bucket_of_one_loses_to_unevenness_and_little_more(limit: float) -> None:
    way = WAYS["near"]
    seen = met("bucket of one", lambda _: limit, seconds=240.0, way=way)
    spread = 4.0 * way.jitter  # 2 % of the differences of two such delays are larger, about
    assert seen.rate(60.0, 240.0) >= 0.92 * limit / (1.0 + limit * (way.lateness + spread)) - 0.02 * limit


@pytest.mark.parametrize("ceiling", [1.2, 2.0, 5.0])
def test_a_ceiling_near_the_limit_is_as_good(ceiling: float) -> None:
    seen = play(Pace(10.0 * ceiling), Bucket(lambda _: 10.0, None), seconds=180.0)
    assert seen.rate(60.0, 180.0) >= 9.5
    assert seen.refused_share(60.0, 180.0) <= 0.02


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("limit", [3.0, 10.0, 100.0])
def test_finding_the_limit_costs_few_refusals(kind: str, limit: float) -> None:
    seen = met(kind, lambda _: limit, seconds=60.0)
    assert len(seen.refused) <= 50 + 0.5 * limit + 2.0 * CEILING * WAYS["near"].trip


def test_the_opening_keeps_most_of_the_first_refusals_from_being_made() -> None:
    seen = met("bucket of one", lambda _: 1.0, seconds=1.0, way=WAYS["far"])
    assert len(seen.refused) <= 4  # without it: all that leave within a round trip, sixty


@pytest.mark.parametrize("burst", [2.0, 5.0, 30.0])
def test_a_hidden_limit_is_found_whatever_it_lets_pile_up(burst: float) -> None:
    seen = play(Pace(50.0), Bucket(lambda _: 10.0, burst), seconds=420.0)
    assert seen.rate(120.0, 420.0) >= 0.9 * 10.0
    assert seen.refused_share(120.0, 420.0) <= 0.02


@pytest.mark.parametrize("kind", [*FITTED, "GCRA, burst 5", "sliding log, 1 s"])
@pytest.mark.parametrize(
    ("before", "after"), [(1.0, 10.0), (1.0, 50.0), (3.0, 100.0), (10.0, 13.0), (10.0, 20.0), (10.0, 100.0)]
)
def test_when_the_hidden_limit_rises_the_pace_follows_within_a_minute(before: float, after: float, kind: str) -> None:
    for moment in (70.0, 83.0, 97.0, 111.0):
        seen = met(kind, lambda now, at=moment: after if now > at else before, seconds=moment + 120)  # type: ignore[misc]  # a default binds the loop's value
        assert seen.rate(moment + 60.0, moment + 120.0) >= 0.75 * after


def test_a_limit_that_is_gone_is_forgotten_within_a_minute() -> None:
    seen = met("bucket of a second's worth", lambda now: 10.0 if now < 90.0 else 1e9, seconds=180.0)
    assert seen.rate(150.0, 180.0) >= 0.99 * CEILING


@pytest.mark.parametrize("kind", FITTED)
@pytest.mark.parametrize(("before", "after"), [(40.0, 10.0), (100.0, 3.0)])
def test_when_the_hidden_limit_falls_the_pace_follows_within_a_minute(kind: str, before: float, after: float) -> None:
    seen = met(kind, lambda now: before if now < 60.0 else after, seconds=240.0)
    assert len(seen.between(seen.refused, 60.0, 120.0)) <= 40 + 0.5 * before
    assert seen.rate(120.0, 240.0) >= 0.8 * after


def test_what_others_leave_of_a_limit_is_used() -> None:
    seen = play(Pace(CEILING), shared(lambda _: 20.0, Random(3)), seconds=300.0)
    assert seen.rate(60.0, 300.0) >= 0.85 * 0.6 * 20.0
    assert seen.refused_share(60.0, 300.0) <= 0.04


def test_after_ten_minutes_of_nothing_but_refusals_it_finds_its_way_back_in_a_minute() -> None:
    service = Bucket(lambda now: 0.0 if now < 600.0 else 1000.0, 1.0)
    seen = play(Pace(20.0), service, seconds=800.0)
    assert seen.refused_share(60.0, 600.0) == 1.0
    assert len(seen.between(seen.refused, 60.0, 600.0)) < 60
    assert seen.rate(720.0, 800.0) > 19.5


def test_a_slow_round_trip_costs_refusals_but_not_the_rate() -> None:
    seen = play(Pace(50.0), Bucket(lambda _: 10.0, None), seconds=300.0, way=Way(0.0006, 2.0, 0.002))
    assert seen.rate(60.0, 300.0) >= 9.0
    assert seen.refused_share(60.0, 300.0) <= 0.12  # what leaves within two seconds of the limit


def test_it_works_when_nobody_knows_when_the_refused_calls_had_left() -> None:
    seen = play(Pace(CEILING), Bucket(lambda _: 10.0, None), seconds=360.0, unknown=True)
    assert seen.rate(60.0, 360.0) >= 9.0
    assert seen.refused_share(60.0, 360.0) <= 0.02


@given(rate=st.floats(1.0, 300.0), refused=st.lists(st.tuples(st.integers(1, 40), st.floats(0.0, 3.0)), max_size=30))
def test_no_second_holds_more_than_the_rate_and_one_whatever_is_refused(
    rate: float, refused: list[tuple[int, float]]
) -> None:
    pace, now, starts = Pace(rate), 0.0, []
    for count, after in refused:
        for _ in range(count):
            now = pace.reserve(now)
            starts.append(now)
        now += after
        pace.refused(now, None, starts[-1])
    assert not starts or fullest_second(starts) <= rate + 1


# Slow start.


def test_the_opening_doubles_with_every_round_trip_and_ends_after_a_second() -> None:
    slow_start, rounds = SlowStart(), []
    for step in range(4):
        while not slow_start.full(0.2 * step, 0):
            slow_start.left(0.2 * step)
        rounds.append(slow_start.unanswered)
        for _ in range(rounds[-1]):
            slow_start.answered()
    assert rounds == [2, 4, 8, 16]
    for _ in range(50):
        slow_start.left(0.9)
    assert slow_start.full(0.99, 0)
    assert not slow_start.full(1.01, 0)


def test_what_is_about_to_leave_counts_in_the_slow_start() -> None:
    slow_start = SlowStart()
    slow_start.left(0.0)
    assert not slow_start.full(0.1, 0)
    assert slow_start.full(0.1, 1)


def test_a_refusal_ends_the_slow_start() -> None:
    slow_start = SlowStart()
    slow_start.left(0.0)
    slow_start.left(0.0)
    slow_start.close()
    assert not slow_start.full(0.1, 5)
