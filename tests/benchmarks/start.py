"""How long commands take to start, beside an interpreter that does nothing."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.benchmarks.overhead import prompts
from tests.benchmarks.process import BATCHER, PYTHON, run
from tests.benchmarks.service import served
from tests.benchmarks.table import Line

ROUNDS = 11
JOBS = 100
TOKEN = {"RUNCOMFY_TOKEN": "benchmark-token"}


def measure() -> Iterator[Line]:
    with TemporaryDirectory() as folder, served("--size", "2000") as origin:
        ground = Path(folder)
        manifest = str(prompts(ground, JOBS))
        service = ("--base-url", f"{origin}/v1", "--trust-host", "127.0.0.1")
        again = ("run", manifest, "-o", str(ground / "run"), *service, "--rate", "1000/s", "--progress", "none")
        run([*BATCHER, *again], env=TOKEN)
        yield from _beside_nothing(
            {
                "batcher --help": (("--help",), 0.2),
                "batcher run --help": (("run", "--help"), 0.2),
                "batcher status of 100 jobs": (("status", str(ground / "run")), 0.3),
                "batcher run of nothing to do, 100 jobs done": (again, 0.4),
            }
        )


def _beside_nothing(commands: dict[str, tuple[Sequence[str], float]]) -> Iterator[Line]:
    """In turns, so that a noisy moment falls on all of them."""
    seconds: dict[str, list[float]] = {what: [] for what in ("nothing", *commands)}
    for _ in range(ROUNDS):
        seconds["nothing"].append(run([PYTHON, "-c", "pass"]).seconds)
        for what, (words, _) in commands.items():
            seconds[what].append(run([*BATCHER, *words], env=TOKEN).seconds)
    nothing = median(seconds["nothing"])
    for what, (_, most) in commands.items():
        taken = median(seconds[what])
        yield Line(
            what=what, value=taken * 1e3, unit="ms", against=f"`python -c pass` ({nothing * 1e3:.0f} ms)",
            ratio=taken / nothing, bound=f"<= {most * 1e3:.0f} ms", ok=taken <= most,
        )  # fmt: skip
