"""Whether ``--rate`` is reached and kept, and whether a limit that the service doesn't tell is found.

Reaching and keeping it is measured on real ``batcher run`` processes against a service process. Seconds are judged by
when the submits leave, as it is the client's promise; when they arrive is said beside it. Hidden limits: one real run
against the simulator, and every combination of limit, kind of limit, round trip and Retry-After with the pure pace in
pure time (``tests.support.hidden_limit``), as each takes minutes: kinds that the pace's constants were chosen on, and
others.

    python -m tests.benchmarks.rate LEAVES run MANIFEST ...     batcher, with the moments of its submits in LEAVES
"""

import atexit
import json
import math
import sys
import time
import urllib.request
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean
from subprocess import PIPE, Popen
from tempfile import TemporaryDirectory
from typing import Any

from batcher.pacing import Pace
from tests.benchmarks.process import PYTHON, run
from tests.benchmarks.service import served
from tests.benchmarks.table import Line
from tests.support.hidden_limit import KINDS, WAYS, Seen, made, play

SECONDS = 31.0
FASTEST, SLOWER = 200.0, (5.0, 50.0)  # the slower ones run at the same time
HIDDEN = 10.0  # of the real run with a hidden limit
CALLS_EACH = 4.0  # API calls a job makes at least when it runs for some seconds: a submit and its looks
LIMITS = (1.0, 2.0, 7.0, 23.0, 70.0)  # the pace's constants were chosen on 1, 3, 10, 50 and 100, with other seeds
SEEDS = (101,)
RISES = ((1.0, 10.0), (1.0, 50.0), (3.0, 100.0), (10.0, 20.0), (10.0, 100.0), (50.0, 100.0))


def measure() -> Iterator[Line]:
    with TemporaryDirectory() as folder, ThreadPoolExecutor() as threads:
        ground = Path(folder)
        yield _kept(ground, FASTEST)  # alone: beside the run with the hidden limit it came to 0.96
        hidden = threads.submit(_hidden, ground)
        yield from threads.map(lambda rate: _kept(ground, rate), SLOWER)
        with ProcessPoolExecutor(2) as workers:
            yield from _hidden_limits(workers)
            yield from _followed(workers)
        yield from hidden.result()


# The rate that was asked for.


def _kept(ground: Path, rate: float) -> Line:
    with served("--size", "1000") as origin:
        report, leaves = _batcher(ground, f"kept{rate:g}", f"{origin}/v1", rate, int(rate * SECONDS) + 1)
        with urllib.request.urlopen(f"{origin}/counts", timeout=30) as answer:
            arrivals = json.load(answer)["starts"]
    reached = (len(leaves) - 1) / (leaves[-1] - leaves[0])
    fullest = fullest_second(leaves)
    return Line(
        what=f"--rate {rate:g}/s for {leaves[-1] - leaves[0]:.0f} s", value=reached, unit="submits/s",
        against=f"{rate:g}", ratio=reached / rate, bound=f">= 0.98, no second over {rate + 1:g}, no 429",
        ok=reached >= 0.98 * rate and fullest <= rate + 1 and report["rate_limited"] == 0,
        note=f"most submits in any second: {fullest} left, {fullest_second(sorted(arrivals))} arrived; "
        f"{report['rate_limited']} refused",
    )  # fmt: skip


def fullest_second(times: Sequence[float]) -> int:
    """The most in any window of one second, both of its ends included. times: in order."""
    return max(bisect_right(times, first + 1.0) - at for at, first in enumerate(times))


def _batcher(ground: Path, name: str, base: str, rate: float, jobs: int, *more: str) -> tuple[Any, list[float]]:
    """The report, and when submits left, in order (seconds on a clock of one machine)."""
    manifest, leaves = ground / f"{name}.jsonl", ground / f"{name}.leaves"
    manifest.write_text("".join(json.dumps({"prompt": f"hill number {n} of {name}"}) + "\n" for n in range(jobs)))
    command = [PYTHON, "-m", "tests.benchmarks.rate", str(leaves), "run", str(manifest), "-o", str(ground / name)]
    service = ["--base-url", base, "--trust-host", "127.0.0.1", "--check", "none"]
    pace = ["--rate", f"{rate:g}/s", "--in-flight", "1024", "--progress", "none", "--json", *more]
    came = run([*command, *service, *pace], codes=(0, 4), env={"RUNCOMFY_TOKEN": "benchmark-token"})
    return json.loads(came.out), sorted(json.loads(leaves.read_text()))


# A limit that the service doesn't tell.


def _hidden(ground: Path) -> Iterator[Line]:
    settings = {"rate_limit": HIDDEN, "latency": {"kind": "lognormal", "median": 3.0, "sigma": 0.3}}
    with _simulator(ground, settings) as origin:
        jobs = int(HIDDEN * 60)
        report, leaves = _batcher(ground, "hidden", f"{origin}/v1", 300.0, jobs, "--deadline", "61s")
        with urllib.request.urlopen(f"{origin}/_simulator/stats", timeout=30) as answer:
            stats = json.load(answer)
    calls = sum(stats["calls"].get(kind, 0) for kind in ("submit", "result", "status"))
    used = stats["submits_accepted"] / HIDDEN / (leaves[-1] - leaves[0])
    share, of_submits = stats["refused"] / calls, stats["refused"] / stats["calls"]["submit"]
    return iter([Line(
        what=f"real run: {HIDDEN:g}/s allowed, {300}/s asked for, its first {leaves[-1] - leaves[0]:.0f} s",
        value=used * HIDDEN, unit="submits/s", against=f"{HIDDEN:g}", ratio=used, bound=">= 0.85, refused <= 3 %",
        ok=used >= 0.85 and share <= 0.03,
        note=f"{report['rate_limited']} refused: {share:.1%} of all {calls} calls, {of_submits:.1%} of the submits",
    )])  # fmt: skip


@contextmanager
def _simulator(ground: Path, settings: dict[str, Any]) -> Iterator[str]:
    profile = ground / "profile.yaml"
    profile.write_text(json.dumps(settings))  # JSON is YAML
    command = [PYTHON, "-m", "batcher.simulator", "--profile", str(profile), "--exit-with-parent"]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        try:
            yield json.loads(child.stdout.readline())["origin"]
        finally:
            child.stdin.close()
            child.wait()


@dataclass(frozen=True, slots=True)
class Case:
    """One service in pure time. limits: calls per second before and after ``moment``."""

    kind: str
    limits: tuple[float, float]
    way: str
    says_when: bool
    seed: int
    moment: float = math.inf

    def seen(self, seconds: float) -> Seen:
        before, after = self.limits
        service = made(self.kind, lambda now: after if now > self.moment else before, self.seed)
        return play(Pace(300.0), service, seconds=seconds, way=WAYS[self.way], says_when=self.says_when, seed=self.seed)


def _steady(case: Case) -> tuple[float, float, float, float]:
    """Of what is allowed after a minute; refused of all calls in the first minute and after it, and of submits."""
    seen = case.seen(180.0)
    shares = (seen.refused_share(0.0, 60.0, CALLS_EACH), seen.refused_share(60.0, 180.0, CALLS_EACH))
    return seen.rate(60.0, 180.0) / case.limits[0], *shares, seen.refused_share(60.0, 180.0)


def _after(case: Case) -> float:
    return case.seen(case.moment + 120.0).rate(case.moment + 60.0, case.moment + 120.0) / case.limits[1]


def _hidden_limits(workers: Executor) -> Iterator[Line]:
    """By kind, over limits, round trips, loads, and with Retry-After or not; at last all kinds together."""
    everything: list[tuple[float, float, float, float]] = []
    for kind in KINDS:
        cases = {
            limit: [Case(kind, (limit, limit), *rest) for rest in product(WAYS, (False, True), SEEDS)]
            for limit in LIMITS
        }
        came = {limit: list(workers.map(_steady, cases[limit], chunksize=3)) for limit in LIMITS}
        low = {limit: min(one[0] for one in came[limit]) for limit in LIMITS}
        every = [one for limit in LIMITS for one in came[limit]]
        everything += every
        first, share, of_submits = (max(one[at] for one in every) for at in (1, 2, 3))
        yield Line(
            what=f"hidden limit, {kind}: second and third minute", value=fmean(one[0] for one in every),
            unit="of what is allowed, on average",
            note="pure time; the worst at " + ", ".join(f"{limit:g}/s {low[limit]:.2f}" for limit in LIMITS)
            + f"; refused at most {first:.1%} of calls in the first minute, {share:.1%} after"
            f" ({CALLS_EACH:g} a job; {of_submits:.1%} of submits)",
        )  # fmt: skip
    used, first, share = (fmean(one[at] for one in everything) for at in (0, 1, 2))
    refused = (first + 2 * share) / 3
    yield Line(
        what=f"hidden limits, all {len(everything)} of them", value=used, unit="of what is allowed, on average",
        bound=">= 0.85, refused <= 3 %", ok=used >= 0.85 and refused <= 0.03,
        note=f"refused {refused:.1%} of calls in three minutes: {first:.1%} in the first, {share:.1%} after",
    )  # fmt: skip


def _followed(workers: Executor) -> Iterator[Line]:
    for kind in KINDS:
        cases = [Case(kind, rise, "near", False, SEEDS[0], moment) for rise, moment in product(RISES, (70.0, 97.0))]
        shares = list(workers.map(_after, cases))
        worst = min(range(len(cases)), key=shares.__getitem__)
        before, after = cases[worst].limits
        yield Line(
            what=f"a hidden limit rises, {kind}: in the second minute", value=shares[worst], unit="of the new limit",
            bound=">= 0.80", ok=shares[worst] >= 0.8,
            note=f"pure time, the worst of {len(cases)}: {before:g}/s to {after:g}/s",
        )  # fmt: skip


# A batcher that says when its submits leave.


def _listened(leaves: Path, arguments: list[str]) -> int:
    from batcher.__main__ import main  # noqa: PLC0415  the benchmark itself does without
    from batcher.client.api import Api  # noqa: PLC0415

    times: list[float] = []
    submit = Api.submit

    async def timed(api: Api, model: str, inputs: Any, leaves: Callable[[], None]) -> Any:
        times.append(time.monotonic())
        return await submit(api, model, inputs, leaves)

    Api.submit = timed  # type: ignore[method-assign, assignment]  # listens in
    atexit.register(lambda: leaves.write_text(json.dumps(times)))
    return main(arguments)


if __name__ == "__main__":
    sys.exit(_listened(Path(sys.argv[1]), sys.argv[2:]))
