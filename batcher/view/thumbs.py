"""Thumbnails on demand: made in worker processes, the newest wish first, kept in ``thumbs/`` by content."""

import asyncio
import multiprocessing
import os
import re
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import asynccontextmanager
from pathlib import Path

from batcher.images.flags import Look
from batcher.images.thumbnail import be_a_worker, make

THUMBS = "thumbs"
_SHA256 = re.compile(r"[0-9a-f]{64}")


def place(run_dir: Path, sha256: str) -> Path:
    """Where the thumbnail of this content is kept. Raises ValueError for what is no SHA-256."""
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"{sha256!r:.80} is no SHA-256")
    return run_dir / THUMBS / sha256[:2] / f"{sha256}.webp"


class _LastFirst:
    """So many at a time; of those who wait, the one who came last goes first: it is what is on the screen now."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._waiting: list[asyncio.Future[None]] = []

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        if self._free:
            self._free -= 1
        else:
            mine = asyncio.get_running_loop().create_future()
            self._waiting.append(mine)
            try:
                await mine
            except asyncio.CancelledError:
                if mine.done() and not mine.cancelled():
                    self._pass_on()
                raise
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting:
            other = self._waiting.pop()
            if not other.done():
                other.set_result(None)
                return
        self._free += 1


class Thumbs:
    """workers: processes."""

    def __init__(self, workers: int | None = None) -> None:
        self._workers = workers or max(1, min(4, (os.cpu_count() or 2) - 1))
        self._pool: ProcessPoolExecutor | None = None
        self._turns = _LastFirst(self._workers)
        self._making: dict[str, asyncio.Task[tuple[bytes, Look | None]]] = {}

    async def made(self, source: Path, target: Path, sha256: str) -> tuple[bytes, Look | None]:
        """The thumbnail of a picture. Raises OSError, ValueError where it can't be decoded.

        Whoever waits may stop waiting; when nobody does any more, it is not begun.
        """
        async with self._turns.turn():
            if target.exists():
                return await asyncio.to_thread(target.read_bytes), None
            task = self._making.get(sha256)
            if task is None:
                task = self._making[sha256] = asyncio.get_running_loop().create_task(self._make(source, target))
                task.add_done_callback(lambda _: self._making.pop(sha256, None))
            return await asyncio.shield(task)

    async def _make(self, source: Path, target: Path) -> tuple[bytes, Look | None]:
        for again in (True, False):
            if self._pool is None:
                context = multiprocessing.get_context("spawn")
                self._pool = ProcessPoolExecutor(self._workers, mp_context=context, initializer=be_a_worker)
            try:
                return await asyncio.get_running_loop().run_in_executor(self._pool, make, source, target)
            except BrokenProcessPool:  # killed for its memory, say
                self._pool = None
                if not again:
                    raise OSError("the process that makes thumbnails died") from None
        raise AssertionError

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
