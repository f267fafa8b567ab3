"""Caps, bombs and cancelled fetches: what must not cost more than it may, or leave anything behind."""

import asyncio
import gzip
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import FileRefused, FileUnavailable
from batcher.core.job import Artifact
from batcher.images.body import IN_MEMORY
from batcher.images.check import CheckDepth, Limits
from batcher.images.fetch import Downloader
from batcher.images.trust import Trust
from tests.support.file_host import answer, describe, fetch, file_host, files, huge_png, picture

BIG = picture(800, 800)  # noise does not compress: over a megabyte


async def endless(writer: Any) -> None:
    writer.write(answer(picture(), length=None))
    while True:
        writer.write(bytes(65_536))
        await writer.drain()


def test_an_endless_body_ends_at_the_cap(tmp_path: Path) -> None:
    with pytest.raises(FileRefused) as caught:
        fetch(tmp_path, endless, limits=Limits(max_image_bytes=3_000_000))
    assert caught.value.cause.kind == "too_big"
    assert files(tmp_path) == []


def test_an_announced_size_over_the_cap_is_refused_before_the_body_arrives(tmp_path: Path) -> None:
    async def promise(writer: Any) -> None:
        writer.write(answer(picture(), length=3 << 30))
        await writer.drain()
        await asyncio.sleep(30)

    with pytest.raises(FileRefused):
        fetch(tmp_path, promise, limits=Limits(read_timeout=5))


def test_an_image_announced_over_the_cap_for_images_is_refused_at_its_first_megabyte(tmp_path: Path) -> None:
    async def promise(writer: Any) -> None:
        writer.write(answer(picture() + bytes(IN_MEMORY), length=1 << 30))
        await writer.drain()
        await asyncio.sleep(30)

    with pytest.raises(FileRefused) as caught:
        fetch(tmp_path, promise, limits=Limits(read_timeout=5))
    assert "1,073,741,824" in caught.value.cause.message


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_compressed_body_is_unpacked(tmp_path: Path, encoding: str) -> None:
    packed = gzip.compress(BIG) if encoding == "gzip" else zlib.compress(BIG)
    artifact = fetch(tmp_path, answer(packed, headers={"Content-Encoding": encoding}))
    assert (tmp_path / artifact.file).read_bytes() == BIG


def test_a_gzip_bomb_ends_at_the_cap(tmp_path: Path) -> None:
    bomb = gzip.compress(picture() + bytes(50_000_000))
    assert len(bomb) < 60_000
    with pytest.raises(FileRefused) as caught:
        fetch(tmp_path, answer(bomb, headers={"Content-Encoding": "gzip"}), limits=Limits(max_image_bytes=4_000_000))
    assert caught.value.cause.kind == "too_big"
    assert files(tmp_path) == []


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_is_never_unpacked_beyond_a_few_megabytes(tmp_path: Path, encoding: str) -> None:
    """The HTTP library does the unpacking: what it gives at once, and what it holds, stays small."""
    packed = gzip.compress if encoding == "gzip" else zlib.compress
    bomb = packed(picture() + bytes(300_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(FileRefused):
            fetch(
                tmp_path,
                answer(bomb, headers={"Content-Encoding": encoding}),
                limits=Limits(max_image_bytes=4_000_000, max_bytes=4_000_000),
            )
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("body", "encoding"), [(gzip.compress(BIG)[:-20_000], "gzip"), (b"no gzip", "gzip"), (b"whatever", "br")]
)
def test_a_damaged_or_foreign_compression_may_pass(tmp_path: Path, body: bytes, encoding: str) -> None:
    with pytest.raises(FileUnavailable) as caught:
        fetch(tmp_path, answer(body, headers={"Content-Encoding": encoding}))
    assert caught.value.cause.kind in {"encoding", "bad_picture", "connection"}
    assert files(tmp_path) == []


@pytest.mark.parametrize("size", [(9_000, 9_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
@pytest.mark.parametrize("check", ["decode", "structure", "none"])
def test_a_small_file_that_claims_a_huge_image_is_refused(
    tmp_path: Path, size: tuple[int, int], check: CheckDepth
) -> None:
    with pytest.raises(FileRefused) as caught:
        fetch(tmp_path, answer(huge_png(*size)), check=check)
    assert caught.value.cause.kind == "too_many_pixels"


def test_a_gif_whose_frame_is_far_bigger_than_its_screen_is_refused(tmp_path: Path) -> None:
    gif = bytearray(picture(8, 8, form="GIF"))
    at = gif.index(b"\x2c\x00\x00\x00\x00\x08\x00\x08\x00")
    gif[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    with pytest.raises(FileRefused) as caught:
        fetch(tmp_path, answer(bytes(gif)))
    assert caught.value.cause.kind == "too_many_pixels"


def test_a_fetch_that_is_cancelled_leaves_nothing_behind(tmp_path: Path) -> None:
    async def main() -> None:
        held = asyncio.Event()

        async def stalling(writer: Any) -> None:
            writer.write(answer(BIG[:-10], length=len(BIG)))
            await writer.drain()
            held.set()
            await asyncio.sleep(30)

        async with file_host({"/file": stalling}) as host, Downloader(tmp_path, trust=Trust(["127.0.0.1"])) as loader:
            task = asyncio.create_task(loader.fetch(host.url("/file"), path="a/b", describe=describe))
            await held.wait()
            while not files(tmp_path):  # noqa: ASYNC110  a file has no event to wait for
                await asyncio.sleep(0.001)
            assert files(tmp_path)[0].endswith(".part")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert files(tmp_path) == []

    asyncio.run(main())


@pytest.mark.parametrize("body", [picture(), BIG], ids=["small", "big"])
def test_a_fetch_cancelled_at_any_moment_leaves_all_or_nothing(tmp_path: Path, body: bytes) -> None:
    whole = ["images/a.json", "images/a.png"]

    async def main() -> set[int]:
        outcomes = set()
        async with (
            file_host({"/file": answer(body)}) as host,
            Downloader(tmp_path, trust=Trust(["127.0.0.1"]), check="structure") as loader,
        ):
            for turns in range(60):
                task = asyncio.create_task(loader.fetch(host.url("/file"), path="a", describe=describe))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait({task})
                left = files(tmp_path)
                assert left in ([], whole), left
                outcomes.add(len(left))
                for name in left:
                    (tmp_path / name).unlink()
        return outcomes

    assert 0 in asyncio.run(main())


def test_many_files_at_once_all_land(tmp_path: Path) -> None:
    bodies = {f"/{at}": picture(20 + at, 20) for at in range(60)}

    async def main() -> list[Artifact]:
        routes = {path: answer(body) for path, body in bodies.items()}
        async with (
            file_host(routes) as host,
            Downloader(tmp_path, trust=Trust(["127.0.0.1"]), threads=4) as loader,
            asyncio.TaskGroup() as group,
        ):
            fetches = [
                group.create_task(loader.fetch(host.url(f"/{at}"), path=f"f{at % 7}/p{at}", describe=describe))
                for at in range(60)
            ]
        return [task.result() for task in fetches]

    for at, artifact in enumerate(asyncio.run(main())):
        assert (tmp_path / artifact.file).read_bytes() == bodies[f"/{at}"]
        assert artifact.width == 20 + at
