"""What a job costs beside a bare loop of the same HTTP calls, with state, checksums, sidecars and progress all on."""

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.benchmarks.process import BATCHER, PYTHON, Run, run
from tests.benchmarks.service import served
from tests.benchmarks.table import Line

JOBS = 5000
IN_FLIGHT = 256
ROUNDS = 3


def measure() -> Iterator[Line]:
    with TemporaryDirectory() as folder, served() as origin:
        ground = Path(folder)
        manifest = prompts(ground, JOBS)
        bare, ours = [], []
        for number in range(ROUNDS):  # in turns, so that a noisy minute falls on both
            bare.append(bare_loop(origin, ground / f"bare{number}", JOBS))
            ours.append(batcher(origin, manifest, ground / f"ours{number}"))
    rates = [[JOBS / one.seconds for one in runs] for runs in (bare, ours)]
    costs = [[one.cpu / JOBS * 1e3 for one in runs] for runs in (bare, ours)]
    faster = median(mine / its for its, mine in zip(*rates, strict=True))
    dearer = median(mine / its for its, mine in zip(*costs, strict=True))
    yield Line(
        what=f"{JOBS:,} jobs of 20 KB, nothing to wait for, {IN_FLIGHT} in flight", value=median(rates[1]),
        unit="jobs/s", against=f"a bare loop's {median(rates[0]):.0f}", ratio=faster, bound=">= 0.80", ok=faster >= 0.8,
    )  # fmt: skip
    yield Line(
        what="processor time a job, start and end of the process included", value=median(costs[1]), unit="ms",
        against=f"a bare loop's {median(costs[0]):.2f}", ratio=dearer, bound="<= 1.30", ok=dearer <= 1.3,
        note=f"peak memory {max(one.peak for one in ours) / 1e6:.0f} MB, of the bare loop "
        f"{max(one.peak for one in bare) / 1e6:.0f} MB",
    )  # fmt: skip


def prompts(ground: Path, count: int) -> Path:
    path = ground / "prompts.jsonl"
    rows = ({"prompt": f"a kite over hill number {n}", "seed": n, "aspect_ratio": "16:9"} for n in range(count))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def bare_loop(origin: str, folder: Path, jobs: int, *more: str) -> Run:
    loop = (PYTHON, "-m", "tests.benchmarks.bare", origin, str(folder))
    return run([*loop, "--jobs", str(jobs), "--in-flight", str(IN_FLIGHT), *more])


def batcher(origin: str, manifest: Path, folder: Path, *more: str) -> Run:
    """``--rate 100000/s`` is no limit that could be felt."""
    command = [
        *BATCHER,
        "run",
        str(manifest),
        "-o",
        str(folder),
        "--base-url",
        f"{origin}/v1",
        "--trust-host",
        "127.0.0.1",
    ]
    flags = [
        "--rate",
        "100000/s",
        "--in-flight",
        str(IN_FLIGHT),
        "--check",
        "structure",
        "--progress",
        "lines",
        "--json",
    ]
    return run([*command, *flags, *more], RUNCOMFY_TOKEN="benchmark-token")
