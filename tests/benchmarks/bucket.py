"""Pictures with their sidecars into a real S3 server on loopback, beside a loop of obstore that puts the same bytes."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from batcher.images.bucket import Bucket
from batcher.store.files.place import sidecar_text
from tests.benchmarks.table import Line
from tests.support.object_store import ObjectStore, object_store, obstore

FILES, SIZE, AT_ONCE, ROUNDS = 1_000, 20_000, 32, 4
SIDECAR = {"job": "a" * 32, "inputs": {"prompt": "a red kite over a harbour at dawn"}, "more": "x" * 700}


def measure() -> Iterator[Line]:
    with TemporaryDirectory() as folder, object_store(Path(folder)) as server:
        os.environ.update(server.environment)
        content = os.urandom(SIZE)
        rates: dict[Callable[..., float], list[float]] = {_bare: [], _ours: []}
        for number in range(ROUNDS + 1):
            for way, measured in rates.items():
                rate = way(server, Path(folder), f"{way.__name__}{number}", content)
                if number:  # the first round makes the server's volumes
                    measured.append(rate)
        bare, ours = (median(measured) for measured in rates.values())
        ratio = median(one / other for one, other in zip(rates[_ours], rates[_bare], strict=True))
        yield Line(
            what=f"{FILES:,} pictures of {SIZE // 1000} KB and their sidecars, {AT_ONCE} at once", value=2 * ours,
            unit="puts/s", against=f"a bare loop's {2 * bare:.0f}", ratio=ratio, bound=">= 0.80", ok=ratio >= 0.8,
        )  # fmt: skip


def _bare(server: ObjectStore, folder: Path, prefix: str, content: bytes) -> float:
    """Pictures a second, each put before its sidecar."""
    store, text = server.store("benchmark", prefix), sidecar_text(SIDECAR)

    async def one(number: int, places: asyncio.Semaphore) -> None:
        async with places:
            await obstore.put_async(store, f"{number}.png", content)
            await obstore.put_async(store, f"{number}.json", text)

    async def main() -> None:
        places = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(one(number, places) for number in range(FILES)))

    return _timed(lambda: asyncio.run(main()))


def _ours(server: ObjectStore, folder: Path, prefix: str, content: bytes) -> float:
    place = Bucket(f"s3://benchmark/{prefix}", folder)

    def one(number: int) -> Any:
        return place.put(str(number), "png", content, SIDECAR)

    def main() -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(one, range(FILES)))

    return _timed(main)


def _timed(work: Callable[[], Any]) -> float:
    began = time.monotonic()
    work()
    return FILES / (time.monotonic() - began)
