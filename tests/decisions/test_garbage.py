"""Searching all of memory: not while a run is flat, and when it grows."""

import gc
import weakref

from batcher.runner.garbage import GROWTH, rarely


class Node:
    def __init__(self) -> None:
        self.me = self


def test_cycles_are_found_once_the_process_has_grown_and_all_is_as_before_in_the_end() -> None:
    peak = [100]
    with rarely(lambda: peak[0]) as look:
        assert not gc.isenabled(), "it would choose its own time"
        held = Node()
        for _ in range(3):  # until it is old
            gc.collect(1)
        node = weakref.ref(held)
        del held
        gc.collect(1)
        assert not look()
        assert node() is not None
        peak[0] += GROWTH
        assert look()
        assert node() is None
        assert not look(), "it begins anew from there"
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_what_died_young_is_found_soon_without_a_search_of_everything() -> None:
    with rarely(lambda: 100) as look:
        young = weakref.ref(Node())
        assert not look()
        assert young() is None


def test_where_the_system_does_not_tell_how_large_the_process_is_nothing_is_changed() -> None:
    with rarely(lambda: 0) as look:
        assert gc.isenabled()
        assert not look()
