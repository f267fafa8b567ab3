"""The crash matrix: kill a run at each durable step in turn, run the same command again, count what was charged.

    python -m tests.crash.matrix                 every step and 20 random times: a table at the end (some minutes)
    python -m tests.crash.matrix --every 9       each ninth
    python -m tests.crash.matrix --decide resubmit
    python -m tests.crash.matrix --every 9 --between truncate    what happened to the files before the second run
    python -m tests.crash.matrix --every 9 --asleep              stopped at the step for a while, instead of killed

The service is one simulator process that outlives all the victims. A trial has prompts of its own, so what the service
charged for it can be told from the rest.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.request import urlopen

from batcher.simulator import file_bytes
from tests.crash.between import ACTS, Place
from tests.support.simulator_process import service

ROOT = Path(__file__).parents[2]
JOBS = 14
NAP = 3.0  # seconds
KEEP_ALL = ["copy", "drop_journal", "rename", "truncate"]  # acts after which every job and every file is to be there


@dataclass
class Trial:
    """What came of one kill. step: what the victim did last. in_air: submits whose outcome was not on disk yet."""

    number: int
    step: str = ""
    killed: bool = False
    in_air: int = 0
    in_doubt: int = 0
    charged: int = 0
    problems: list[str] = field(default_factory=list)


def attempt(
    folder: Path, number: int, origin: str, decide: str = "hold", between: str | None = None, *, asleep: bool = False
) -> Trial:
    """One kill at step ``number`` (0: none; below 0: at a random time) and the run that mends it.

    between: what happens to the files then, by its name in ``between.ACTS``. asleep: it is stopped at that step for
    ``NAP`` seconds instead of killed, and nothing may be in doubt.
    """
    trial = Trial(number)
    (folder / "jobs.txt").write_text("".join(f"trial {folder.name} kite {index}\n" for index in range(JOBS)))
    steps = folder / "steps.txt"
    moment = Random(number).uniform(0.5, 2.5) if number < 0 else None
    place = Place(folder, Random(number))
    first = _run(place, steps, max(number, 0), origin, "hold", moment, asleep=asleep)
    steps_made = steps.read_text().splitlines() if steps.exists() else []
    trial.killed = first.returncode == -9
    trial.step = "random times" if number < 0 else steps_made[-1] if steps_made else "nothing"
    trial.in_air = _in_air(steps_made)
    if asleep:
        report = json.loads(first.stdout) if first.stdout.strip() else {}
        trial.killed, trial.in_doubt = number > 0, report.get("in_doubt", -1)
        trial.in_air, trial.step = 0, steps_made[number - 1] if 0 < number <= len(steps_made) else "nothing"
        trial.problems = list(_problems(place, first, report, origin, trial, decide))
        return trial
    if not trial.killed:
        return trial
    if between is not None and place.run.exists():
        ACTS[between](place)
    second = _run(place, folder / "steps-2.txt", 0, origin, decide, copied=between == "copy")
    report = json.loads(second.stdout) if second.stdout.strip() else {}
    trial.in_doubt = report.get("in_doubt", -1)
    trial.problems = list(_problems(place, second, report, origin, trial, decide))
    return trial


def _run(
    place: Place, steps: Path, kill_at: int, origin: str, decide: str, kill_after: float | None = None, *,
    asleep: bool = False, copied: bool = False,
) -> "subprocess.CompletedProcess[str]":  # fmt: skip
    command = [
        sys.executable, "-m", "tests.crash.victim", str(-kill_at if asleep else kill_at), str(steps), "run",
        str(place.folder / "jobs.txt"), *(["--continue-copy"] if copied else []), "-o", str(place.run), "--base-url",
        f"{origin}/v1", "--trust-host", "127.0.0.1", "--rate", "50/s", "--json", "--progress", "none", "--in-doubt",
        decide, "--in-flight", "4",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "RUNCOMFY_TOKEN": "a-token"}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        if asleep and kill_at:
            _let_sleep(process)
        out, complained = process.communicate(timeout=kill_after or 120)
    except subprocess.TimeoutExpired:
        process.kill()
        out, complained = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, out, complained)


def _let_sleep(process: "subprocess.Popen[str]") -> None:
    """Until the victim has stopped itself, and ``NAP`` seconds more."""
    while process.poll() is None:
        if Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            time.sleep(NAP)
            process.send_signal(signal.SIGCONT)
            return
        time.sleep(0.02)


def _in_air(steps: list[str]) -> int:
    """Submits between the intent, which may be on the disk once its commit has begun, and the outcome, once it is."""
    begun = sum(_moves(step)["claim"] for step in steps if step.endswith(": before"))
    ended = sum(
        moves[verb]
        for moves in (_moves(step) for step in steps if step.endswith(": after"))
        for verb in ("accept", "release", "reject", "doubt")
    )
    return begun - ended


def _moves(step: str) -> Counter[str]:
    """``commit accept*1+claim*2: before`` as 1 accept and 2 claims; nothing for other steps."""
    if not step.startswith("commit "):
        return Counter()
    parts = (part.split("*") for part in step.removeprefix("commit ").partition(":")[0].split("+"))
    return Counter({verb: int(count) for verb, count in parts})


def _problems(
    place: Place,
    second: subprocess.CompletedProcess[str],
    report: dict[str, Any],
    origin: str,
    trial: Trial,
    decide: str,
) -> Iterator[str]:
    if second.returncode not in {0, 5}:
        yield f"exit {second.returncode}: {second.stderr[-300:]}"
        return
    if report["done"] + report["in_doubt"] != JOBS or report["pending"]:
        yield f"{report['done']} done, {report['in_doubt']} in doubt, {report['pending']} pending of {JOBS}"
    if report["in_doubt"] > trial.in_air:
        yield f"{report['in_doubt']} in doubt, but only {trial.in_air} were in the air"
    if decide == "resubmit" and report["in_doubt"]:
        yield "in doubt after resubmitting"
    charges = _charges(place.folder, origin)
    trial.charged = charges.total()
    allowed = 1 if decide == "hold" else 2
    if charges and max(charges.values()) > allowed:
        yield f"charged {max(charges.values())} times for one request"
    if charges.total() < report["done"]:
        yield "more is done than was charged"
    yield from _file_problems(place.run, report)


def _charges(folder: Path, origin: str) -> Counter[str]:
    with urlopen(f"{origin}/_simulator/requests", timeout=30) as answer:
        requests = [json.loads(line) for line in answer.read().decode().splitlines()]
    mine = f"trial {folder.name} "
    return Counter(
        request["inputs"]["prompt"]
        for request in requests
        if request["inputs"]["prompt"].startswith(mine) and request["charged"]
    )


def _file_problems(run: Path, report: dict[str, Any]) -> Iterator[str]:
    cards = [json.loads(path.read_text("utf-8")) for path in (run / "images").rglob("*.json")]
    if len(cards) != report["done"]:
        yield f"{len(cards)} sidecars for {report['done']} jobs done"
    for card in cards:
        if (run / card["file"]).read_bytes() != file_bytes(card["inputs"]):
            yield f"{card['file']} is not what the service made for its inputs"
    left = [path.name for path in (run / "images").rglob(".*")]
    if left:
        yield f"left behind: {left}"
    records = (run / "records.jsonl").read_text("utf-8").splitlines()
    if sorted(json.loads(line)["job"] for line in records) != sorted(card["job"] for card in cards):
        yield "records.jsonl and the sidecars disagree"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--every", type=int, default=1, help="only each n-th step")
    parser.add_argument("--random", type=int, default=20, help="kills at random times besides")
    parser.add_argument("--decide", default="hold", choices=["hold", "resubmit"])
    parser.add_argument("--between", choices=KEEP_ALL, help="what happens to the files between the two runs")
    parser.add_argument("--asleep", action="store_true", help="stop the run at the step for a while, kill nothing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, service(Path(name)) as origin, ThreadPoolExecutor(2) as workers:

        def one(number: int) -> Trial:
            folder = Path(name) / f"t{number}"
            folder.mkdir()
            return attempt(folder, number, origin, options.decide, options.between, asleep=options.asleep)

        whole = one(0)
        steps = range(1, len((Path(name) / "t0" / "steps.txt").read_text().splitlines()) + 1, options.every)
        trials = list(workers.map(one, [*steps, *range(-options.random, 0)]))
    _print([trial for trial in trials if trial.killed])
    late = sum(not trial.killed for trial in trials)
    print(f"a whole run has {len(steps) * options.every:,} steps; {late} kills came too late")
    return 1 if whole.problems or any(trial.problems for trial in trials) else 0


def _print(trials: list[Trial]) -> None:
    by_step: dict[str, list[Trial]] = {}
    for trial in trials:
        by_step.setdefault(re.sub(r"\*[0-9]+", "", trial.step), []).append(trial)
    print(f"{'killed at':<44}{'kills':>6}{'in doubt':>10}{'charged twice':>15}{'problems':>10}")
    for step, group in sorted(by_step.items()):
        twice = sum("times for one request" in problem for trial in group for problem in trial.problems)
        doubt, bad = sum(trial.in_doubt for trial in group), sum(len(trial.problems) for trial in group)
        print(f"{step:<44}{len(group):>6}{doubt:>10}{twice:>15}{bad:>10}")
    for trial in trials:
        for problem in trial.problems:
            print(f"step {trial.number} ({trial.step}): {problem}")
    print(f"{len(trials)} kills, {sum(bool(trial.problems) for trial in trials)} with problems")


if __name__ == "__main__":
    sys.exit(main())
