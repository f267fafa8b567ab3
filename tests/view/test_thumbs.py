"""Thumbnails on demand: whose turn it is, and what a damaged image leaves behind."""

import asyncio
from pathlib import Path

import pytest

from batcher.simulator.images import image_file
from batcher.view.thumbs import Thumbs


def an_image(folder: Path, name: str) -> Path:
    path = folder / f"{name}.png"
    path.write_bytes(image_file({"prompt": name, "seed": 1}))
    return path


def test_the_newest_request_comes_first_and_what_nobody_waits_for_is_not_made(tmp_path: Path) -> None:
    names = ("oldest", "left", "older", "newest")
    done: list[str] = []

    async def ask() -> None:
        thumbs = Thumbs(workers=1)
        asked = {}
        for name in names:
            asked[name] = asyncio.create_task(thumbs.made(an_image(tmp_path, name), tmp_path / f"{name}.webp"))
            asked[name].add_done_callback(lambda _, name=name: done.append(name))  # type: ignore[misc]
        await asyncio.sleep(0)  # all of them wait now
        idle = [thumbs.is_idle]
        asked["left"].cancel()
        await asyncio.gather(*asked.values(), return_exceptions=True)
        await asyncio.sleep(0)
        idle.append(thumbs.is_idle)
        await thumbs.close()
        assert idle == [False, True]

    asyncio.run(ask())
    assert done == ["left", "newest", "older", "oldest"]
    assert {path.stem for path in tmp_path.glob("*.webp")} == {"oldest", "older", "newest"}


def test_a_damaged_image_is_an_error_and_the_next_one_is_made(tmp_path: Path) -> None:
    damaged = an_image(tmp_path, "damaged")
    damaged.write_bytes(damaged.read_bytes()[:200])

    async def ask() -> None:
        thumbs = Thumbs(workers=1)
        with pytest.raises(ValueError, match="OSError"):
            await thumbs.made(damaged, tmp_path / "damaged.webp")
        good = an_image(tmp_path, "good")
        content, look = await thumbs.made(good, tmp_path / "good.webp")
        assert (content, look is None) == ((tmp_path / "good.webp").read_bytes(), False)
        assert await thumbs.made(good, tmp_path / "good.webp") == (content, None), "it is kept"
        await thumbs.close()

    asyncio.run(ask())
    assert not (tmp_path / "damaged.webp").exists()
