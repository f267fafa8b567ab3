"""Searching all of memory: not while a run is flat, and when it grows."""

import gc
import weakref

from batcher.garbage import GROWTH, rarely


class Node:
    def __init__(self) -> None:
        self.me = self


def test_cycles_are_found_once_the_process_has_grown_and_all_is_as_before_in_the_end() -> None:
    peak = [100]
    before = gc.get_threshold()
    with rarely(lambda: peak[0]) as look:
        held = Node()
        for _ in range(3):  # until it is old
            gc.collect(1)
        node = weakref.ref(held)
        del held
        gc.collect(1)
        assert gc.get_threshold()[2] > 1000
        assert not look()
        assert node() is not None
        peak[0] += GROWTH
        assert look()
        assert node() is None
        assert not look(), "it begins anew from there"
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_where_the_system_does_not_tell_how_large_the_process_is_nothing_is_changed() -> None:
    before = gc.get_threshold()
    with rarely(lambda: 0) as look:
        assert gc.get_threshold() == before
        assert not look()
