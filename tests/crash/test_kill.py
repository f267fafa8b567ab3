"""A sample of the crash matrix (``python -m tests.crash.matrix`` runs all of it), and kills of plain commands."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.matrix import ROOT, attempt
from tests.support.simulator_process import service


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with service(tmp_path_factory.mktemp("service")) as address:
        yield address


@pytest.mark.parametrize("step", [3, 10, 21, 34, 47, 62, 80])
def test_a_kill_at_a_durable_step_loses_nothing_and_pays_nothing_twice(tmp_path: Path, origin: str, step: int) -> None:
    folder = tmp_path / f"t{step}"
    folder.mkdir()
    trial = attempt(folder, step, origin)
    assert trial.killed, "the run was over before this step: the sample needs another number"
    assert trial.problems == []


def test_with_resubmit_a_job_in_doubt_is_submitted_again_and_only_that(tmp_path: Path, origin: str) -> None:
    folder = tmp_path / "t-resubmit"
    folder.mkdir()
    trial = attempt(folder, 6, origin, decide="resubmit")
    assert trial.killed
    assert trial.problems == []
    assert trial.in_doubt == 0


def test_the_embedded_simulator_outlives_a_kill_and_charges_each_job_once(tmp_path: Path) -> None:
    manifest = tmp_path / "prompts.txt"
    manifest.write_text("".join(f"a kite over hill {number}\n" for number in range(60)))
    command = [
        sys.executable, "-m", "batcher", "run", str(manifest), "--simulate", "--rate", "60/s", "-o",
        str(tmp_path / "run"), "--progress", "none", "--json",
    ]  # fmt: skip
    victim = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _until_images(tmp_path / "run", 5, victim)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    resumed = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    report = json.loads(resumed.stdout)
    assert resumed.returncode in {0, 5}
    assert report["done"] + report["in_doubt"] == 60
    journal = [json.loads(line) for line in (tmp_path / "run" / ".simulator.jsonl").read_text().splitlines()]
    accepted = Counter(json.dumps(record["inputs"]) for record in journal if record["t"] == "accepted")
    assert max(accepted.values()) == 1
    assert len(list((tmp_path / "run" / "images").rglob("*.png"))) == report["done"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_interrupt_ends_cleanly_with_130_and_the_line_that_resumes(tmp_path: Path, number: int) -> None:
    manifest = tmp_path / "prompts.txt"
    manifest.write_text("".join(f"a kite over hill {number}\n" for number in range(200)))
    command = [
        sys.executable, "-m", "batcher", "run", str(manifest), "--simulate", "--rate", "20/s", "-o",
        str(tmp_path / "run"), "--progress", "none",
    ]  # fmt: skip
    going = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    _until_images(tmp_path / "run", 3, going)
    going.send_signal(number)
    out, complained = going.communicate(timeout=30)
    assert going.returncode == 130
    assert "Traceback" not in complained
    assert out.rstrip().splitlines()[-1].strip().startswith("batcher run ")
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["in_doubt"] == 0
    assert report["stopped_by"] == "interrupted"


def _until_images(run: Path, count: int, process: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 30
    while len(list((run / "images").rglob("*.png"))) < count:
        assert process.poll() is None, "it ended too early"
        assert time.monotonic() < deadline
        time.sleep(0.02)
