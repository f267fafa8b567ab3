"""A bare client for tests of the simulator: it knows paths and nothing of batcher."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from batcher.simulator import Address, Profile, Simulator, serve
from tests.support.virtual import virtual_wall

IMAGEN = "google-deepmind/imagen-4/fast/text-to-image"
TOKEN = "Bearer a-secret-token"


class Client:
    def __init__(self, simulator: Simulator, address: Address, session: aiohttp.ClientSession) -> None:
        self.simulator, self.address, self.session = simulator, address, session

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, Any, Mapping[str, str]]:
        """Status, body (JSON where it is, else bytes) and headers."""
        headers = options.pop("headers", {"Authorization": TOKEN})
        url = URL(path if path.startswith("http") else self.address.origin + path, encoded=True)
        async with self.session.request(method, url, headers=headers, allow_redirects=False, **options) as answer:
            assert answer.headers["X-Batcher-Simulator"] == "1"
            is_json = answer.content_type == "application/json"
            return answer.status, await (answer.json() if is_json else answer.read()), answer.headers

    async def submit(self, prompt: str = "a heron", model: str = IMAGEN, **inputs: Any) -> str:
        status, body, _ = await self.call("POST", f"/v1/models/{model}", json={"prompt": prompt, **inputs})
        assert status == 200, body
        return str(body["request_id"])

    async def status(self, request_id: str) -> Any:
        return (await self.call("GET", f"/v1/requests/{request_id}/status"))[1]

    async def result(self, request_id: str, query: str = "?include_cost=true") -> Any:
        return (await self.call("GET", f"/v1/requests/{request_id}/result{query}"))[1]

    async def file(self, url: str) -> tuple[int, Any, Mapping[str, str]]:
        return await self.call("GET", url, headers={})

    def stats(self) -> dict[str, Any]:
        return self.simulator.stats()


@asynccontextmanager
async def service(*, journal: Path | None = None, **settings: Any) -> AsyncIterator[Client]:
    """A served simulator and a client for it. Jobs take 10 seconds unless told otherwise."""
    profile = Profile().merged({"latency": 10, **settings})
    simulator = Simulator(profile, wall=virtual_wall(), journal=journal)
    async with serve(simulator) as address, aiohttp.ClientSession() as session:
        yield Client(simulator, address, session)
