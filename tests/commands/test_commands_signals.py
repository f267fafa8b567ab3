"""Signals to a real run: nohup, timeout, SIGTERM twice. The summary, the tables and the report are always written."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batcher.core.errors import BusyError
from batcher.runner.stop import GRACE
from batcher.runner.watchers.watching import AFTER_A_SIGNAL
from batcher.store import locked
from tests.support.command_line import Shell

RUN = [sys.executable, "-m", "batcher", "run", "p.txt", "--simulate", "--progress", "lines"]
LEFT = {"state.db", "images", "records.jsonl", "failures.jsonl", "report.json"}


def started(shell: Shell, *words: str, before: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
    """A run of 120 jobs at 10 a second, of which one is done."""
    shell.file("p.txt", "".join(f"a kite over hill {number}\n" for number in range(120)))
    command = [*before, *RUN, "--rate", "10/s", *words]
    process = subprocess.Popen(
        command, cwd=shell.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 30
    while not list((shell.folder / "runs").glob("p/images/**/*.png")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


def has_ended(run: Path) -> bool:
    try:
        with locked(run):
            return (run / "report.json").exists()
    except BusyError:
        return False


def ended_well(shell: Shell, out: str) -> None:
    run = shell.folder / "runs" / "p"
    assert "Resume with" in out
    assert {path.name for path in run.iterdir() if not path.name.startswith(".")} >= LEFT
    assert not (run / ".ballast").exists()
    report = json.loads((run / "report.json").read_text())
    assert (report["exit_code"], report["stopped_by"]) == (130, "interrupted")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("nohup") is None, reason="there is no nohup here")
def test_a_run_under_nohup_outlives_its_terminal(shell: Shell) -> None:
    process = started(shell, "--limit", "25", before=("nohup",))
    process.send_signal(signal.SIGHUP)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 4, out + err
    assert len(list((shell.folder / "runs").glob("p/images/**/*.png"))) == 25


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("timeout") is None, reason="there is no timeout here")
def test_a_run_under_timeout_writes_its_summary(shell: Shell) -> None:
    process = started(shell, before=("timeout", "--preserve-status", "9"))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    ended_well(shell, out)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux here")
@pytest.mark.parametrize("end", [["kill-session", "-t", "night"], ["kill-server"]])
def test_a_run_whose_terminal_is_closed_writes_its_report_and_can_be_resumed(shell: Shell, end: list[str]) -> None:
    server = ["tmux", "-L", f"batcher-test-{os.getpid()}"]  # our own, nobody else's
    shell.file("p.txt", "".join(f"a kite over hill {number}\n" for number in range(120)))
    command = shlex.join([*RUN[:-1], "auto", "--rate", "10/s"])
    subprocess.run(
        [*server, "new-session", "-d", "-s", "night", "-x", "80", "-y", "24", command], cwd=shell.folder, check=True
    )
    run = shell.folder / "runs" / "p"
    try:
        deadline = time.monotonic() + 30
        while not list(run.glob("images/**/*.png")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        shown = subprocess.run(
            [*server, "capture-pane", "-p", "-t", "night"], capture_output=True, text=True, check=True
        )
        assert "/120 done" in shown.stdout
    finally:
        subprocess.run([*server, *end], check=True)
    deadline = time.monotonic() + 30
    while not has_ended(run):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert {path.name for path in run.iterdir() if not path.name.startswith(".")} >= LEFT
    assert not (run / ".ballast").exists()
    report = json.loads((run / "report.json").read_text())
    assert (report["exit_code"], report["stopped_by"]) == (130, "interrupted")
    assert "interrupted" in shell("status", "runs/p").out
    again = shell("run", "runs/p", "--rate", "500/s", "--progress", "none", "--json")
    assert (again.json["done"], again.json["submits_total"]) == (120, 120)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "gap"),
    [
        (signal.SIGTERM, 0.0),
        (signal.SIGTERM, 0.0015),
        (signal.SIGTERM, 0.02),
        (signal.SIGTERM, 0.3),
        (signal.SIGINT, 0.003),
    ],
)
def test_a_second_signal_that_comes_at_once_costs_nothing(shell: Shell, number: signal.Signals, gap: float) -> None:
    process = started(shell)
    process.send_signal(number)
    time.sleep(gap)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "Traceback" not in err
    ended_well(shell, out)


@pytest.mark.slow
def test_signals_without_end_leave_at_once_and_lose_nothing(shell: Shell) -> None:
    process = started(shell)
    while process.poll() is None:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.01)
    out, err = process.communicate()
    assert process.returncode in {130, -signal.SIGTERM, 143}, out + err
    assert "Traceback" not in err
    assert (shell.folder / "runs" / "p" / "report.json").exists()
    again = shell("run", "runs/p", "--rate", "500/s", "--progress", "none", "--json")
    assert again.json["done"] == 120
    assert again.json["submits_total"] == 120


def test_after_a_sigterm_a_long_command_at_the_end_is_left_to_itself_in_time(shell: Shell) -> None:
    command = [*RUN, "--rate", "10/s", "--on-end", "echo $$ >began; exec sleep 60"]
    shell.file("p.txt", "".join(f"a kite over hill {number}\n" for number in range(120)))
    with (shell.folder / "err").open("w") as err:  # a pipe would stay open for as long as the command lives
        process = subprocess.Popen(
            command, cwd=shell.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err
        )
    deadline = time.monotonic() + 30
    while not list((shell.folder / "runs").glob("p/images/**/*.png")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 130
    text = (shell.folder / "err").read_text()
    words = re.search(r"--on-end still runs after ([\d.]+) s: left running \(process (\d+)\)", text)
    assert words is not None, text
    assert float(words[1]) <= AFTER_A_SIGNAL  # seconds: who sends SIGTERM kills after ten
    assert (shell.folder / "began").read_text().strip() == words[2]
    os.kill(int(words[2]), signal.SIGTERM)  # it lives, in a session of its own
    ended_well(shell, "Resume with")


def test_a_sigterm_ends_a_run_within_ten_seconds_whatever_the_service_does(shell: Shell) -> None:
    slow = "faults: [{where: file, kind: slow, skip: 1, seconds: 60}]"  # only the first picture comes
    profile = shell.file("profile.yaml", slow)
    service = [sys.executable, "-m", "batcher", "simulate", "--port", "0", "--profile", profile]
    with subprocess.Popen(service, cwd=shell.folder, stdout=subprocess.PIPE, text=True) as simulator:
        assert simulator.stdout is not None
        url = simulator.stdout.readline().split()[-1]
        shell.file("p.txt", "".join(f"a kite over hill {number}\n" for number in range(60)))
        command = [*RUN[:4], "p.txt", "--base-url", url, "--trust-host", "127.0.0.1", "--rate", "20/s"]
        environment = {**os.environ, "RUNCOMFY_TOKEN": "any-token-will-do"}
        with subprocess.Popen(
            command, cwd=shell.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        ) as process:
            deadline = time.monotonic() + 30
            while not list((shell.folder / "runs").glob("p/images/**/*.png")):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=60)
            took = time.monotonic() - began
        simulator.terminate()
    # A file takes 60 s to come. The ten seconds are the run's own patience and a rest to write down; a machine that is
    # busy with other things makes that longer, and must not make it endless.
    assert GRACE <= 6
    assert took < 40, out
    assert process.returncode == 130, out
    ended_well(shell, out)
