"""The breaker: when submits stop, and how often an ill service is asked whether it is back."""

from hypothesis import given
from hypothesis import strategies as st

from batcher.core.circuit_breaker import LONGEST, TRIP, CircuitBreaker


def failing(times: int, now: float = 100.0) -> CircuitBreaker:
    breaker = CircuitBreaker()
    for _ in range(times):
        breaker.failed(now)
    return breaker


@given(st.lists(st.booleans(), max_size=50))
def test_it_is_open_exactly_after_enough_failures_in_a_row(outcomes: list[bool]) -> None:
    breaker, row = CircuitBreaker(), 0
    for failed in outcomes:
        row = row + 1 if failed else 0
        breaker.failed(0.0) if failed else breaker.answered()
        assert breaker.open is (row >= TRIP)


def test_one_answer_closes_it_whatever_came_before() -> None:
    breaker = failing(1000)
    breaker.answered()
    assert not breaker.open
    assert breaker.failures == 0


def test_the_last_failure_before_it_trips_leaves_it_closed() -> None:
    assert not failing(TRIP - 1).open
    assert failing(TRIP).open


def test_gaps_between_probes_double_from_a_second_and_are_capped() -> None:
    gaps = [failing(TRIP + count).probe_at(100.0) - 100.0 for count in range(2000)]
    assert gaps[:7] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0]
    assert set(gaps[7:]) == {LONGEST}


@given(st.integers(TRIP, 10**4), st.floats(0.0, 1e9), st.floats(0.0, 1e9))
def test_a_probe_is_never_due_in_the_past_nor_later_than_the_longest_gap(times: int, at: float, wait: float) -> None:
    breaker = CircuitBreaker()
    breaker.failures = times
    breaker.failed(at)
    assert at + wait <= breaker.probe_at(at + wait) <= max(at + LONGEST, at + wait)


def test_a_closed_breaker_makes_nobody_wait() -> None:
    assert CircuitBreaker().probe_at(5.0) == 5.0
    assert failing(TRIP - 1).probe_at(100.0) == 100.0
