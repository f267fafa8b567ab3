"""A whole run in virtual time: real HTTP on loopback, the real state file, real pictures, a simulated service."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batcher.client.api import Api
from batcher.core.settings import Deadline, Settings
from batcher.manifest import Overrides, open_manifest
from batcher.runner.engines.opening import Hire, ray_crew
from batcher.runner.events import Event
from batcher.runner.progress import listener
from batcher.runner.run_context import RunContext, Surroundings
from batcher.runner.run_dir import hold
from batcher.runner.service import Options, Service
from batcher.runner.session import Session
from batcher.runner.stop import Stop
from batcher.simulator import Address, Latency, Profile, Simulator, serve
from tests.support.virtual import virtual_wall

NO_OVERRIDES = Overrides(model=None, set=(), matrix=(), format=None, prompt_column=None, limit=None)
STEADY = Latency(kind="fixed", median=1.0)


@dataclass
class Going:
    """A run while it goes on, for tests that interfere."""

    context: RunContext
    simulator: Simulator


@dataclass
class Came:
    """What a run came to. seconds: virtual."""

    stop: Stop
    context: Any  # RunContext, or None for a run that never began
    report: dict[str, Any]
    summary: str
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
    hear: Callable[[Event], None] | None = None,
    price: float | None = None,
    deadline: float | None = None,
    overrides: Overrides = NO_OVERRIDES,
    trust: tuple[str, ...] = ("127.0.0.1",),
    token: str = "a-token",
    continue_copy: bool = False,
    hire: Hire = ray_crew,
    command: str = "batcher",
    **settings: Any,
) -> Came:
    """deadline: seconds from the start. price: what the catalogue says, whatever the service charges."""
    now, wall = asyncio.get_running_loop().time, virtual_wall()
    began = now()
    limit = None if deadline is None else Deadline(seconds=deadline)
    told = Settings(
        rate=settings.pop("rate", 50.0), in_flight=settings.pop("in_flight", 64), deadline=limit, **settings
    )

    @asynccontextmanager
    async def attend(context: RunContext) -> AsyncIterator[None]:
        going = Going(context, simulator)
        meddler = None if meanwhile is None else asyncio.ensure_future(meanwhile(going))
        try:
            yield
        finally:
            if meddler is not None:
                meddler.cancel()
                await asyncio.gather(meddler, return_exceptions=True)
        if afterwards is not None:
            await afterwards(going)

    with hold(folder), open_manifest(str(manifest), overrides) as loader:
        async with Api(address.base_url, token, wall=wall) as api:
            if price is not None:
                _list_at(api, price)
            ended = await Session(
                loader, told,
                Options(manifest=str(manifest), overrides=overrides, command=command, continue_copy=continue_copy),
                folder, Service(api, trust, "the simulator"),
                Surroundings(
                    observers=() if hear is None else (hear,), attend=attend, hire=hire, wall=wall, elapsed=now
                ),
                listener("none"), lambda: now() - began,
            ).conduct()  # fmt: skip
    return Came(ended.stop, ended.context, ended.report, ended.summary, now() - began)


def _list_at(api: Api, price: float) -> None:
    model = api.model

    async def listed(name: str) -> dict[str, Any]:
        return {**await model(name), "base_price_usd": price, "price_unit": "image"}

    api.model = listed  # type: ignore[method-assign, assignment]  # the catalogue of another day


def steady(**settings: Any) -> Profile:
    return Profile(latency=settings.pop("latency", STEADY), **settings)
