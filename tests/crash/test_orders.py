"""A sample of the random orders (``python -m tests.crash.orders`` plays a hundred), and a long sleep."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tests.crash.orders import ROOT, play, small_disk
from tests.support.simulator_process import service


@pytest.mark.parametrize("number", [102, 106])
def test_accidents_in_any_order_end_with_every_job_done_or_said_and_no_charge_unannounced(
    tmp_path: Path, number: int
) -> None:
    with small_disk(tmp_path) as disk:
        order = play(disk, number, jobs=100)
    assert order.problems == []


SHORT = """
from batcher.client import api
api.SUBMIT = api.READ = 3.0
from batcher.__main__ import entry
entry()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs SIGSTOP")
def test_a_long_sleep_with_answers_waiting_in_the_sockets_puts_nothing_in_doubt(tmp_path: Path) -> None:
    """The sleep is twice as long as every time-out of a call."""
    (tmp_path / "jobs.txt").write_text("".join(f"kite {number}\n" for number in range(60)))
    with service(tmp_path, "latency: 0.5\nfaults:\n  - {where: submit, kind: slow, seconds: 1.0}\n") as origin:
        going = subprocess.Popen(
            [
                sys.executable, "-m", "tests.support.patched", SHORT, "run", "jobs.txt", "-o", "run", "--base-url",
                f"{origin}/v1", "--trust-host", "127.0.0.1", "--rate", "20/s", "--in-flight", "60",
                "--progress", "none", "--json",
            ],
            cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "RUNCOMFY_TOKEN": "a-token", "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        until = time.monotonic() + 60
        while _stats(origin)["submits_accepted"] < 12:
            assert going.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        going.send_signal(signal.SIGSTOP)
        time.sleep(6.0)
        going.send_signal(signal.SIGCONT)
        out, complained = going.communicate(timeout=100)
        assert going.returncode == 0, complained
        report = json.loads(out)
        assert (report["done"], report["in_doubt"]) == (60, 0)
        assert _stats(origin)["charges_per_input"]["max"] == 1


def _stats(origin: str) -> Any:
    with urlopen(f"{origin}/_simulator/stats", timeout=30) as answer:
        return json.load(answer)
