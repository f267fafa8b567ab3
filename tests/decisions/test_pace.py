"""The rate limit: smooth, reached and never exceeded; and what the pace learns from being refused.

The second half plays a service with a limit of its own that nobody told us (a token bucket, the commonest kind) against
the pace, in virtual time: a submit leaves when the pace lets it, its refusal comes back one round trip later.
"""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.pace import QUIET, SLOWEST, Pace

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


def test_a_pause_is_not_made_up_for_by_a_burst() -> None:
    pace = Pace(10.0)
    pace.reserve(0.0)
    starts = [pace.reserve(60.0) for _ in range(5)]
    assert starts[0] == 60.0
    assert all(later - earlier == pytest.approx(0.1, rel=0.06) for earlier, later in pairwise(starts))


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
    earliest = now + max(QUIET, retry_after or 0.0)
    assert pace.next_start(now + late) >= earliest
    assert pace.reserve(now + late) >= earliest


def test_the_longest_of_several_retry_afters_counts() -> None:
    pace = Pace(5.0)
    pace.reserve(0.0)
    pace.refused(0.1, 30.0)
    pace.refused(0.2, 2.0)
    assert pace.reserve(0.3) >= 30.1


@given(
    rate=st.floats(1.0, 300.0), gaps=st.lists(st.floats(0.0, 0.9), min_size=1, max_size=100), after=st.floats(0.0, 9.0)
)
def test_refusals_of_one_episode_cut_the_pace_once(rate: float, gaps: list[float], after: float) -> None:
    pace, now = Pace(rate), 0.0
    for _ in range(20):
        now = pace.reserve(now)
    pace.refused(now, after)
    once = pace.rate
    for gap in gaps:
        now += gap
        pace.refused(now, after)
    assert pace.rate == once
    assert pace.refusals == 1 + len(gaps)
    assert pace.next_start(now) >= now + QUIET


def test_a_refusal_of_the_next_episode_cuts_it_again() -> None:
    pace = Pace(50.0)
    now, cuts = 0.0, [50.0]
    for _ in range(4):
        for _ in range(3):
            now = pace.reserve(now)
        pace.refused(now, None)
        assert pace.rate is not None
        cuts.append(pace.rate)
    assert all(later < 0.95 * earlier for earlier, later in pairwise(cuts))


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


def test_after_ten_minutes_of_nothing_but_refusals_it_finds_its_way_back_in_minutes() -> None:
    seen = play(Pace(20.0), lambda now: 0.0 if now < 600.0 else 1000.0, burst=1, seconds=1200.0)
    assert seen.refused_share(60.0, 600.0) == 1.0
    assert len(seen.between(seen.refused, 60.0, 600.0)) < 60
    assert seen.rate(1100.0, 1200.0) > 19.5


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


# A service with a limit that nobody told us.


@dataclass
class Seen:
    passed: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    @staticmethod
    def between(times: list[float], start: float, end: float) -> list[float]:
        return [time for time in times if start <= time < end]

    def rate(self, start: float, end: float) -> float:
        return len(self.between(self.passed, start, end)) / (end - start)

    def refused_share(self, start: float, end: float) -> float:
        refused = len(self.between(self.refused, start, end))
        return refused / max(1, refused + len(self.between(self.passed, start, end)))


def play(
    pace: Pace,
    limit: Callable[[float], float],
    *,
    burst: float,
    seconds: float,
    round_trip: float = 0.2,
    retry_after: float | None = None,
) -> Seen:
    """Submits without end through ``pace`` against a token bucket that fills at ``limit(now)`` and holds ``burst``."""
    random, seen = Random(5), Seen()
    now, tokens, filled = 0.0, burst, 0.0
    on_their_way: list[tuple[float, float]] = []
    while now < seconds:
        due = pace.next_start(now)
        if on_their_way and on_their_way[0][0] <= due:
            home, left = heappop(on_their_way)
            now = max(now, home)
            pace.refused(now, retry_after, left)
            continue
        now = pace.reserve(due + 0.002 * random.random())
        tokens, filled = min(burst, tokens + (now - filled) * limit(now)), now
        if tokens >= 1.0:
            tokens -= 1.0
            seen.passed.append(now)
        else:
            seen.refused.append(now)
            heappush(on_their_way, (now + round_trip * random.uniform(0.8, 1.2), now))
    return seen


@pytest.mark.parametrize("retry_after", [None, 1.0])
@pytest.mark.parametrize("round_trip", [0.05, 0.3])
@pytest.mark.parametrize(("ceiling", "limit"), [(50.0, 10.0), (50.0, 45.0), (300.0, 10.0), (50.0, 3.0), (300.0, 100.0)])
def test_a_hidden_limit_is_used_to_nine_tenths_with_few_refusals(
    ceiling: float, limit: float, round_trip: float, retry_after: float | None
) -> None:
    seen = play(
        Pace(ceiling), lambda _: limit, burst=limit, seconds=360.0, round_trip=round_trip, retry_after=retry_after
    )
    assert seen.rate(0.0, 60.0) >= 0.90 * limit
    assert all(seen.rate(start, start + 60.0) >= 0.90 * limit for start in range(60, 301, 20))
    assert seen.refused_share(60.0, 360.0) <= max(0.02, 0.07 / limit)  # a slow one pays more for each look


def test_finding_a_fifth_of_the_rate_costs_few_refusals_beyond_what_was_in_the_air() -> None:
    seen = play(Pace(50.0), lambda _: 10.0, burst=10.0, seconds=60.0, round_trip=0.1)
    assert seen.refused_share(0.0, 60.0) <= 0.02


@pytest.mark.parametrize("burst", [2.0, 5.0, 30.0])
def test_a_hidden_limit_is_found_whatever_it_lets_pile_up(burst: float) -> None:
    seen = play(Pace(50.0), lambda _: 10.0, burst=burst, seconds=420.0)
    assert seen.rate(120.0, 420.0) >= 0.88 * 10.0
    assert seen.refused_share(120.0, 420.0) <= 0.02


@pytest.mark.parametrize(("before", "after"), [(10.0, 20.0), (10.0, 30.0), (10.0, 45.0), (10.0, 1000.0)])
def test_when_the_hidden_limit_rises_the_pace_follows_within_a_minute(before: float, after: float) -> None:
    for moment in (90.0, 97.0, 104.0, 111.0):
        seen = play(Pace(50.0), lambda now, at=moment: after if now > at else before, burst=10.0, seconds=moment + 120)  # type: ignore[misc]  # a default binds the loop's value
        assert seen.rate(moment + 60.0, moment + 120.0) >= 0.85 * min(after, 50.0)


def test_when_the_hidden_limit_falls_the_pace_follows_at_once() -> None:
    seen = play(Pace(50.0), lambda now: 40.0 if now < 60.0 else 10.0, burst=20.0, seconds=180.0)
    assert seen.refused_share(75.0, 180.0) <= 0.02
    assert seen.rate(75.0, 180.0) >= 9.0


def test_a_slow_round_trip_costs_refusals_but_not_the_rate() -> None:
    seen = play(Pace(50.0), lambda _: 10.0, burst=10.0, seconds=300.0, round_trip=2.0)
    assert seen.rate(60.0, 300.0) >= 0.75 * 10.0
    assert seen.refused_share(60.0, 300.0) <= 0.05
