"""What a program pays: ``import batcher`` beside an interpreter that does nothing, results of ``async for`` beside the
command line.
"""

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tests.benchmarks.overhead import prompts
from tests.benchmarks.process import BATCHER, PYTHON, Run, run
from tests.benchmarks.service import served
from tests.benchmarks.table import Line

ROUNDS = 9
JOBS, PAIRS = 2000, 3
IMPORT = 0.1  # seconds
PROGRAM = """
import asyncio, sys, batcher
async def main(manifest, out, base_url):
    async with batcher.start(manifest, out=out, base_url=base_url, trust_host=["127.0.0.1"], rate=1000) as run:
        print(len([result async for result in run]))
asyncio.run(main(*sys.argv[1:]))
"""


def measure() -> Iterator[Line]:
    nothing, imported = [], []
    for _ in range(ROUNDS):
        nothing.append(run([PYTHON, "-c", "pass"]).seconds)
        imported.append(run([PYTHON, "-c", "import batcher"]).seconds)
    more = median(imported) - median(nothing)
    yield Line(
        what="import batcher", value=more * 1e3, unit="ms more",
        against=f"`python -c pass` ({median(nothing) * 1e3:.0f} ms)",
        bound=f"<= {IMPORT * 1e3:.0f} ms", ok=more <= IMPORT,
    )  # fmt: skip
    with TemporaryDirectory() as folder, served("--size", "2000") as origin:
        yield _beside_the_command(Path(folder), f"{origin}/v1")


def _beside_the_command(ground: Path, url: str) -> Line:
    manifest = str(prompts(ground, JOBS))
    typed: list[Run] = []
    called: list[Run] = []
    token = {"RUNCOMFY_TOKEN": "benchmark-token"}
    for number in range(PAIRS):
        flags = ("--base-url", url, "--trust-host", "127.0.0.1", "--rate", "1000/s", "--progress", "none")
        typed.append(run([*BATCHER, "run", manifest, "-o", str(ground / f"typed{number}"), *flags], env=token))
        called.append(run([PYTHON, "-c", PROGRAM, manifest, str(ground / f"called{number}"), url], env=token))
        assert called[-1].out.split() == [str(JOBS)]
    command, loop = (min(one.cpu for one in runs) / JOBS for runs in (typed, called))
    return Line(
        what="a result of `async for`", value=loop * 1e3, unit="ms of processor a job",
        against=f"batcher run ({command * 1e3:.2f} ms)", ratio=loop / command,
    )  # fmt: skip
