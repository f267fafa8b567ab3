"""Whether ``--rate`` is reached and kept, and whether a limit that the service doesn't tell is found.

Reaching and keeping it is measured on real ``batcher run`` processes against a service process. Seconds are judged by
when the submits leave, as it is the client's promise; when they arrive is said beside it. Hidden limits: one real run
against the simulator, and every combination of limit, kind of limit, round trip and Retry-After with the pure pace in
pure time (``tests.hidden_limit``), as each takes minutes.

    python -m tests.benchmarks.rate LEAVES run MANIFEST ...     batcher, with the moments of its submits in LEAVES
"""

import atexit
import json
import sys
import time
import urllib.request
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from subprocess import PIPE, Popen
from tempfile import TemporaryDirectory
from typing import Any

from batcher.pace import Pace
from tests.benchmarks.process import PYTHON, run
from tests.benchmarks.service import served
from tests.benchmarks.table import Line
from tests.hidden_limit import KINDS, Kind, Seen, gate, play

SECONDS = 31.0
ROUNDS = ((1.0, 10.0, 100.0), (300.0,))  # rates that run at the same time
HIDDEN = 10.0  # of the real run with a hidden limit
CALLS_EACH = 4.0  # API calls a job makes at least when it runs for some seconds: a submit and its looks
LIMITS = (1.0, 3.0, 10.0, 50.0, 100.0)
ROUND_TRIPS = (0.02, 0.2)
RISES = ((1.0, 10.0), (1.0, 50.0), (3.0, 100.0), (10.0, 20.0), (10.0, 100.0), (50.0, 100.0))


def measure() -> Iterator[Line]:
    with TemporaryDirectory() as folder, ThreadPoolExecutor() as threads:
        ground = Path(folder)
        hidden = threads.submit(_hidden, ground)
        for rates in ROUNDS:
            yield from threads.map(lambda rate: _kept(ground, rate), rates)
        yield from hidden.result()
    yield from _found()
    yield from _followed()


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
        against=f"{rate:g}", ratio=reached / rate, bound=f">= 0.99, no second over {rate + 1:g}, no 429",
        ok=reached >= 0.99 * rate and fullest <= rate + 1 and report["rate_limited"] == 0,
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
        value=used * HIDDEN, unit="submits/s", against=f"{HIDDEN:g}", ratio=used, bound=">= 0.90, refused <= 2 %",
        ok=used >= 0.9 and share <= 0.02,
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


def _found() -> Iterator[Line]:
    """The worst of each limit and kind over 300/s and twice the limit, round trips, and with Retry-After or not."""
    for kind, limit in product(KINDS, LIMITS):
        cases = product((300.0, 2 * limit), ROUND_TRIPS, (False, True))
        seen = [_played(kind, limit, rate, trip, says) for rate, trip, says in cases]
        yield _worst(kind, limit, seen)


def _played(kind: Kind, limit: float, rate: float, trip: float, says_when: bool) -> Seen:
    service = gate(kind, lambda _: limit, 0.3)
    return play(Pace(rate), service, seconds=90.0, round_trip=trip, says_when=says_when)


def _worst(kind: Kind, limit: float, seen: Sequence[Seen]) -> Line:
    used = min(one.rate(30.0, 90.0) for one in seen) / limit
    share = max(one.refused_share(0.0, 60.0, CALLS_EACH) for one in seen)
    of_submits = max(one.refused_share(0.0, 60.0) for one in seen)
    early = min(one.rate(0.0, 60.0) for one in seen) / limit
    return Line(
        what=f"hidden limit of {limit:g}/s, {KINDS[kind]}: from 30 s to 90 s", value=used * limit, unit="submits/s",
        against=f"{limit:g}", ratio=used, bound=">= 0.90, refused <= 2 %", ok=used >= 0.9 and share <= 0.02,
        note=f"pure time, the worst of {len(seen)}; in the first minute {early:.2f} of it, refused {share:.1%} of calls"
        f" ({CALLS_EACH:g} a job), {of_submits:.1%} of submits",
    )  # fmt: skip


def _followed() -> Iterator[Line]:
    for kind in KINDS:
        worst, slowest = 9.9, ""
        for (before, after), moment in product(RISES, (70.0, 83.0, 97.0)):
            service = gate(kind, lambda now, at=moment, b=before, a=after: a if now > at else b, 0.3)  # type: ignore[misc]  # defaults bind the loop's values
            seen = play(Pace(300.0), service, seconds=moment + 120.0)
            share = seen.rate(moment + 60.0, moment + 120.0) / after
            if share < worst:
                worst, slowest = share, f"{before:g}/s to {after:g}/s"
        yield Line(
            what=f"a hidden limit rises, {KINDS[kind]}: in the second minute", value=worst, unit="of the new limit",
            bound=">= 0.80", ok=worst >= 0.8, note=f"pure time, the worst of {3 * len(RISES)}: {slowest}",
        )  # fmt: skip


# A batcher that says when its submits leave.


def _listened(leaves: Path, arguments: list[str]) -> int:
    from batcher.__main__ import main  # noqa: PLC0415  the benchmark itself does without
    from batcher.api import Api  # noqa: PLC0415

    times: list[float] = []
    submit = Api.submit

    async def timed(api: Api, model: str, inputs: Any) -> Any:
        times.append(time.monotonic())
        return await submit(api, model, inputs)

    Api.submit = timed  # type: ignore[method-assign, assignment]  # listens in
    atexit.register(lambda: leaves.write_text(json.dumps(times)))
    return main(arguments)


if __name__ == "__main__":
    sys.exit(_listened(Path(sys.argv[1]), sys.argv[2:]))
