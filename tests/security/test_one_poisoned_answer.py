"""One hostile answer among those to fifty jobs: it may fail its own job, and nothing else.

Every fault that the simulator knows, once: on one call of a run, and, for reads and files, on every call about one job,
for as long as anybody asks. In virtual time.

    BATCHER_TESTS=all python -m pytest tests/security/test_one_poisoned_answer.py

runs all of them (two minutes); without it, each twenty-third.
"""

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from batcher.simulator import Fault, Latency, Profile, Simulator
from batcher.simulator.faults import OUTCOMES, PLACES, FaultBook, kinds
from tests.support.stage import Came, go, lines
from tests.support.virtual import run

JOBS = 50
Stats = dict[str, Any]
STEADY = Profile(latency=Latency(kind="fixed", median=2.0))
STOPS_THE_RUN = {"400002", "400004", "401", "402", "403001"}  # the account, not the job: run again, as a person would
FAULTS = [(where, kind) for where in PLACES if where in {"submit", "result", "file"} for kind in sorted(kinds(where))]
EACH = 1 if os.environ.get("BATCHER_TESTS") == "all" else 23
READS = [(where, kind) for where, kind in FAULTS if where in {"result", "file"} and kind not in OUTCOMES]


class OneVictim(FaultBook):
    """Every call at one place about the seventh subject that comes there goes wrong, the others never."""

    def __init__(self, rule: Fault) -> None:
        super().__init__(1, [])
        self._rule = rule
        self._subjects: list[str] = []

    def draw(self, where: str, subject: str, times: int | None = None) -> Fault | None:  # noqa: ARG002  FaultBook's
        if where != self._rule.where:
            return None
        if subject not in self._subjects:
            self._subjects.append(subject)
        return self._rule if self._subjects.index(subject) == 6 else None


async def to_the_end(folder: Path, simulator: Simulator, **settings: Any) -> Came:
    manifest = folder / "kites.txt"
    manifest.write_text(lines(JOBS))
    for _ in range(3):
        came = await go(folder / "run", manifest, simulator, **settings)
        if came.stop.reason is None:
            return came
    raise AssertionError(f"stopped three times: {came.stop.message}")


def states(folder: Path) -> dict[str, int]:
    with sqlite3.connect(folder / "run" / "state.db") as connection:
        counts = dict(connection.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall())
    connection.close()
    return counts


def judged(folder: Path, stats: Stats, came: Came) -> None:
    counts = states(folder)
    assert sum(counts.values()) == JOBS
    assert counts["done"] >= JOBS - 1, counts
    assert set(counts) <= {"done", "failed", "in_doubt", "cancelled"}, counts
    assert came.report["pending"] == 0
    assert (stats["token_leaks"], stats["strays"]) == (0, 0)
    assert (
        stats["charges_per_input"]["max"] <= 2
    )  # a job that failed there is paid for a second time, by its --attempts


@pytest.mark.parametrize(("where", "kind"), FAULTS[::EACH])
def test_one_hostile_answer_costs_one_job_at_most(tmp_path: Path, where: str, kind: str) -> None:
    rule = Fault(where=where, kind=kind, count=1, skip=0 if kind in OUTCOMES else 6)

    async def story() -> tuple[Came, Stats]:
        simulator = Simulator(STEADY.merged({"faults": [rule]}))
        return await to_the_end(tmp_path, simulator), simulator.stats()

    came, stats = run(story())
    judged(tmp_path, stats, came)
    assert stats["faults"] == {f"{where}:{kind}": 1}


@pytest.mark.parametrize(("where", "kind"), [pair for pair in READS if pair[1] not in STOPS_THE_RUN][::EACH])
def test_answers_that_stay_hostile_about_one_job_cost_that_job(tmp_path: Path, where: str, kind: str) -> None:
    async def story() -> tuple[Came, Stats]:
        simulator = Simulator(STEADY)
        simulator.faults = OneVictim(Fault(where=where, kind=kind, size=6 << 20, seconds=1.0))
        return await to_the_end(tmp_path, simulator, timeout=120.0), simulator.stats()

    came, stats = run(story())
    judged(tmp_path, stats, came)
    assert sum(stats["faults"].values()) >= 1
