"""A run directory whose lock, state file or folders are not what they were, by real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from batcher.store import LOCK, STATE
from tests.support.simulator_process import service

ROOT = Path(__file__).parents[2]
JOBS = 40


class Desk:
    def __init__(self, folder: Path, origin: str) -> None:
        self.folder, self.origin, self.run_dir = folder, origin, folder / "run"
        self.started: list[subprocess.Popen[str]] = []
        (folder / "p.txt").write_text("".join(f"kite {number}\n" for number in range(JOBS)))

    def start(self, *flags: str, program: tuple[str, str] = ("-m", "batcher")) -> "subprocess.Popen[str]":
        return self._start(
            "run", "p.txt", "-o", "run", "--base-url", f"{self.origin}/v1", "--trust-host", "127.0.0.1", "--rate",
            "10/s", "--progress", "none", "--json", *flags, program=program,
        )  # fmt: skip

    def batcher(self, *words: str) -> tuple[int, str]:
        going = self._start(*words)
        out, complained = going.communicate(timeout=120)
        assert "Traceback" not in complained
        return going.returncode, out + complained

    def _start(self, *words: str, program: tuple[str, str] = ("-m", "batcher")) -> "subprocess.Popen[str]":
        going = subprocess.Popen(
            [sys.executable, *program, *words], cwd=self.folder, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, "RUNCOMFY_TOKEN": "a-token", "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        self.started.append(going)
        return going

    def ends(self, going: "subprocess.Popen[str]") -> tuple[int, dict[str, Any], str]:
        out, complained = going.communicate(timeout=120)
        assert "Traceback" not in complained
        return going.returncode, json.loads(out) if out else {}, complained

    def stats(self) -> dict[str, Any]:
        with urlopen(f"{self.origin}/_simulator/stats", timeout=30) as answer:
            facts: dict[str, Any] = json.load(answer)
        return facts

    def until_submitted(self, count: int, going: "subprocess.Popen[str]") -> None:
        until = time.monotonic() + 60
        while self.stats()["submits_accepted"] < count:
            assert going.poll() is None, going.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)


@pytest.fixture
def desk(tmp_path: Path) -> Any:
    with service(tmp_path, "latency: 0.5\nimage_bytes: 4000\n") as origin:
        desk = Desk(tmp_path, origin)
        yield desk
        for going in desk.started:  # what a failed test leaves
            going.kill()
            going.communicate()


@pytest.mark.skipif(sys.platform != "linux", reason="whether a process lives is read in /proc")
def test_a_second_run_beside_one_whose_lock_was_deleted_stops_and_pays_nothing(desk: Desk) -> None:
    first = desk.start("--rate", "1/s")  # it is not done before the second one has looked
    desk.until_submitted(2, first)
    (desk.run_dir / LOCK).unlink()
    code, _, complained = desk.ends(desk.start("--in-doubt", "resubmit"))
    assert code == 75, complained
    assert f"process {first.pid} still works" in complained
    assert desk.batcher("tune", "run", "--rate", "50/s")[0] == 0
    code, report, complained = desk.ends(first)
    assert (code, report["done"], report["in_doubt"]) == (0, JOBS, 0), complained
    assert desk.stats()["charges_per_input"] == {"distinct": JOBS, "max": 1, "histogram": {"1": JOBS}}


@pytest.mark.skipif(sys.platform != "linux", reason="whether a process lives is read in /proc")
def test_a_run_whose_lock_was_deleted_and_that_was_killed_does_not_hold_up_the_next(desk: Desk) -> None:
    first = desk.start()
    desk.until_submitted(8, first)
    (desk.run_dir / LOCK).unlink()
    first.send_signal(signal.SIGKILL)
    first.communicate()
    code, report, complained = desk.ends(desk.start())
    assert code in {0, 5}, complained
    assert report["done"] + report["in_doubt"] == JOBS
    assert desk.stats()["charges_per_input"]["max"] == 1


def no_head(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(100))


def no_longer_ours(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(68)
        file.write(b"\xa5" * 4)  # the number by which SQLite files of programs are told apart


@pytest.mark.parametrize("damage", [no_head, no_longer_ours])
def test_a_state_file_without_its_head_is_damaged_and_made_anew_from_the_sidecars(
    desk: Desk, damage: Callable[[Path], None]
) -> None:
    assert desk.ends(desk.start("--rate", "100/s"))[0] == 0
    damage(desk.run_dir / STATE)
    for words in (["verify", "run"], ["status", "run"]):
        code, complained = desk.batcher(*words)
        assert code == 73
        assert "is damaged" in complained
        assert "--repair" in complained
    code, _, complained = desk.ends(desk.start())
    assert (code, "is damaged" in complained) == (73, True)
    code, printed = desk.batcher("verify", "run", "--repair")
    assert code == 0, printed
    code, report, complained = desk.ends(desk.start())
    assert (code, report["done"], report["submits"]) == (0, JOBS, 0), complained
    assert desk.stats()["charges_per_input"]["max"] == 1


def a_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def a_link_to_nothing(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(path.parent.parent / "not-mounted" / path.name)


@pytest.mark.parametrize("make", [a_folder, a_link_to_nothing])
def test_what_stands_in_place_of_the_state_file_is_said_and_nothing_is_paid_for_again(
    desk: Desk, make: Callable[[Path], None]
) -> None:
    assert desk.ends(desk.start("--rate", "100/s"))[0] == 0
    make(desk.run_dir / STATE)
    for going in (desk.batcher("status", "run"), desk.batcher("run", "p.txt", "-o", "run", "--simulate")):
        assert going[0] == 73
        assert STATE in going[1]
        assert "--repair" in going[1]
    code, words = desk.batcher("verify", "run", "--repair")
    assert code == 0, words
    assert desk.ends(desk.start())[0] == 0
    assert desk.stats()["charges_per_input"]["max"] == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes in the file system")
@pytest.mark.parametrize("name", [".generation", ".departures.jsonl", ".ballast"])
def test_a_pipe_or_a_link_in_place_of_a_file_of_ours_neither_hangs_a_run_nor_leads_out(desk: Desk, name: str) -> None:
    assert desk.ends(desk.start("--rate", "100/s", "--limit", "10"))[0] == 4
    theirs = desk.folder / "theirs"
    theirs.write_text("somebody else's")
    for make in (os.mkfifo, lambda path: path.symlink_to(theirs)):
        (desk.run_dir / name).unlink(missing_ok=True)
        make(desk.run_dir / name)
        code, _, complained = desk.ends(desk.start("--rate", "100/s", "--continue-copy"))
        assert code == 0, complained
    assert theirs.read_text() == "somebody else's"
    assert desk.stats()["charges_per_input"]["max"] == 1


NO_LOCKS = "import fcntl; fcntl.flock = lambda *_: None; from batcher.__main__ import entry; entry()"


@pytest.mark.parametrize("together", [True, False])
def test_where_locks_do_nothing_two_runs_of_one_directory_pay_for_nothing_twice(desk: Desk, together: bool) -> None:
    """Some network file systems grant every lock."""
    first = desk.start("--rate", "1/s", program=("-c", NO_LOCKS))  # it is not done before the second one is there
    if not together:
        desk.until_submitted(2, first)
    second = desk.start(program=("-c", NO_LOCKS))
    while first.poll() is None and second.poll() is None:
        time.sleep(0.02)
    desk.batcher("tune", "run", "--rate", "50/s")
    ends = [desk.ends(first), desk.ends(second)]
    codes = [code for code, _, _ in ends]
    assert 75 in codes, ends
    assert set(codes) <= {0, 75}, ends
    assert all("Traceback" not in complained for _, _, complained in ends)
    code, report, complained = desk.ends(desk.start())
    assert (code, report["done"]) == (0, JOBS), complained
    assert desk.stats()["charges_per_input"]["max"] == 1


@pytest.mark.parametrize("make", [Path.touch, a_link_to_nothing])
def test_a_folder_of_images_that_can_not_be_is_said_before_anything_is_paid_for(
    desk: Desk, make: Callable[[Path], None]
) -> None:
    desk.run_dir.mkdir()
    assert desk.ends(desk.start("--limit", "1"))[0] == 4
    (desk.run_dir / "images").rename(desk.folder / "images")
    make(desk.run_dir / "images")
    code, _, complained = desk.ends(desk.start())
    assert (code, "Nothing was submitted" in complained) == (73, True), complained
    assert desk.stats()["submits_accepted"] == 1
