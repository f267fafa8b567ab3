"""Five thousand jobs at the service at once, half a minute each: is any forgotten, is the event loop ever held up?

python -m tests.benchmarks.in_flight NOTES run ...    a run as `batcher run ...`, with a watch on its event loop
"""

import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from batcher.__main__ import entry
from batcher.runner.drain import Drain
from batcher.store import STATE
from tests.benchmarks.overhead import prompts
from tests.benchmarks.process import PYTHON, run
from tests.benchmarks.service import served
from tests.benchmarks.table import Line

JOBS = 8_000
IN_FLIGHT = 5_000
LATENCY = 30.0  # seconds
RATE = 200  # submits per second: somewhat more than it takes to have so many at once for good
FIRST_GAP = 0.15  # of a job's time: between two looks while nothing is known, at most
MOST_MEMORY = 150e6
A_JOB = 20e3  # bytes that a job in flight may take on top: a task, an entry, a timer, a connection now and then
STEP = 0.005


def measure() -> Iterator[Line]:
    with TemporaryDirectory() as folder, served("--size", "2000", "--latency", str(LATENCY)) as origin:
        ground = Path(folder)
        notes = ground / "notes.json"
        words = ["run", str(prompts(ground, JOBS)), "-o", str(ground / "run"), "--base-url", f"{origin}/v1"]
        flags = [
            "--trust-host",
            "127.0.0.1",
            "--rate",
            f"{RATE}/s",
            "--in-flight",
            str(IN_FLIGHT),
            "--progress",
            "lines",
        ]
        command = [PYTHON, "-m", "tests.benchmarks.in_flight", str(notes), *words, *flags, "--check", "structure"]
        ended = run(command, env={"RUNCOMFY_TOKEN": "benchmark-token"})
        watched = json.loads(notes.read_text())
        delays, most = noticed(ground / "run")
    yield Line(
        what=f"{IN_FLIGHT:,} jobs of 30 s in flight: the longest that the event loop was held up",
        value=watched["longest"] * 1e3, unit="ms", bound="<= 50 ms", ok=watched["longest"] <= 0.05,
        note=f"{watched['over']} times over 50 ms; of the longest, {watched['own'] * 1e3:.0f} ms was its own work and "
        f"the rest waiting for a processor or the interpreter's lock; half were below {watched['median'] * 1e3:.1f} ms",
    )  # fmt: skip
    yield Line(
        what="from the end of a job to its notice, the longest", value=delays[-1], unit="s",
        bound="<= 15 % of its time", ok=delays[-1] <= FIRST_GAP * LATENCY,
        note=f"half within {median(delays):.2f} s; {len(delays):,} jobs in {ended.seconds:.0f} s, {most:,} at once",
    )  # fmt: skip
    bound = MOST_MEMORY + IN_FLIGHT * A_JOB
    yield Line(
        what="peak memory", value=ended.peak / 1e6, unit="MB", bound=f"<= {bound / 1e6:.0f} MB", ok=ended.peak <= bound
    )


def noticed(folder: Path) -> tuple[list[float], int]:
    """Seconds from the end of each job to the moment it was known, in order; and the most jobs at work at once."""
    with closing(sqlite3.connect(folder / STATE)) as connection:
        rows = connection.execute(
            "SELECT 86400 * julianday(accepted_at), 86400 * julianday(finished_at) FROM jobs WHERE state = 'done'"
        ).fetchall()
    steps = sorted([(begun, 1) for begun, _ in rows] + [(ended, -1) for _, ended in rows])
    at_once = most = 0
    for _, step in steps:
        at_once += step
        most = max(most, at_once)
    return sorted(max(0.0, ended - begun - LATENCY) for begun, ended in rows), most


async def _watch(delays: list[tuple[float, float]]) -> None:
    """Each time that the loop came round late: by how much, and how much of that was the loop's own work."""
    while True:
        wall, own = time.perf_counter(), time.thread_time()
        await asyncio.sleep(STEP)
        delays.append((time.perf_counter() - wall - STEP, time.thread_time() - own))


def _with_a_watch(words: list[str], notes: Path) -> str | int | None:
    runs, delays = Drain.run, list[tuple[float, float]]()

    async def watched(*parts: Any) -> None:
        watch = asyncio.create_task(_watch(delays))
        try:
            await runs(*parts)
        finally:
            watch.cancel()

    command = ["batcher", *words]  # the console script, whose garbage collector searches less often than Python's
    with patch.object(Drain, "run", watched), patch.object(sys, "argv", command):
        try:
            entry()
        except SystemExit as ended:
            code = ended.code
    late, own = max(delays)
    over, usual = sum(each > 0.05 for each, _ in delays), median(each for each, _ in delays)
    notes.write_text(json.dumps({"longest": late, "own": own, "over": over, "median": usual}))
    return code


if __name__ == "__main__":
    sys.exit(_with_a_watch(sys.argv[2:], Path(sys.argv[1])))
