"""Workers on a Ray cluster of this machine, beside one process: jobs a second, and what the coordinator works for one.

The coordinator's time is that of its process and of the one between it and Ray, start and end taken off. On one machine
workers share the processors with everything else here, so what they gain shows in the coordinator's time only.
"""

import asyncio
import base64
import io
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec.structs import replace
from PIL import Image

from batcher.core.job import Entry, Job, State, job_key
from batcher.images.fetch import Downloader
from batcher.images.trust import Trust
from batcher.runner.engines.cluster import ray_crew
from batcher.runner.engines.dispatch import Dispatcher
from batcher.runner.engines.engine import Local
from batcher.runner.engines.messages import Setup
from batcher.runner.places import Places
from tests.benchmarks.overhead import batcher, prompts
from tests.benchmarks.process import Run
from tests.benchmarks.service import served
from tests.benchmarks.table import Line
from tests.support.ray_cluster import ray_cluster

FEW = 20  # jobs of a run that is all start and end
HANDED = 6000
FORMS = {  # (flags of the service, jobs, --check)
    "20 KB": ((), 4000, "structure"),
    "a PNG of 1.5 MB": (("--form", "png", "--size", "1500000"), 400, "decode"),
}
CREWS = (0, 1, 2, 4)


def measure() -> Iterator[Line]:
    with TemporaryDirectory() as folder, ray_cluster(cpus=4) as ray, _address(ray.address):
        ground = Path(folder)
        yield from _what_ray_adds(ground)
        for name, (service, jobs, check) in FORMS.items():
            with served(*service) as origin:
                yield from _table(origin, ground / name.replace(" ", ""), name, jobs, check)
        (ground / "handed").mkdir()
        yield from asyncio.run(_hand_over(ground / "handed"))


@contextmanager
def _address(address: str) -> Iterator[None]:
    os.environ["RAY_ADDRESS"] = address
    yield
    del os.environ["RAY_ADDRESS"]


def _flags(workers: int) -> tuple[str, ...]:
    return ("--engine", "ray", "--workers", str(workers)) if workers else ()


def _what_ray_adds(ground: Path) -> Iterator[Line]:
    ground.mkdir(exist_ok=True)
    with served() as origin:
        manifest = prompts(ground, FEW)
        alone = batcher(origin, manifest, ground / "alone")
        crew = batcher(origin, manifest, ground / "crew", *_flags(2))
    yield Line(
        what="a run of 20 jobs with 2 workers: seconds more than without", value=crew.seconds - alone.seconds, unit="s"
    )
    yield Line(
        what="processor time more, the process that uses Ray included", value=crew.cpu - alone.cpu, unit="s",
        note=f"the largest process of the coordinator has {crew.peak / 1e6:.0f} MB, alone {alone.peak / 1e6:.0f} MB",
    )  # fmt: skip


def _table(origin: str, ground: Path, name: str, jobs: int, check: str) -> Iterator[Line]:
    ground.mkdir(exist_ok=True)
    few = prompts(ground, FEW).rename(ground / "few.jsonl")
    many = prompts(ground, jobs)
    costs: dict[int, float] = {}
    for workers in CREWS:
        flags = (*_flags(workers), "--check", check)
        start = batcher(origin, few, ground / f"few{workers}", *flags)
        run = batcher(origin, many, ground / f"many{workers}", *flags)
        costs[workers] = _marginal(start, run, jobs)
        ratio = costs[workers] / costs[0]
        bound = {"bound": "<= 0.60", "ok": ratio <= 0.6} if workers == 2 else {}
        yield Line(
            what=f"{name}, {workers or 'no'} workers: the coordinator's processor time a job", value=costs[workers],
            unit="ms", against="one process", ratio=ratio if workers else None, **bound,  # type: ignore[arg-type]
            note=f"{(jobs - FEW) / (run.seconds - start.seconds):.0f} jobs/s",
        )  # fmt: skip


def _marginal(start: Run, run: Run, jobs: int) -> float:
    return (run.cpu - start.cpu) / (jobs - FEW) * 1e3


async def _hand_over(ground: Path) -> list[Line]:
    """Jobs whose links hold the picture, so that nothing but the handing over and the answers is left to do here."""
    setup = Setup(run_dir=str(ground), bucket=None, trust=(), check="none", embed=frozenset(), simulated=True)
    picture = io.BytesIO()
    Image.new("P", (8, 8)).save(picture, "png")
    link = "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()
    calls = 0
    async with (
        Downloader(ground, trust=Trust(())) as downloader,
        ray_crew(setup, 2) as crew,
        Dispatcher(crew, Local(downloader, simulated=True), setup, time.time, lambda _: None) as engine,
    ):
        plain = crew.call

        async def counted(worker: int, method: str, payload: bytes) -> bytes:
            nonlocal calls
            calls += 1
            return await plain(worker, method, payload)

        crew.call = counted  # type: ignore[method-assign]
        places = Places(engine.resize(16))
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(engine.fetch(_entry(number, link), places) for number in range(HANDED)))
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return [
        Line(
            what=f"handing {HANDED:,} jobs to 2 workers and hearing their answers", value=cpu / HANDED * 1e3,
            unit="ms a job", bound="<= 0.20", ok=cpu / HANDED <= 0.2e-3, note=f"{HANDED / seconds:.0f} jobs/s",
        ),
        Line(what="calls for that", value=calls / HANDED, unit="a job", bound="<= 0.05", ok=calls / HANDED <= 0.05),
    ]  # fmt: skip


def _entry(number: int, link: str) -> Entry:
    inputs = {"prompt": f"a kite over hill number {number}", "seed": number, "aspect_ratio": "16:9"}
    job = Job(
        key=job_key("a/b", inputs), model="a/b", inputs=inputs, copy=1, prompt_id=f"kite-{number}", meta={},
        source="prompts.jsonl", line=number, path=f"{number // 1000:04}/kite-{number}",
    )  # fmt: skip
    entry = Entry(id=number, job=job, state=State.READY, path=job.path, attempts=1, request_id=job.key)
    return replace(entry, urls=(link,))
