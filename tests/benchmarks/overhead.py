"""What a job costs beside a bare loop of the same HTTP calls, with state, checksums, sidecars and progress all on."""

import atexit
import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from batcher.images.check import Limits, examine
from tests.benchmarks.process import BATCHER, PYTHON, Run, run
from tests.benchmarks.service import Pictures, served
from tests.benchmarks.table import Line

JOBS = 5000
IN_FLIGHT = 256
ROUNDS = 2
PICTURES = 100
PACE, PACED_JOBS, LATENCY = 100, 6_000, 5.0  # jobs a second, jobs, seconds that each runs
GROWN = 1.2 * 3.7 / 3.0  # a fifth more than was measured before the job table was the queue, beside a bare loop's


def measure() -> Iterator[Line]:
    folder = TemporaryDirectory()
    atexit.register(folder.cleanup)  # not before: files that go slow down the making of others for minutes
    with served() as origin:
        yield from _small(origin, Path(folder.name))
    with served("--latency", str(LATENCY)) as origin:
        yield _paced(origin, Path(folder.name))
    for form in ("png", "jpeg"):
        yield from _decoding(form, Path(folder.name))


def _small(origin: str, ground: Path) -> Iterator[Line]:
    manifest = prompts(ground, JOBS)
    bare: list[Run] = []
    floor: list[Run] = []
    ours: list[Run] = []
    for number in range(ROUNDS):  # in turns, so that a noisy minute falls on all
        bare.append(bare_loop(origin, ground / f"bare{number}", JOBS))
        floor.append(reference("floor", origin, ground / f"floor{number}", JOBS))
        ours.append(batcher(origin, manifest, ground / f"ours{number}"))
    rates = [median(JOBS / one.seconds for one in runs) for runs in (bare, floor, ours)]
    costs = [median(one.cpu / JOBS * 1e3 for one in runs) for runs in (bare, floor, ours)]
    faster, dearer = _ratios(bare, ours)
    yield Line(
        what=f"{JOBS:,} jobs of 20 KB, nothing to wait for, {IN_FLIGHT} in flight", value=rates[2], unit="jobs/s",
        against=f"a bare loop's {rates[0]:.0f}", ratio=faster, bound=">= 0.42", ok=faster >= 0.42,
    )  # fmt: skip
    yield Line(
        what="processor time a job, start and end of the process included", value=costs[2], unit="ms",
        against=f"a bare loop's {costs[0]:.2f}", ratio=dearer, bound="<= 2.30", ok=dearer <= 2.3,
        note=f"peak memory {max(one.peak for one in ours) / 1e6:.0f} MB, of the bare loop "
        f"{max(one.peak for one in bare) / 1e6:.0f} MB",
    )  # fmt: skip
    faster, dearer = _ratios(bare, floor)
    yield Line(
        what="the most that is possible: a loop that forces files and rows to the disk, and does nothing else",
        value=rates[1], unit="jobs/s", against=f"a bare loop's {rates[0]:.0f}", ratio=faster,
        note=f"processor time {costs[1]:.2f} ms, {dearer:.2f} of the bare loop's",
    )  # fmt: skip
    faster, dearer = _ratios(floor, ours)
    yield Line(
        what="batcher beside that", value=rates[2], unit="jobs/s", against=f"its {rates[1]:.0f}", ratio=faster,
        note=f"processor time {dearer:.2f} of its {costs[1]:.2f} ms",
    )  # fmt: skip


def _ratios(reference: Sequence[Run], ours: Sequence[Run]) -> tuple[float, float]:
    """Throughput and processor time of ours, over the reference's, run by run."""
    pairs = list(zip(reference, ours, strict=True))
    return median(its.seconds / mine.seconds for its, mine in pairs), median(mine.cpu / its.cpu for its, mine in pairs)


def _paced(origin: str, ground: Path) -> Line:
    """As most runs are: a pace far below what could be had, and jobs that take some seconds."""
    ours = batcher(origin, prompts(ground, PACED_JOBS), ground / "paced", "--rate", f"{PACE}/s", "--in-flight", "2000")
    bare = bare_loop(origin, ground / "bare-paced", PACED_JOBS, "--in-flight", str(round(PACE * LATENCY)))
    cost, least = (one.cpu / PACED_JOBS * 1e3 for one in (ours, bare))
    return Line(
        what=f"processor time a job at {PACE} jobs a second of {LATENCY:g} s", value=cost, unit="ms",
        against=f"a bare loop's {least:.2f}, which asks every half second", ratio=cost / least,
        bound=f"<= {GROWN:.2f}", ok=cost / least <= GROWN,
    )  # fmt: skip


def _decoding(form: str, ground: Path) -> Iterator[Line]:
    """Full-size pictures with detail, decoded; then the same bytes in one thread and in as many as there are cores."""
    jobs, cores = PICTURES, os.cpu_count() or 1
    manifest = prompts(ground, jobs)
    with served("--form", form, "--noisy") as origin:
        plain = batcher(origin, manifest, ground / f"{form}-structure")
        decoded = batcher(origin, manifest, ground / f"{form}-decode", "--check", "decode")
    content = Pictures(form, 0, noisy=True).of(b"x" * 36)
    alone, together = (_examined(content, threads) for threads in (1, cores))
    yield Line(
        what=f"--check decode on a {form.upper()} of 1408x768, {len(content) / 1e6:.2g} MB",
        value=(decoded.cpu - plain.cpu) / jobs * 1e3, unit="ms more a picture",
        against=f"one thread, in {cores}", ratio=together / alone,
        note=f"{together:.0f} pictures a second can be decoded here",
    )  # fmt: skip


def _examined(content: bytes, threads: int) -> float:
    """Pictures a second."""
    count = 12 * threads
    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        list(pool.map(lambda _: examine(content, depth="decode", limits=Limits()), range(count)))
        return count / (time.perf_counter() - began)


def prompts(ground: Path, count: int) -> Path:
    path = ground / "prompts.jsonl"
    rows = ({"prompt": f"a kite over hill number {n}", "seed": n, "aspect_ratio": "16:9"} for n in range(count))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def bare_loop(origin: str, folder: Path, jobs: int, *more: str) -> Run:
    return reference("bare", origin, folder, jobs, *more)


def reference(name: str, origin: str, folder: Path, jobs: int, *more: str) -> Run:
    loop = (PYTHON, "-m", f"tests.benchmarks.{name}", origin, str(folder))
    return run([*loop, "--jobs", str(jobs), "--in-flight", str(IN_FLIGHT), *more])


def batcher(origin: str, manifest: Path, folder: Path, *more: str, program: Sequence[str] = BATCHER, **env: str) -> Run:
    """``--rate 100000/s`` is no limit that could be felt. more: flags, which win over those here."""
    ground = [*program, "run", str(manifest), "-o", str(folder), "--base-url", f"{origin}/v1"]
    flags = ["--rate", "100000/s", "--in-flight", str(IN_FLIGHT), "--check", "structure", "--progress", "lines"]
    return run(
        [*ground, "--trust-host", "127.0.0.1", "--json", *flags, *more],
        env={"RUNCOMFY_TOKEN": "benchmark-token", **env},
    )
