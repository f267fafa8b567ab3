"""Group writing: together where many wait, each for itself when something goes wrong."""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import DiskError, FileRefused
from batcher.core.job import Artifact
from batcher.images import saving
from batcher.images.saving import MOST, Saver, Write, Written, write_group
from batcher.store.files.disk import force_folder
from batcher.store.files.place import Shelf
from tests.support.virtual import run


def an_artifact(name: str) -> Artifact:
    return Artifact(
        file=f"images/{name}.png", bytes=3, sha256="0" * 64, mime="image/png", width=1, height=1, url="https://h/a",
        output_index=0, output_count=1, downloaded_at=0.0,
    )  # fmt: skip


def write(shelf: Shelf, name: str) -> Write:
    def writes() -> Written:
        return Written(an_artifact(name), shelf.put(name, "png", b"png", {"job": name}))

    return writes


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_group_is_forced_whole_before_anything_in_it_is_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    true_sync, true_replace = os.fsync, os.replace

    def sync(handle: int) -> None:
        steps.append("force")
        true_sync(handle)

    def replace(old: str, new: str) -> None:
        steps.append(Path(new).name)
        true_replace(old, new)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", replace)
    shelf = Shelf(tmp_path)
    write_group([write(shelf, "a"), write(shelf, "b")])
    first = steps.index("a.png")
    assert steps[first - 4 : first] == ["force"] * 4
    assert steps[first:] == ["a.png", "a.json", "b.png", "b.json", "force"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_what_the_disk_refuses_of_one_image_takes_no_other_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    shelf = Shelf(tmp_path)
    shelf.folder("x")
    calls = iter(range(100))
    true: Callable[..., Any] = getattr(os, step)

    def failing(*arguments: Any) -> Any:
        if next(calls) == 2:  # of the second picture's two files, the first
            raise OSError(28, "No space left on device")
        return true(*arguments)

    monkeypatch.setattr(os, step, failing)
    outcomes = write_group([write(shelf, name) for name in "abc"])
    assert [type(outcome).__name__ for outcome in outcomes] == ["Artifact", "DiskError", "Artifact"]
    assert files(tmp_path) == ["images/a.json", "images/a.png", "images/c.json", "images/c.png"]


def test_a_folder_that_can_not_be_forced_is_everybodys_who_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path)
    for name in ("one/a", "two/a"):
        shelf.folder(name)
    true = force_folder

    def failing(folder: Path) -> None:
        if folder.name == "one":
            raise OSError(5, "Input/output error")
        true(folder)

    monkeypatch.setattr(saving, "force_folder", failing)
    outcomes = write_group([write(shelf, name) for name in ("one/a", "two/a", "one/b")])
    assert [isinstance(outcome, DiskError) for outcome in outcomes] == [True, False, True]


def test_what_is_refused_before_it_is_written_leaves_nothing(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    outcomes = write_group([write(shelf, "n" * 300), write(shelf, "b")])
    assert isinstance(outcomes[0], FileRefused)
    assert files(tmp_path) == ["images/b.json", "images/b.png"]


def test_many_that_wait_go_in_few_groups_and_all_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[int] = []

    def counting(writes: list[Write]) -> list[Artifact | Exception]:
        groups.append(len(writes))
        return write_group(writes)

    monkeypatch.setattr(saving, "write_group", counting)

    async def main() -> None:
        with ThreadPoolExecutor(4) as pool:
            saver, shelf = Saver(pool, 4), Shelf(tmp_path)
            saved = [saver.save(write(shelf, f"p{number}"), 20_000) for number in range(300)]
            assert {artifact.file for artifact in await asyncio.gather(*saved)} == {
                f"images/p{number}.png" for number in range(300)
            }

    run(main())
    assert sum(groups) == 300
    assert max(groups) <= MOST
    assert len(groups) < 20


def test_a_group_that_takes_long_gets_help_from_other_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "STUCK", 0.05)

    async def main() -> None:
        loop, gate, begun = asyncio.get_running_loop(), threading.Event(), asyncio.Semaphore(0)

        def stuck() -> Written:
            loop.call_soon_threadsafe(begun.release)
            gate.wait(30)
            raise FileNotFoundError

        with ThreadPoolExecutor(3) as pool:
            saver = Saver(pool, 3)
            saved = []
            for _ in range(3):
                saved.append(saver.save(stuck, 1))
                await begun.acquire()  # each in a thread of its own: none of them ends before all have begun
            gate.set()
            assert all(
                isinstance(one, FileNotFoundError) for one in await asyncio.gather(*saved, return_exceptions=True)
            )

    asyncio.run(main())


def test_an_image_never_waits_for_the_watch_over_another_group(tmp_path: Path) -> None:
    """That one is a second away, and may not stand in for a look that is due sooner."""

    async def main() -> float:
        with ThreadPoolExecutor(2) as pool:
            saver, shelf = Saver(pool, 2), Shelf(tmp_path)
            began = asyncio.get_running_loop().time()
            first = saver.save(write(shelf, "a"), 1)
            behind = saver.save(write(shelf, "b"), 1)  # its look is a second away, should the first be stuck
            await asyncio.gather(first, behind)
            await saver.save(write(shelf, "c"), 1)
            return asyncio.get_running_loop().time() - began

    assert run(main()) < saving.STUCK / 2
