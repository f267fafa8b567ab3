"""How many threads write files: more while that gets more done, fewer while they only stand in each other's way."""

import hashlib
import os
import threading
import time
from pathlib import Path

import pytest

from batcher.images.crew import Crew, Spent, Stopwatch


def size_after(*groups: Spent, most: int = 16, cores: int = 4) -> int:
    crew = Crew(most, cores)
    for spent in groups:
        crew.learn(spent)
    return crew.size


def test_a_disk_that_is_waited_for_gets_every_thread() -> None:
    assert size_after(*[Spent(all=1.0, processor=0.05, disk=0.9)] * 40) == 16


def test_a_decoder_that_computes_gets_a_thread_for_each_core() -> None:
    computing = [Spent(all=1.0, processor=0.9, disk=0.05)] * 40
    assert size_after(*computing, cores=4) == 4
    assert size_after(*[Spent(all=1.0, processor=0.05, disk=0.9)] * 40, *computing, cores=2) == 2


def test_threads_that_wait_for_their_turn_are_sent_home_but_for_one() -> None:
    slow = [Spent(all=1.0, processor=0.05, disk=0.9)] * 8
    assert size_after(*slow, *[Spent(all=1.0, processor=0.2, disk=0.1)] * 40) == 1


@pytest.mark.parametrize("most", [1, 2, 5])
def test_there_are_never_more_than_allowed(most: int) -> None:
    assert size_after(*[Spent(all=1.0, processor=0.0, disk=1.0)] * 20, most=most) == most
    assert size_after(*[Spent(all=1.0, processor=1.0, disk=0.0)] * 20, most=most) == min(most, 4)


def test_what_a_thread_computes_and_what_it_waits_for_are_told_apart(tmp_path: Path) -> None:
    watch = Stopwatch()
    hashlib.sha256(bytes(20_000_000)).digest()
    watch.lap()
    with (tmp_path / "file").open("wb") as file:
        file.write(bytes(20_000_000))
        os.fsync(file.fileno())
    watch.lap(disk=True)
    spent = watch.stop()
    assert spent.processor > 0
    assert spent.disk >= 0
    assert spent.processor + spent.disk <= spent.all + 0.001


def test_a_turn_that_is_waited_for_is_neither_disk_nor_processor() -> None:
    watch, gate = Stopwatch(), threading.Event()
    threading.Timer(0.05, gate.set).start()
    gate.wait(30)
    watch.lap()
    spent = watch.stop()
    assert spent.all >= 0.04
    assert spent.processor < spent.all / 2
    assert spent.disk == 0.0
    assert size_after(*[spent] * 3) == 1


def test_a_watch_is_of_the_thread_that_made_it() -> None:
    """Else what others compute meanwhile would look like work that one more thread could share."""
    found: list[Spent] = []

    def idle() -> None:
        watch = Stopwatch()
        done.wait(30)
        found.append(watch.stop())

    done = threading.Event()
    other = threading.Thread(target=idle)
    other.start()
    began = time.thread_time()
    while time.thread_time() - began < 0.05:
        hashlib.sha256(bytes(1_000_000)).digest()
    done.set()
    other.join()
    assert found[0].processor < 0.05
