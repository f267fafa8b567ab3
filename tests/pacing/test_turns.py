"""Polls in turn: none early, none in a burst."""

from bisect import bisect_right
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from batcher.pacing.turns import ALWAYS, WIDTH, Turns


@given(wanted=st.lists(st.floats(0.0, 100.0), min_size=1, max_size=200))
def test_nobody_is_called_before_it_is_wanted(wanted: list[float]) -> None:
    turns = Turns()
    for at in wanted:
        assert turns.book(0.0, at) >= at


def test_a_thousand_polls_wanted_at_once_are_spread_out() -> None:
    turns = Turns()
    at = sorted(turns.book(0.0, 3.0) for _ in range(1000))
    assert max(bisect_right(at, start + 2 * WIDTH) - i for i, start in enumerate(at)) <= 3 * 45
    assert at[-1] < 3.0 + 3.0


def test_polls_that_are_apart_stay_where_they_are_wanted() -> None:
    turns, random = Turns(), Random(1)
    for now in range(1000):
        for _ in range(ALWAYS):
            wanted = now + 5.0 + random.random()
            assert turns.book(float(now), wanted) <= wanted + 2 * WIDTH


def test_polls_that_are_over_make_room() -> None:
    turns = Turns()
    for now in range(100):
        for _ in range(10):
            turns.book(float(now), now + 2.0)
    assert turns.booked <= 30
    turns.book(1e6, 1e6 + 1.0)
    assert turns.booked == 1
