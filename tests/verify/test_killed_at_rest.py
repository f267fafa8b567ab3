"""``prune`` and ``run --relayout`` killed with SIGKILL at a durable step: the same command ends what it began."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.verify.runs import JOBS, ROOT, Run
from tests.verify.test_prune import GONE, files, shorten
from tests.verify.test_relayout import NEW, accepted, assert_is_whole, contents, says

KILLS = 5  # of each, spread over its steps


@pytest.fixture(params=range(KILLS))
def kill(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


def _victim(run: Run, step: int, words: list[str]) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tests.crash.victim", str(step), str(run.folder.parent / "steps.txt"), *words]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, "RUNCOMFY_TOKEN": "a-token"}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def _killed(run: Run, words: Callable[[Path], list[str]], kill: int) -> str:
    """Counts the steps of a whole one elsewhere, then kills at one of them; gives its name."""
    elsewhere = run.folder.parent.with_name("whole")
    shutil.copytree(run.folder.parent, elsewhere, symlinks=True)
    counted = Run(elsewhere / run.folder.name, run.capture)
    done = _victim(counted, 0, words(counted.folder))
    assert done.returncode == 0, done.stderr
    steps = (elsewhere / "steps.txt").read_text().splitlines()
    at = 1 + kill * (len(steps) - 2) // (KILLS - 1)
    assert _victim(run, at, words(run.folder)).returncode == -signal.SIGKILL
    return steps[at - 1]


def _prune(folder: Path) -> list[str]:
    return ["prune", str(folder)]


def _relayout(folder: Path) -> list[str]:
    return [
        "run", str(folder.parent / "manifest.yaml"), "-o", str(folder), "--simulate", "--relayout", "--rate", "200/s",
        "--progress", "none",
    ]  # fmt: skip


def test_a_prune_killed_at_any_step_is_ended_by_the_same_command(run: Run, kill: int) -> None:
    shorten(run)
    before = files(run.folder / "images")
    step = _killed(run, _prune, kill)
    assert run.verify()["findings"] == [], step
    assert {**files(run.folder / "images"), **files(run.folder / "pruned")} == before
    assert run("prune", run.folder.name)[0] == 0
    assert run.verify()["findings"] == []
    assert len(files(run.folder / "images")) == len(files(run.folder / "pruned")) == 2 * GONE
    assert {**files(run.folder / "images"), **files(run.folder / "pruned")} == before


def test_a_relayout_killed_at_any_step_is_ended_by_the_same_command(run: Run, kill: int) -> None:
    before, journal = contents(run), accepted(run)
    says(run, NEW)
    step = _killed(run, _relayout, kill)
    assert contents(run) == before, step
    report = run.again("--relayout")
    assert (report["submits"], report["done"]) == (0, JOBS), step
    assert contents(run) == before
    assert accepted(run) == journal
    assert_is_whole(run)
    assert sorted(path.name for path in (run.folder / "images").iterdir()) == ["16x9", "1x1"]
