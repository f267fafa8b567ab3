"""Accidents in random orders: kill, sleep, a full disk, and whatever may happen to the files between two runs.

    python -m tests.crash.orders                      a hundred orders with 300 jobs each (half an hour)
    python -m tests.crash.orders --orders 5 --jobs 60
    python -m tests.crash.orders --doubt              eight kills: jobs in doubt beside answers truly unread

An order is some accidents one after the other, each to a run that is going or was killed, and then the same command
until the run is over. Every job must be done, or said to be in doubt; and each is charged once, unless batcher said
before that it may be paid for again and was told to go on.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from sqlite3 import connect
from typing import Any
from urllib.request import urlopen

from tests.crash.between import ACTS, STATE, Place
from tests.support.simulator_process import service

ROOT = Path(__file__).parents[2]
QUICK = (
    "latency: 0.3\nimage_bytes: 4000\nfaults:\n"
    "  - {where: submit, kind: slow, seconds: 0.12, probability: 0.3}\n"
    "  - {where: submit, kind: slow, seconds: 0.06, probability: 0.5}\n"
    "  - {where: submit, kind: slow, seconds: 0.02}\n"
)
WHILE_GOING = ("kill", "sleep", "fill")
PATIENCE = 120.0  # seconds for a run to its end
MOST_STARTS = 8


@dataclass
class Order:
    """What came of one. announced: batcher said that jobs may be paid for twice, and was told to go on."""

    number: int
    acts: list[str] = field(default_factory=list)
    charged: int = 0
    twice: int = 0
    in_doubt: int = 0
    announced: bool = False
    problems: list[str] = field(default_factory=list)


def play(folder: Path, number: int, jobs: int) -> Order:
    """One order, in a folder of its own."""
    order, random = Order(number), Random(number)
    (folder / "jobs.txt").write_text("".join(f"order {number} kite {index}\n" for index in range(jobs)))
    with service(folder, QUICK) as origin:
        place = Place(folder, random)
        for _ in range(random.randint(3, 7)):
            name = random.choice([*WHILE_GOING, *ACTS])
            order.acts.append(name)
            _accident(place, name, origin, order)
        report = _to_the_end(place, origin, order)
        charges = _charges(origin)
    order.charged = charges.total()
    order.twice = sum(count > 1 and prompt not in place.unproved for prompt, count in charges.items())
    if order.twice and not order.announced:
        order.problems.append(f"{order.twice} jobs were charged twice, and nothing was said")
    if report:
        order.in_doubt = report["in_doubt"]
        if report["done"] + report["in_doubt"] + report["failed"] != report["total"]:
            order.problems.append(f"neither done nor said: {report}")
    return order


def _accident(place: Place, name: str, origin: str, order: Order) -> None:
    going = start(place, origin, *(["--continue-copy"] if order.announced else []))
    time.sleep(place.random.uniform(0.6, 2.5))
    if name == "sleep":
        going.send_signal(signal.SIGSTOP)
        time.sleep(place.random.uniform(1.0, 4.0))
        going.send_signal(signal.SIGCONT)
        time.sleep(place.random.uniform(0.0, 1.0))
    elif name == "fill":
        _fill(place.run, going)
    going.kill()
    _, complained = going.communicate(timeout=30)
    if "Traceback" in complained:
        order.problems.append(f"a traceback at {name}: {complained[-600:]}")
    if name in ACTS and place.run.exists():
        ACTS[name](place)


def _fill(run: Path, going: "subprocess.Popen[str]") -> None:
    """Until the run ends: what it frees is taken, too. Only on a small disk of its own."""
    if shutil.disk_usage(run.parent).total > 200 << 20:
        return
    until = time.monotonic() + 30
    filler = run.parent / "filler"
    with filler.open("ab", buffering=0) as file:
        while going.poll() is None and time.monotonic() < until:
            try:
                file.write(bytes(1 << 16))
            except OSError:
                time.sleep(0.02)
    filler.unlink()


def start(place: Place, origin: str, *flags: str) -> "subprocess.Popen[str]":
    command = [
        sys.executable, "-m", "batcher", "run", str(place.folder / "jobs.txt"), "-o", str(place.run), "--base-url",
        f"{origin}/v1", "--trust-host", "127.0.0.1", "--rate", "150/s", "--in-flight", "200", "--json", "--progress",
        "none", *flags,
    ]  # fmt: skip
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "RUNCOMFY_TOKEN": "a-token"},
    )  # fmt: skip


def _to_the_end(place: Place, origin: str, order: Order) -> dict[str, Any]:
    """The same command, and what batcher says is to be done, until the run is over."""
    flags: list[str] = []
    said = ""
    for _ in range(MOST_STARTS):
        going = start(place, origin, *flags)
        out, said = going.communicate(timeout=PATIENCE)
        if "Traceback" in said or going.returncode < 0:
            order.problems.append(f"exit {going.returncode}: {said[-600:]}")
            return {}
        if going.returncode in {0, 3, 5}:
            report: dict[str, Any] = json.loads(out)
            return report
        if "--repair" in said:
            repair = [sys.executable, "-m", "batcher", "verify", str(place.run), "--repair", "--check", "structure"]
            subprocess.run(repair, cwd=ROOT, capture_output=True, check=False, timeout=PATIENCE)
        if "--continue-copy" in said:
            order.announced = order.announced or "paid for again" in said
            flags = ["--continue-copy"]
    order.problems.append(f"no end after {MOST_STARTS} starts: {said[-600:]}")
    return {}


def _requests(origin: str) -> list[dict[str, Any]]:
    with urlopen(f"{origin}/_simulator/requests", timeout=60) as answer:
        return [json.loads(line) for line in answer.read().decode().splitlines()]


def _charges(origin: str) -> Counter[str]:
    return Counter(request["inputs"]["prompt"] for request in _requests(origin) if request["charged"])


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk that can be filled, where root allows it; else the folder itself."""
    place = folder / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", str(place)]
    mounted = shutil.which("mount") and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield place
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(place)], check=False)


@dataclass
class Doubt:
    """Of one kill. in_air: claimed and without an outcome in the state file. unread: accepted, answer not read."""

    in_air: int
    unread: int
    in_doubt: int


def doubts(folder: Path, kills: int, jobs: int = 3000) -> list[Doubt]:
    """Kills of one run at 150/s, answers taking 20 to 120 ms, one after the other."""
    (folder / "jobs.txt").write_text("".join(f"doubt kite {index}\n" for index in range(jobs)))
    found: list[Doubt] = []
    place, random = Place(folder, Random(1)), Random(2)
    with service(folder, QUICK) as origin:
        before = 0
        for _ in range(kills):
            going = start(place, origin)
            time.sleep(random.uniform(2.5, 4.0))
            going.kill()
            going.communicate()
            time.sleep(0.5)  # what had left arrives
            in_air, known = _standing(place.run)
            unread = sum(request["request_id"] not in known for request in _requests(origin))
            start(place, origin, "--deadline", "0s").communicate()
            with closing(connect(place.run / STATE)) as state:
                (doubted,) = state.execute("SELECT count(*) FROM jobs WHERE state = 'in_doubt'").fetchone()
            found.append(Doubt(in_air, unread - sum(one.unread for one in found), doubted - before))
            before = doubted
    return found


def _standing(run: Path) -> tuple[int, set[str]]:
    """Jobs in the air by the state file alone, and every id that a file of the run knows."""
    with closing(connect(run / STATE)) as state:
        (in_air,) = state.execute("SELECT count(*) FROM jobs WHERE state = 'submitting'").fetchone()
        known = {request_id for (request_id,) in state.execute("SELECT request_id FROM jobs WHERE request_id NOT NULL")}
    with suppress(OSError), (run / ".departures.jsonl").open() as lines:
        for line in lines:
            with suppress(ValueError):
                known.add(json.loads(line).get("id", ""))
    return in_air, known


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--orders", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--first", type=int, default=1, help="number of the first order: it is its seed")
    parser.add_argument("--doubt", action="store_true", help="measure the doubt per kill instead")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        if asked.doubt:
            return _print_doubts(doubts(Path(name), 8))
        bad = 0
        print(f"{'order':>5}{'charged':>9}{'twice':>7}{'in doubt':>10}  accidents")
        for number in range(asked.first, asked.first + asked.orders):
            folder = Path(name) / f"order-{number}"
            folder.mkdir()
            with small_disk(folder) as disk:
                order = play(disk, number, asked.jobs)
            said = " (announced)" if order.announced else ""
            acts = " ".join(order.acts)
            print(f"{number:>5}{order.charged:>9}{order.twice:>7}{order.in_doubt:>10}  {acts}{said}", flush=True)
            for problem in order.problems:
                print(f"      {problem}", flush=True)
            bad += bool(order.problems)
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{asked.orders} orders, {bad} with problems")
    return 1 if bad else 0


def _print_doubts(found: list[Doubt]) -> int:
    print(f"{'kill':>5}{'claimed, no outcome':>21}{'answers unread':>16}{'in doubt':>10}")
    for number, one in enumerate(found, 1):
        print(f"{number:>5}{one.in_air:>21}{one.unread:>16}{one.in_doubt:>10}")
    in_air, unread = sum(one.in_air for one in found), sum(one.unread for one in found)
    doubted = sum(one.in_doubt for one in found)
    print(f"{'sum':>5}{in_air:>21}{unread:>16}{doubted:>10}")
    return 1 if doubted > unread + len(found) else 0


if __name__ == "__main__":
    sys.exit(main())
