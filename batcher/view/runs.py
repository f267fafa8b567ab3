"""The runs that a page shows: one run, several runs as one, or each run of a folder."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from batcher.core.errors import BatcherError, UsageError
from batcher.store import STATE, has_state
from batcher.store.joined import distinct
from batcher.view.joined_reader import JoinedReader
from batcher.view.live import Live
from batcher.view.run_reader import RunReader
from batcher.view.thumbs import Thumbs

_LEFT_BEHIND = ("images", "records.jsonl", "picks.jsonl")  # of a run whose state file is gone


class Runs:
    """The runs at ``paths``: run directories, or one folder of run directories. Raises UsageError if they are neither.

    thumbs: makes thumbnails. are_many: whether the path is a folder of runs.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = distinct(paths)
        self._path = self._paths[0]
        self.thumbs = Thumbs()
        self._live: dict[str, Live] = {}
        self._preparing: asyncio.Task[None] | None = None
        single = [has_state(path) or any((path / name).exists() for name in _LEFT_BEHIND) for path in self._paths]
        self.are_many = len(single) == 1 and not single[0] and bool(self._in_folder())
        for path, is_run in zip(self._paths, single, strict=True):
            if not is_run and not self.are_many:
                what = "is not a run directory" if path.is_dir() else "does not exist"
                raise UsageError(
                    f"{path} {what}: there is no {STATE}, nor a folder in it that has one",
                    hint="`batcher run` makes one, once its manifest is read.",
                )

    def _in_folder(self) -> dict[str, Path]:
        """The runs in the folder by name, the newest first. If two have the same name, their paths are used."""
        try:
            runs = [(one.stat().st_mtime, one) for one in self._path.iterdir() if (one / STATE).is_file()]
        except OSError:
            return {}
        names = Counter(one.absolute().name for _, one in runs)
        return {
            one.absolute().name if names[one.absolute().name] == 1 else "-".join(one.resolve().parts[1:]): one
            for _, one in sorted(runs, reverse=True)
        }

    def get(self, name: str) -> Live | None:
        """The run with a name of ``listed``; None for any other name."""
        live = self._live.get(name)
        if live is None:
            path = self._in_folder().get(name) if self.are_many else self._path if name == self.name else None
            if path is None:
                return None
            reader = RunReader(path) if len(self._paths) == 1 else JoinedReader(self._paths)
            live = self._live[name] = Live(reader, self.thumbs)
        return live

    def prepare(self) -> None:
        """Begin to read the run, unless there are many, so that it is ready when the page asks."""
        live = None if self.are_many else self.get(self.name)
        if live is not None:
            self._preparing = asyncio.get_running_loop().create_task(live.prepare())

    @property
    def name(self) -> str:
        """The name of the run, or of the runs shown as one."""
        more = len(self._paths) - 1
        return (self._path.resolve().name or "run") + (f" and {more} more" if more else "")

    async def listed(self) -> list[dict[str, Any]]:
        """The ``name`` of each run, and if there are many, texts about it."""
        if not self.are_many:
            return [{"name": self.name}]
        return await asyncio.to_thread(lambda: [_numbers(name, path) for name, path in self._in_folder().items()])

    async def close(self) -> None:
        if self._preparing is not None:
            self._preparing.cancel()
            await asyncio.gather(self._preparing, return_exceptions=True)
        for live in self._live.values():
            await live.close()
        await self.thumbs.close()


def _numbers(name: str, path: Path) -> dict[str, Any]:
    reader = RunReader(path)
    try:
        facts, cover = reader.facts(), reader.cover()
        title = ", ".join([facts["words"]["title"], *([f"{facts['failed']:,} failed"] if facts["failed"] else [])])
        return {
            "name": name, "done": facts["done"], "words": title + (" · running" if facts["going"] else ""),
            "cover": cover and f"runs/{quote(name, safe='')}/thumb/{cover}",
        }  # fmt: skip
    except BatcherError as error:
        return {"name": name, "problem": error.message}
    finally:
        reader.close()
