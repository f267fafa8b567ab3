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
from collections.abc import Iterator, Sequence
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
    order.twice = sum(count > 1 for count in charges.values())
    if order.twice and not order.announced:
        order.problems.append(f"{order.twice} jobs were charged twice, and nothing was said")
    if report:
        order.in_doubt = report["in_doubt"]
        if report["done"] + report["in_doubt"] + report["failed"] != report["total"]:
            order.problems.append(f"neither done nor said: {report}")
    return order


def _accident(place: Place, name: str, origin: str, order: Order) -> None:
    going = start(place, origin, *(["--continue-copy"] if order.announced else []))
    with suppress(subprocess.TimeoutExpired):
        going.wait(place.random.uniform(0.6, 2.5))  # less where the run is over before
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


def start(place: Place, origin: str, *flags: str, module: Sequence[str] = ("batcher",)) -> "subprocess.Popen[str]":
    command = [
        sys.executable, "-m", *module, "run", str(place.folder / "jobs.txt"), "-o", str(place.run), "--base-url",
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
    errors = ""
    for _ in range(MOST_STARTS):
        going = start(place, origin, *flags)
        out, errors = going.communicate(timeout=PATIENCE)
        if "Traceback" in errors or going.returncode < 0:
            order.problems.append(f"exit {going.returncode}: {errors[-600:]}")
            return {}
        if going.returncode in {0, 3, 5}:
            report: dict[str, Any] = json.loads(out)
            return report
        if "--repair" in errors:
            repair = [sys.executable, "-m", "batcher", "verify", str(place.run), "--repair", "--check", "structure"]
            subprocess.run(repair, cwd=ROOT, capture_output=True, check=False, timeout=PATIENCE)
        if "--continue-copy" in errors:
            order.announced = order.announced or "paid for again" in errors
            flags = ["--continue-copy"]
    order.problems.append(f"no end after {MOST_STARTS} starts: {errors[-600:]}")
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
    """Of one kill. in_air: claimed and without an outcome in the state file. unread: left, and no byte of an answer was
    read. accepted: of these, the service took up so many.
    """

    in_air: int
    unread: int
    accepted: int
    in_doubt: int

    @property
    def is_narrow(self) -> bool:
        return self.in_doubt <= self.unread + 1


def doubts(folder: Path, kills: int, jobs: int = 4500) -> list[Doubt]:
    """Kills of one run at 150/s, answers taking 20 to 120 ms, one after the other."""
    (folder / "jobs.txt").write_text("".join(f"doubt kite {index}\n" for index in range(jobs)))
    counted: list[Doubt] = []
    place, random, notes = Place(folder, Random(1)), Random(2), folder / "notes.txt"
    unread = accepted = in_doubt = 0
    with service(folder, QUICK) as origin:
        for _ in range(kills):
            before = len(_requests(origin))
            going = start(place, origin, module=["tests.crash.listener", str(notes)])
            while len(_requests(origin)) == before:  # it collects what is at the service first
                time.sleep(0.1)
            time.sleep(random.uniform(0.5, 2.5))
            going.kill()
            going.communicate()
            time.sleep(0.5)  # what had left arrives
            earlier = unread, accepted, in_doubt
            in_air, lines = _count(place.run, "submitting"), Counter(notes.read_text().split())
            start(place, origin, "--deadline", "0s").communicate()
            unread = 2 * lines["left"] - lines.total()
            accepted = sum(one["request_id"] not in lines for one in _requests(origin))
            in_doubt = _count(place.run, "in_doubt")
            counted.append(Doubt(in_air, unread - earlier[0], accepted - earlier[1], in_doubt - earlier[2]))
    return counted


def _count(run: Path, state: str) -> int:
    with closing(connect(run / STATE)) as table:
        (count,) = table.execute("SELECT count(*) FROM jobs WHERE state = ?", (state,)).fetchone()
    return int(count)


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
            note = " (announced)" if order.announced else ""
            acts = " ".join(order.acts)
            print(f"{number:>5}{order.charged:>9}{order.twice:>7}{order.in_doubt:>10}  {acts}{note}", flush=True)
            for problem in order.problems:
                print(f"      {problem}", flush=True)
            bad += bool(order.problems)
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{asked.orders} orders, {bad} with problems")
    return 1 if bad else 0


def _print_doubts(counted: list[Doubt]) -> int:
    print(f"{'kill':>5}{'claimed, no outcome':>21}{'answers unread':>16}{'of them accepted':>18}{'in doubt':>10}")
    for number, one in enumerate(counted, 1):
        wide = "" if one.is_narrow else "  more than one over"
        print(f"{number:>5}{one.in_air:>21}{one.unread:>16}{one.accepted:>18}{one.in_doubt:>10}{wide}")
    return 0 if all(one.is_narrow for one in counted) else 1


if __name__ == "__main__":
    sys.exit(main())
