"""A million jobs: how soon the first submit leaves, how much memory that takes, how soon a resume finds its place.

Starts, plan, status and resume are measured with a million rows. A whole run of a million takes a quarter of an hour,
so what is run is the first minute of a hundred thousand, and memory must be flat: in its second half no higher than in
the first, but for the state file's cache, which fills up to 16 MB in the first twenty-five thousand jobs.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self
from urllib.parse import urlsplit
from urllib.request import urlopen

from batcher.manifest import Overrides, open_manifest
from batcher.manifest.schema import ModelSchema
from batcher.runner.intake.manifest_jobs import plan_jobs
from batcher.runner.progress import listener
from batcher.store import STATE, RunFacts, StateFile, prepare
from tests.benchmarks.process import BATCHER, run
from tests.benchmarks.service import MODEL, _catalogue, served
from tests.benchmarks.table import Line

MANY = 1_000_000
WHOLE = 100_000  # of the runs from end to end
IN_FLIGHT = 256
PATIENCE = 60.0  # seconds of a run
CACHE = 16e6  # bytes of the state file that SQLite holds
MOST_MEMORY = 160e6
MOST_ENTRIES = 10_000  # of one folder
TOKEN = {"RUNCOMFY_TOKEN": "benchmark-token"}


def measure() -> Iterator[Line]:
    with TemporaryDirectory() as folder, served("--size", "2000") as origin:
        ground = Path(folder)
        table, matrix = csv_of(ground / "many.csv", MANY), matrix_of(ground / "matrix", MANY // 100)
        yield from plans(origin, table)
        yield from first_submits(origin, ground, table, matrix)
        yield from resume(origin, ground, table)
        table.unlink()
        yield from whole(origin, ground, csv_of(ground / "whole.csv", WHOLE), "a table of 100,000 rows")


def csv_of(path: Path, rows: int) -> Path:
    with path.open("w") as file:
        file.write("prompt,seed,aspect_ratio,category\n")
        for n in range(rows):
            file.write(f'"a kite over hill number {n}, warm evening light, long shadows",{n},16:9,kites\n')
    return path


def matrix_of(folder: Path, prompts: int) -> Path:
    """Prompts in a text file, and a hundred seeds."""
    folder.mkdir()
    (folder / "prompts.txt").write_text("".join(f"a kite over hill number {n}\n" for n in range(prompts)))
    path = folder / "sweep.yaml"
    path.write_text("prompts: [{file: prompts.txt}]\nmatrix: {seed: 1..100}\n")
    return path


def plans(origin: str, table: Path) -> Iterator[Line]:
    ended = run([*BATCHER, "plan", str(table), "--base-url", f"{origin}/v1", "--json"], env=TOKEN)
    yield Line(
        what="plan of 1,000,000 rows", value=ended.seconds, unit="s", bound="<= 25 s", ok=ended.seconds <= 25,
        note=f"peak memory {ended.peak / 1e6:.0f} MB",
    )  # fmt: skip


def first_submits(origin: str, ground: Path, table: Path, matrix: Path) -> Iterator[Line]:
    for what, manifest, most in (
        ("first submit of 1,000,000 rows, all checked", table, 25.0),
        ("first submit of 10,000 prompts x 100 seeds", matrix, 25.0),
    ):
        with going(origin, manifest, ground / "first") as child:
            seconds = child.first_submit()
            child.look_on(3.0)
        yield Line(
            what=what, value=seconds, unit="s after the start of the process", bound=f"<= {most:g} s",
            ok=seconds <= most,
        )  # fmt: skip
        yield memory(f"peak memory till then and 3 s on, {IN_FLIGHT} in flight", max(child.samples))
        remove(ground / "first")


def memory(what: str, peak: float) -> Line:
    return Line(what=what, value=peak / 1e6, unit="MB", bound="<= 160 MB", ok=peak <= MOST_MEMORY)


def resume(origin: str, ground: Path, table: Path) -> Iterator[Line]:
    folder = ground / "half"
    half_done(folder, table, urlsplit(origin).netloc)
    shown = min(run([*BATCHER, "status", str(folder), "--json"]).seconds for _ in range(3))
    yield Line(what="status of 500,000 done and 500,000 to come", value=shown, unit="s", bound="<= 1 s", ok=shown <= 1)
    size = (folder / STATE).stat().st_size / MANY
    yield Line(what="state.db, a job of which half are finished", value=size, unit="bytes")
    with going(origin, table, folder) as child:
        seconds = child.first_submit()
        child.look_on(3.0)
    yield Line(
        what="resume of it to the first new submit", value=seconds, unit="s after the start of the process",
        bound="<= 3 s", ok=seconds <= 3,
    )  # fmt: skip
    yield memory("peak memory till then and 3 s on", max(child.samples))
    remove(folder)


def whole(origin: str, ground: Path, manifest: Path, what: str) -> Iterator[Line]:
    with going(origin, manifest, ground / "whole") as child:
        child.look_on(PATIENCE)
    counts = json.loads(run([*BATCHER, "status", str(ground / "whole"), "--json"]).out)
    middle = len(child.samples) // 2
    early, late = max(child.samples[:middle]), max(child.samples[middle:])
    yield Line(
        what=f"{what}: memory of the second half", value=late / 1e6, unit="MB",
        against=f"its first half's {early / 1e6:.0f}", ratio=late / early, bound="<= that + 16 MB of cache",
        ok=late <= early + CACHE and late <= MOST_MEMORY,
        note=f"{counts['done']:,} done in {child.seconds:.0f} s; every 5 %: {curve(child.samples)}",
    )  # fmt: skip
    largest = max(len(names) + len(folders) for _, folders, names in os.walk(ground / "whole"))
    yield Line(
        what="entries of its largest folder", value=largest, unit="", bound="< 10,000", ok=largest < MOST_ENTRIES
    )
    remove(ground / "whole")


def curve(samples: Sequence[int]) -> str:
    step = max(1, len(samples) // 20)
    return " ".join(f"{max(samples[at : at + step]) / 1e6:.0f}" for at in range(0, len(samples), step)) + " MB"


@dataclass
class Going:
    """A run in a process of its own. samples: resident bytes, ten times a second."""

    child: "subprocess.Popen[bytes]"
    origin: str
    before: int
    began: float
    samples: list[int] = field(default_factory=list)
    seconds: float = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGKILL)
        self.child.wait()

    def first_submit(self) -> float:
        """Seconds from the start of the process."""
        while self.child.poll() is None:
            self._sample()
            starts = counts_of(self.origin)
            if len(starts) > self.before:
                return starts[self.before] - self.began
            time.sleep(0.02)
        raise RuntimeError("the run ended before anything was submitted")

    def look_on(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self.child.poll() is None and time.monotonic() < end:
            self._sample()
            time.sleep(0.1)
        self.seconds = time.time() - self.began

    def _sample(self) -> None:
        with suppress(OSError, IndexError):  # it may end any moment
            pages = int(Path(f"/proc/{self.child.pid}/statm").read_text().split()[1])
            if pages:
                self.samples.append(pages * os.sysconf("SC_PAGE_SIZE"))


def going(origin: str, manifest: Path, folder: Path) -> Going:
    flags = ["--rate", "100000/s", "--in-flight", str(IN_FLIGHT), "--check", "structure", "--progress", "none"]
    service = ["--base-url", f"{origin}/v1", "--trust-host", "127.0.0.1"]
    before, began = len(counts_of(origin)), time.time()
    command = [*BATCHER, "run", str(manifest), "-o", str(folder), *service, *flags]
    child = subprocess.Popen(command, env={**os.environ, **TOKEN}, stdout=subprocess.DEVNULL)
    return Going(child, origin, before, began)


def counts_of(origin: str) -> list[float]:
    """The moments of all submits so far."""
    with urlopen(f"{origin}/counts") as answer:
        starts: list[float] = json.loads(answer.read())["starts"]
    return starts


def half_done(folder: Path, table: Path, service: str) -> None:
    """The state file as a run leaves it that was killed when half of its jobs were done; its images are not there."""
    entry = _catalogue()
    assert isinstance(entry, dict)
    schema = ModelSchema.from_json(MODEL, entry["input_schema"])
    prepare(folder)
    state = StateFile(folder / STATE)
    with open_manifest(str(table), Overrides()) as loader:
        read = plan_jobs(state, loader, schema, limit=None, progress=listener("none"), run_dir=folder)
    facts = RunFacts(
        service=service, simulated=False, manifest=str(table), model=MODEL, total=read.planned.jobs,
        command="batcher run", price_usd=0.02, planned=read.planned,
    )  # fmt: skip
    state.must_commit([lambda: state.change_facts(lambda _: facts), lambda: _finish(state)])
    state.close()


def _finish(state: StateFile) -> None:
    """All at once: through the moves of their lives it would take minutes."""
    moment = "2026-09-21T14:13:20.000Z"
    state.connection.execute(
        "UPDATE jobs SET state = 'done', attempts = 1, outcome = 'saved', submitted_at = ?1, accepted_at = ?1,"
        " finished_at = ?1, request_id = lower(hex(randomblob(16))), cost_usd = 0.02 WHERE position < ?2",
        (moment, MANY // 2),
    )
    state.connection.execute(
        "INSERT INTO images (job_id, output_index, output_count, downloaded_at, bytes, width, height, mime, sha256,"
        " file, url) SELECT id, 0, 1, ?, 2000, 1408, 768, 'image/png', lower(hex(randomblob(32))), path || '.png',"
        " 'http://127.0.0.1/files/' || request_id || '.png' FROM jobs WHERE state = 'done'",
        (moment,),
    )


def remove(folder: Path) -> None:
    """Quicker than shutil's, whose care a folder of two hundred thousand files does not need."""
    subprocess.run(["rm", "-rf", str(folder)], check=True)
