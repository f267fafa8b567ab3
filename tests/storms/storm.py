"""Fault storms: every fault the simulator knows, at 30 % of the calls it fits, in virtual time.

    python -m tests.storms            every fault, 60 jobs each, a table at the end
    python -m tests.storms --jobs 500

A storm may stop a run (a refused token, a balance that is gone, a broken service): then the same command is run again,
as a person would, until every job is at rest.
"""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batcher.core.errors import AccountError, ServiceError
from batcher.runner.stop import Reason
from batcher.simulator import Fault, Latency, Profile, Simulator
from batcher.simulator.faults import OUTCOMES, PLACES, kinds
from tests.support.stage import Going, go, lines
from tests.support.virtual import run, virtual_wall

QUICK = Latency(kind="fixed", median=1.0)
READ_OFTEN = Latency(kind="fixed", median=3.0)
MOST_RUNS = 60
HEAVY = frozenset({"huge", "endless"})  # megabytes for every call: a small share of calls says as much


@dataclass
class Weather:
    """What a storm did. most_attempts: paid tries of one job. most_charges: of one request."""

    name: str
    runs: int
    done: int
    failed: int
    in_doubt: int
    left: int
    most_charges: int
    most_attempts: int
    seconds: float
    leaks: int
    causes: dict[str, int]


def every_fault() -> Iterator[tuple[str, str]]:
    """(place, kind)."""
    for place in PLACES:
        yield from ((place, kind) for kind in kinds(place))


def alone(place: str, kind: str, jobs: int) -> Weather:
    share = 0.05 if kind in HEAVY else 0.3
    fault = Fault(where=place, kind=kind, probability=share, size=8 * 2**20)
    profile = Profile(latency=READ_OFTEN if place in {"result", "status"} else QUICK, faults=(fault,))
    if place == "status":
        profile = profile.merged({"unfinished_result": 409})  # else nobody would ask the status endpoint
    if place == "cancel":
        profile = profile.merged({"slots": 4, "latency": 2})
    return _storm(f"{place}:{kind}", profile, jobs)


def together(jobs: int, seed: int = 1) -> Weather:
    """All of them, each with its part of 30 % of the calls at its place."""
    faults = []
    for place, kind in every_fault():
        if kind not in HEAVY:
            faults.append(Fault(where=place, kind=kind, probability=0.3 / len(kinds(place))))
    return _storm("all together", Profile(seed=seed, latency=READ_OFTEN, faults=tuple(faults)), jobs)


def is_outcome(name: str) -> bool:
    return name.partition(":")[2] in OUTCOMES


def _storm(name: str, profile: Profile, jobs: int) -> Weather:
    folder = Path(tempfile.mkdtemp(prefix="storm"))
    try:
        manifest = folder / "jobs.txt"
        manifest.write_text(lines(jobs))
        return run(_weather(name, folder, manifest, profile, jobs))
    finally:
        shutil.rmtree(folder)


async def _weather(name: str, folder: Path, manifest: Path, profile: Profile, jobs: int) -> Weather:
    simulator = Simulator(profile, wall=virtual_wall())
    seconds, runs = 0.0, 0
    report: dict[str, Any] = {"pending": jobs}
    while report["pending"] and runs < MOST_RUNS:
        runs += 1
        calm: dict[str, Any] = {"rate": 20.0, "in_flight": 32, "fuse": None, "fuse_share": None}
        if name.startswith("cancel:") and runs == 1:  # interrupted and cancelled, then run again
            calm |= {"meanwhile": _interrupt, "cancel_on_interrupt": True}
        try:
            came = await go(folder / "run", manifest, simulator, **calm)
        except (AccountError, ServiceError):  # the catalogue was ill: nothing was begun
            await asyncio.sleep(60.0)
            continue
        seconds, report = seconds + came.seconds, came.report
        await asyncio.sleep(60.0)  # until somebody comes and looks
    stats = simulator.stats()
    failures = [json.loads(line) for line in (folder / "run" / "failures.jsonl").read_text("utf-8").splitlines()]
    causes: dict[str, int] = {}
    for failure in failures:
        causes[failure["cause"]["kind"]] = causes.get(failure["cause"]["kind"], 0) + 1
        assert failure["cause"]["message"], f"{name}: a failure without a word"
    records = [json.loads(line) for line in (folder / "run" / "records.jsonl").read_text("utf-8").splitlines()]
    return Weather(
        name=name, runs=runs, done=report["done"], failed=report["failed"] + report["cancelled"],
        in_doubt=report["in_doubt"], left=report["pending"], most_charges=stats["charges_per_input"]["max"],
        most_attempts=max((card["attempts"] for card in [*records, *failures]), default=0), seconds=seconds,
        leaks=stats["token_leaks"], causes=causes,
    )  # fmt: skip


async def _interrupt(going: Going) -> None:
    await asyncio.sleep(1.0)
    going.context.stop.request(Reason.INTERRUPTED)


def problems(weather: Weather, jobs: int) -> list[str]:
    """What a storm must never do."""
    broken = []
    if weather.left or weather.done + weather.failed + weather.in_doubt != jobs:
        broken.append(f"{weather.left} of {jobs} jobs not in a terminal state after {weather.runs} runs")
    if weather.most_charges > 1:
        broken.append(f"one request was charged {weather.most_charges} times")
    if weather.leaks:
        broken.append(f"the token leaked {weather.leaks} times")
    outcome = is_outcome(weather.name) or weather.name == "all together"
    if weather.most_attempts > (2 if outcome else 1):
        broken.append(f"{weather.most_attempts} paid attempts for a fault that was not the job's failure")
    return broken
