"""A disk that dies, and a machine without memory or threads, while answers are on their way: real processes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.runs.test_full_disk import ROOT, small_disk  # noqa: F401  a fixture
from tests.support.lost_disk import LostDisk, lost_disk
from tests.support.simulator_process import service

JOBS = 30
PATCHED = ("-m", "tests.support.patched")
QUICK = "latency: 0.1\nimage_bytes: 20000\n"
SLOW = f"{QUICK}faults:\n  - {{where: submit, kind: slow, seconds: 2, skip: 3, count: {JOBS}}}\n"


class Desk:
    """A service, and a command line whose temporary files and home are the test's."""

    def __init__(self, folder: Path, origin: str) -> None:
        self.folder, self.origin = folder, origin
        self.manifest = folder / "prompts.txt"
        self.manifest.write_text("".join(f"a kite over hill {number}\n" for number in range(JOBS)))
        self.temporary, self.home = folder / "temporary", folder / "home"
        for place in (self.temporary, self.home):
            place.mkdir()

    def start(self, run: Path, *program: str) -> "subprocess.Popen[str]":
        command = [
            sys.executable, *(program or ("-m", "batcher")), "run", str(self.manifest), "-o", str(run), "--base-url",
            f"{self.origin}/v1", "--trust-host", "127.0.0.1", "--rate", "50/s", "--progress", "none",
        ]  # fmt: skip
        return subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "RUNCOMFY_TOKEN": "a-token", "TMPDIR": str(self.temporary), "HOME": str(self.home)},
        )  # fmt: skip

    def stats(self) -> dict[str, Any]:
        with urlopen(f"{self.origin}/_simulator/stats", timeout=30) as answer:
            facts: dict[str, Any] = json.load(answer)
        return facts

    def until_in_the_air(self, going: "subprocess.Popen[str]", count: int = 20) -> None:
        """Until that many submits are with the service, answers and all but the first pictures on their way."""
        until = time.monotonic() + 60
        while self.stats()["submits_accepted"] < count:
            assert going.poll() is None, going.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)

    def finish(self, run: Path, most_in_doubt: int = 0) -> None:
        """The same command again: every job is done, each was paid for once, and no rescued id is left lying about."""
        again = self.start(run)
        out, complained = again.communicate(timeout=120)
        assert again.returncode in ({0, 5} if most_in_doubt else {0}), (out, complained)
        charges = self.stats()["charges_per_input"]
        assert charges["max"] == 1
        assert charges["distinct"] >= JOBS - most_in_doubt
        assert [*self.temporary.iterdir(), *self.home.iterdir()] == []


@pytest.fixture
def desk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    with service(tmp_path, getattr(request, "param", QUICK)) as origin:
        yield Desk(tmp_path, origin)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LostDisk]:
    with lost_disk(tmp_path) as disk:
        yield disk


def said_ids(words: str) -> set[str]:
    return set(re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", words))


FEW_TRIES = """
from batcher.runner import submit
submit.ACCEPT_TRIES = 3  # a second apart
from batcher.__main__ import entry
entry()
"""


@pytest.mark.parametrize("desk", [SLOW], indirect=True, ids=["slow"])
def test_a_disk_that_dies_with_answers_on_their_way_costs_no_id(desk: Desk, disk: LostDisk) -> None:
    run = disk.place / "run"
    going = desk.start(run, *PATCHED, FEW_TRIES)
    desk.until_in_the_air(going)
    disk.die()
    out, complained = going.communicate(timeout=120)
    assert going.returncode == 73, complained
    assert "Traceback" not in complained
    (kept,) = desk.temporary.iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert str(kept) in complained + out
    ids = said_ids(kept.read_text())
    assert len(ids) >= 10
    assert ids == said_ids(out + complained), "each is said, too"
    disk.come_back()
    desk.finish(run, most_in_doubt=2)  # a submit held back as the disk died: no journal can say that it never left


@pytest.mark.parametrize("desk", [SLOW], indirect=True, ids=["slow"])
def test_a_disk_that_stays_full_costs_no_id(desk: Desk, small_disk: Path) -> None:  # noqa: F811
    run = small_disk / "run"
    going = desk.start(run, *PATCHED, FEW_TRIES)
    desk.until_in_the_air(going)
    with (small_disk / "filler").open("ab", buffering=0) as filler:
        while going.poll() is None:  # the ballast, too
            try:
                filler.write(bytes(4096))
            except OSError:
                time.sleep(0.01)
    _, complained = going.communicate(timeout=60)
    assert going.returncode == 73, complained
    assert "Traceback" not in complained
    (small_disk / "filler").unlink()
    desk.finish(run)


NO_THREADS = """
import sys, threading
start, most, count = threading.Thread.start, int(sys.argv.pop(1)), 0
def limited(self):
    global count
    count += 1
    if count > most:
        raise RuntimeError("can't start new thread")
    start(self)
threading.Thread.start = limited
from batcher.__main__ import entry
entry()
"""


@pytest.mark.parametrize("threads", [0, 1, 2, 3, 5])
def test_a_machine_that_gives_no_more_threads_ends_the_run_with_73_and_nothing_is_lost(
    desk: Desk, threads: int
) -> None:
    run = desk.folder / "run"
    going = desk.start(run, *PATCHED, NO_THREADS, str(threads))
    _, complained = going.communicate(timeout=120)
    assert going.returncode in ({73} if threads < 2 else {0, 73}), complained
    assert "Traceback" not in complained
    desk.finish(run)


NO_DECODER = """
import sys
from PIL import ImageFile
load, most, count = ImageFile.ImageFile.load, int(sys.argv.pop(1)), 0
def limited(self):
    global count
    count += 1
    if count > most:
        raise MemoryError
    return load(self)
ImageFile.ImageFile.load = limited
from batcher.__main__ import entry
entry()
"""


@pytest.mark.parametrize("images", [0, 15])
def test_a_decoder_that_gets_no_memory_ends_the_run_with_73_and_nothing_is_lost(desk: Desk, images: int) -> None:
    run = desk.folder / "run"
    going = desk.start(run, *PATCHED, NO_DECODER, str(images))
    out, complained = going.communicate(timeout=120)
    assert (going.returncode, "not enough memory" in out) == (73, True), out + complained
    assert "Traceback" not in complained
    assert len(list((run / "images").rglob("*.png"))) <= images
    desk.finish(run)


LITTLE_MEMORY = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv.pop(1)) << 20,) * 2)
from batcher.__main__ import entry
entry()
"""


@pytest.mark.parametrize("megabytes", [60, 110, 500])
def test_a_run_with_too_little_address_space_is_refused_before_it_submits_anything(desk: Desk, megabytes: int) -> None:
    """A compiled library that gets no memory may abort the process as it is loaded: then without words."""
    run = desk.folder / "run"
    going = desk.start(run, "-c", LITTLE_MEMORY, str(megabytes))
    _, complained = going.communicate(timeout=60)
    assert desk.stats()["submits_accepted"] == 0
    assert "Traceback" not in complained
    if going.returncode not in {-signal.SIGABRT, -signal.SIGSEGV}:
        assert going.returncode == 73, complained
        assert "memory" in complained or "address space" in complained
    if megabytes > 100:
        assert f"may use {megabytes} MB of address space" in complained
        assert "ulimit -v" in complained


def test_a_run_with_just_enough_address_space_is_as_any_other(desk: Desk) -> None:
    going = desk.start(desk.folder / "run", "-c", LITTLE_MEMORY, "640")
    _, complained = going.communicate(timeout=120)
    assert going.returncode == 0, complained
