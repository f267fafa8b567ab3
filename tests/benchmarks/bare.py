"""The reference: the same HTTP calls in a bare loop. No state, no checks, no resume: an hour of work."""

import argparse
import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from tests.benchmarks.service import MODEL


async def run(origin: str, jobs: int, in_flight: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  as people write it
    numbers = iter(range(jobs))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(_worker(session, origin, numbers, folder) for _ in range(in_flight)))


def asked(number: int) -> dict[str, Any]:
    return {"prompt": f"a kite over hill number {number}", "seed": number, "aspect_ratio": "16:9"}


async def submitted(session: aiohttp.ClientSession, origin: str, inputs: Mapping[str, Any]) -> str:
    """The request id."""
    async with session.post(f"{origin}/v1/models/{MODEL}", json=inputs) as response:
        request: str = (await response.json())["request_id"]
    return request


async def fetched(session: aiohttp.ClientSession, origin: str, request: str) -> tuple[dict[str, Any], bytes]:
    """The result, once there is one, and the picture."""
    while True:
        async with session.get(f"{origin}/v1/requests/{request}/result") as response:
            answer: dict[str, Any] = await response.json()
        if answer["status"] == "completed":
            break
        await asyncio.sleep(0.5)
    async with session.get(answer["output"]["image"]) as response:
        return answer, await response.read()


async def _worker(session: aiohttp.ClientSession, origin: str, numbers: Iterator[int], folder: Path) -> None:
    for number in numbers:
        request = await submitted(session, origin, asked(number))
        _, content = await fetched(session, origin, request)
        (folder / f"{number:06d}.png").write_bytes(content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("origin")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--uvloop", action="store_true")
    arguments = parser.parse_args()
    work = run(arguments.origin, arguments.jobs, arguments.in_flight, arguments.folder)
    if arguments.uvloop:
        import uvloop  # noqa: PLC0415  an extra

        uvloop.run(work)
    else:
        asyncio.run(work)
    print(json.dumps({"done": arguments.jobs}))


if __name__ == "__main__":
    main()
