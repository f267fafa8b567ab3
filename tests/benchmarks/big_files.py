"""Downloads of a megabyte each from loopback, checked and forced to the disk, beside programs that do neither.

python -m tests.benchmarks.big_files ours|bare URLS FOLDER
"""

import asyncio
import os
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import aiohttp

from batcher.core.job import Artifact
from batcher.images.fetch import Downloader
from batcher.images.trust import Trust
from tests.benchmarks.process import PYTHON, run
from tests.benchmarks.service import served
from tests.benchmarks.table import Line

FILES, SIZE, AT_ONCE, ROUNDS = 2000, 1_000_000, 16, 1
ARIA = (
    "--quiet",
    "--file-allocation=none",
    "--max-concurrent-downloads",
    str(AT_ONCE),
    "--max-connection-per-server=1",
)
IMG2DATASET = (
    "--output_format", "files", "--resize_mode", "no", "--disable_all_reencoding", "True", "--processes_count", "1",
    "--thread_count", "64", "--compute_hash", "None", "--enable_wandb", "False",
)  # fmt: skip


def measure() -> Iterator[Line]:
    with TemporaryDirectory() as folder, served("--size", str(SIZE)) as origin:
        ground = Path(folder)
        urls = ground / "urls.txt"
        urls.write_text("".join(f"{origin}/files/{uuid.UUID(int=n)}.png\n" for n in range(FILES)))
        peers = _peers(urls)
        for name in [name for name, command in peers.items() if not command]:
            yield Line(what=f"{name} is not installed here: not compared", value=0, unit="files/s")
        rates: dict[str, list[float]] = {name: [] for name, command in peers.items() if command}
        for _ in range(ROUNDS):
            for name, measured in rates.items():
                measured.append(_rate(peers[name], ground / f"{len(measured)} {name}"))
        best = {name: median(values) for name, values in rates.items()}
        ours = best.pop("batcher")
        fastest = max(best, key=lambda name: best[name])
        for name, rate in best.items():
            yield Line(what=name, value=rate, unit="files/s")
        ratio = ours / best[fastest]
        yield Line(
            what=f"batcher: {FILES:,} files of 1 MB, checked, hashed, forced to the disk, with sidecars", value=ours,
            unit="files/s", against=fastest, ratio=ratio, bound=">= 0.85", ok=ratio >= 0.85,
        )  # fmt: skip


def _peers(urls: Path) -> dict[str, tuple[str, ...]]:
    """Commands by name, each to be followed by the folder; empty for what is not here."""
    this = (PYTHON, "-m", "tests.benchmarks.big_files")
    aria, img2dataset = shutil.which("aria2c"), shutil.which("img2dataset")
    return {
        "batcher": (*this, "ours", str(urls)),
        "a bare aiohttp loop": (*this, "bare", str(urls)),
        "aria2c": (aria, *ARIA, "--input-file", str(urls), "--dir") if aria else (),
        "img2dataset": (img2dataset, "--url_list", str(urls), *IMG2DATASET, "--output_folder") if img2dataset else (),
    }


def _rate(command: tuple[str, ...], folder: Path) -> float:
    """What is fetched stays to the end (8 GB): files that go slow down the making of others. Nobody pays for the disk's
    work that another has left over.
    """
    os.sync()
    seconds = run([*command, str(folder)]).seconds
    files = sum(path.stat().st_size >= SIZE - 100 for path in folder.rglob("*.*g"))
    if files != FILES:
        raise RuntimeError(f"{command[:4]} fetched {files} of {FILES} files")
    return FILES / seconds


async def ours(urls: list[str], folder: Path) -> None:
    waiting, turn = iter(enumerate(urls)), asyncio.Semaphore(AT_ONCE)  # as the runner does it: writing takes no turn
    async with Downloader(folder, trust=Trust(["127.0.0.1"]), check="structure", threads=AT_ONCE) as downloader:

        async def worker() -> None:
            for number, url in waiting:
                path = f"{number // 1000:04d}/{number:06d}"
                await downloader.fetch(url, path=path, describe=partial(_described, f"{number:032x}"), turn=turn)

        await asyncio.gather(*(worker() for _ in range(4 * AT_ONCE)))


def _described(job: str, artifact: Artifact) -> Mapping[str, object]:
    return {"job": job, **asdict(artifact)}


async def bare(urls: list[str], folder: Path) -> None:
    waiting = iter(enumerate(urls))
    async with aiohttp.ClientSession() as session:

        async def worker() -> None:
            for number, url in waiting:
                async with session.get(url) as response:
                    content = await response.read()
                (folder / f"{number:06d}.png").write_bytes(content)

        await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


if __name__ == "__main__":
    _, who, listed, out = sys.argv
    Path(out).mkdir()
    asyncio.run({"ours": ours, "bare": bare}[who](Path(listed).read_text().split(), Path(out)))
