"""A whole run in virtual time: real HTTP on loopback, the real state file, real pictures, a simulated service."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batcher.client.api import Api
from batcher.core.budget import Budget
from batcher.core.errors import Cause
from batcher.core.job import State
from batcher.core.settings import Settings
from batcher.core.tally import Tally
from batcher.images import Downloader, Trust
from batcher.manifest import Overrides, open_manifest
from batcher.manifest.schema import bundled
from batcher.runner import RunContext, Runner, report
from batcher.runner import records as tables
from batcher.runner.progress import listener
from batcher.runner.stop import Stop
from batcher.simulator import Address, Latency, Profile, Simulator, serve
from batcher.store import STATE, Ballast, CommitQueue, StateFile, connect_to_read, prepare, reading
from tests.virtual import virtual_wall

NO_OVERRIDES = Overrides(model=None, set=(), matrix=(), format=None, prompt_column=None, limit=None)
STEADY = Latency(kind="fixed", median=4.0)


@dataclass
class Going:
    """A run while it goes on, for tests that interfere."""

    tools: RunContext
    runner: Runner
    simulator: Simulator


@dataclass
class Came:
    """What a run came to. seconds: virtual."""

    stop: Stop
    tools: RunContext
    report: dict[str, Any]
    seconds: float

    @property
    def exit_code(self) -> int:
        return int(self.report["exit_code"])


def lines(count: int) -> str:
    return "".join(f"a kite over hill number {number}\n" for number in range(count))


async def go(folder: Path, manifest: Path, simulator: Simulator, **told: Any) -> Came:
    """One process's worth of work on a run directory, as ``batcher run`` does it; told: as ``visit`` takes it."""
    async with serve(simulator) as address:
        return await visit(folder, manifest, address, simulator, **told)


async def visit(
    folder: Path,
    manifest: Path,
    address: Address,
    simulator: Simulator,
    *,
    meanwhile: Callable[[Going], Any] | None = None,
    afterwards: Callable[[Going], Any] | None = None,
    budget: float | None = None,
    price: float | None = 0.02,
    deadline: float | None = None,
    overrides: Overrides = NO_OVERRIDES,
    trust: tuple[str, ...] = ("127.0.0.1",),
    token: str = "a-token",
    **settings: Any,
) -> Came:
    now, wall = asyncio.get_running_loop().time, virtual_wall()
    began = now()
    checked = open_manifest(str(manifest), overrides).check(bundled("google-deepmind/imagen-4/fast/text-to-image"))
    told = Settings(rate=settings.pop("rate", 50.0), in_flight=settings.pop("in_flight", 64), **settings)
    prepare(folder)
    state = StateFile(folder / STATE)
    cause = Cause(kind="interrupted", message="batcher ended while this submit was in the air")
    for entry in list(reading.entries(state.connection, [State.SUBMITTING])):
        state.must_commit([lambda entry=entry: state.doubt(entry, cause)])  # type: ignore[misc]
    reader = connect_to_read(folder)
    money = reading.money(state.connection)
    stop = Stop()
    try:
        async with (
            Api(address.base_url, token, wall=wall) as api,
            Downloader(folder, trust=Trust(trust), check=told.check, wall=wall) as downloader,
            CommitQueue(state) as queue,
        ):
            tools = RunContext(
                settings=told,
                queue=queue,
                api=api,
                downloader=downloader,
                tally=Tally(reading.counts(reader, checked.whole), now()),
                stop=stop,
                ballast=Ballast(folder),
                budget=Budget(
                    budget,
                    price,
                    spent=money.known_usd + money.unpriced * (price or 0),
                    feared=money.failed * (price or 0),
                    reserved_images=money.open,
                ),
                past_deadline=None if deadline is None else lambda: wall() >= deadline,
                wall=wall,
            )
            runner = Runner(checked, tools, reader)
            async with _meddling(meanwhile, Going(tools, runner, simulator)):
                await runner.run()
            if afterwards is not None:
                await afterwards(Going(tools, runner, simulator))
        facts = report.Facts(
            run_dir=folder, total=checked.whole,
            limited=checked.total < checked.whole, submits=tools.tally.submits, submit_rate=tools.tally.submit_rate,
            rate_limited=tools.tally.rate_limited, warnings=tuple(tools.tally.warnings),
            warned=tools.tally.warned, seconds=now() - began,
            simulated=bool(api.simulated),
        )  # fmt: skip
        built = report.build(state.connection, facts, stop, price)
        tables.write(state, simulated=facts.simulated, progress=listener("none"))
        report.write(folder, built)
        return Came(stop, tools, built, now() - began)
    finally:
        reader.close()
        state.close()
        checked.close()


@asynccontextmanager
async def _meddling(meanwhile: Callable[[Going], Any] | None, going: Going) -> AsyncIterator[None]:
    if meanwhile is None:
        yield
        return
    task = asyncio.ensure_future(meanwhile(going))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def steady(**settings: Any) -> Profile:
    return Profile(latency=settings.pop("latency", STEADY), **settings)
