"""The reference: the same HTTP calls in a bare loop. No state, no checks, no resume: an hour of work."""

import argparse
import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import aiohttp

from tests.benchmarks.service import MODEL


async def run(origin: str, jobs: int, in_flight: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  as people write it
    numbers = iter(range(jobs))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(_worker(session, origin, numbers, folder) for _ in range(in_flight)))


async def _worker(session: aiohttp.ClientSession, origin: str, numbers: Iterator[int], folder: Path) -> None:
    for number in numbers:
        inputs = {"prompt": f"a kite over hill number {number}", "seed": number, "aspect_ratio": "16:9"}
        async with session.post(f"{origin}/v1/models/{MODEL}", json=inputs) as response:
            request = (await response.json())["request_id"]
        while True:
            async with session.get(f"{origin}/v1/requests/{request}/result") as response:
                answer = await response.json()
            if answer["status"] == "completed":
                break
            await asyncio.sleep(0.5)
        async with session.get(answer["output"]["image"]) as response:
            content = await response.read()
        (folder / f"{number:06d}.png").write_bytes(content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("origin")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--in-flight", type=int, default=256)
    parser.add_argument("--uvloop", action="store_true")
    told = parser.parse_args()
    work = run(told.origin, told.jobs, told.in_flight, told.folder)
    if told.uvloop:
        import uvloop  # noqa: PLC0415  an extra

        uvloop.run(work)
    else:
        asyncio.run(work)
    print(json.dumps({"done": told.jobs}))


if __name__ == "__main__":
    main()
