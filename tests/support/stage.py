"""A whole run in virtual time: real HTTP on loopback, the real state file, real pictures, a simulated service."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batcher.api.options import options_of, texts_of
from batcher.client.api import Api
from batcher.runner import session
from batcher.runner.engines.opening import Hire, ray_crew
from batcher.runner.events import Event
from batcher.runner.progress import listener
from batcher.runner.run_context import RunContext, Surroundings
from batcher.runner.service import Service
from batcher.simulator import Address, Latency, Profile, Simulator, serve
from tests.support.virtual import virtual_wall

Came = session.Ended
STEADY = Latency(kind="fixed", median=1.0)


@dataclass
class Going:
    """A run while it goes on, for tests that interfere."""

    context: RunContext
    simulator: Simulator


def lines(count: int) -> str:
    return "".join(f"a kite over hill number {number}\n" for number in range(count))


async def go(folder: Path, manifest: Path, simulator: Simulator, **options: Any) -> Came:
    """One process's worth of work on a run directory, as ``batcher run`` does it; told: as ``visit`` takes it."""
    async with serve(simulator) as address:
        return await visit(folder, manifest, address, simulator, **options)


async def visit(
    folder: Path,
    manifest: Path,
    address: Address,
    simulator: Simulator,
    *,
    meanwhile: Callable[[Going], Any] | None = None,
    hear: Callable[[Event], None] | None = None,
    price: float | None = None,
    trust: tuple[str, ...] = ("127.0.0.1",),
    token: str = "a-token",
    hire: Hire = ray_crew,
    command: str = "batcher",
    **options: Any,
) -> Came:
    """price: what the catalogue says, whatever the service charges. options: as ``batcher.run`` takes them."""
    wall = virtual_wall()

    @asynccontextmanager
    async def opened(*_: object) -> AsyncIterator[Service]:
        async with Api(address.base_url, token, wall=wall) as api:
            if price is not None:
                _list_at(api, price)
            yield Service(api, trust, "the simulator")

    @asynccontextmanager
    async def attend(context: RunContext) -> AsyncIterator[None]:
        meddler = None if meanwhile is None else asyncio.ensure_future(meanwhile(Going(context, simulator)))
        try:
            yield
        finally:
            if meddler is not None:
                meddler.cancel()
                await asyncio.gather(meddler, return_exceptions=True)

    given = {"rate": 50.0, "in_flight": 64, **options}
    texts = texts_of({name: "none" if value is None else value for name, value in given.items()})
    return await session.run(
        options_of(str(manifest), str(folder), texts, typed=command),
        Surroundings(
            observers=() if hear is None else (hear,), open_service=opened, attend=attend, hire=hire, wall=wall,
            elapsed=asyncio.get_running_loop().time,
        ),
        listener("none"),
    )  # fmt: skip


def _list_at(api: Api, price: float) -> None:
    model = api.model

    async def listed(name: str) -> dict[str, Any]:
        return {**await model(name), "base_price_usd": price, "price_unit": "image"}

    api.model = listed  # type: ignore[method-assign, assignment]  # the catalogue of another day


def steady(**settings: Any) -> Profile:
    return Profile(latency=settings.pop("latency", STEADY), **settings)
