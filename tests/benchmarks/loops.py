"""What uvloop gains: the same runs with it and without it, in turns."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.benchmarks.overhead import JOBS, batcher, prompts
from tests.benchmarks.process import PYTHON, Run
from tests.benchmarks.service import served
from tests.benchmarks.table import Line

ROUNDS = 1
WITHOUT = "import sys; sys.modules['uvloop'] = None; from batcher.__main__ import entry; entry()"


def measure() -> Iterator[Line]:
    if find_spec("uvloop") is None:
        yield Line(what="uvloop is not installed here", value=0, unit="runs", note="pip install uvloop")
        return
    plain: list[Run] = []
    fast: list[Run] = []
    with TemporaryDirectory() as folder, served() as origin:
        manifest = prompts(Path(folder), JOBS)
        for number in range(ROUNDS):
            plain.append(batcher(origin, manifest, Path(folder) / f"plain{number}", program=(PYTHON, "-c", WITHOUT)))
            fast.append(batcher(origin, manifest, Path(folder) / f"fast{number}"))
    yield Line(
        what=f"{JOBS:,} jobs of 20 KB with uvloop", value=median(JOBS / one.seconds for one in fast), unit="jobs/s",
        against="asyncio's own loop", ratio=median(a.seconds / b.seconds for a, b in zip(plain, fast, strict=True)),
    )  # fmt: skip
    yield Line(
        what="processor time a job", value=median(one.cpu / JOBS * 1e3 for one in fast), unit="ms",
        against="asyncio's own loop", ratio=median(b.cpu / a.cpu for a, b in zip(plain, fast, strict=True)),
    )  # fmt: skip
