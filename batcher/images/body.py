"""The body of a file while it arrives: up to a megabyte in memory, then in a temporary file beside its final place.

Most images never need this temporary file, and a video of a gigabyte takes no more memory than they do. The limits are
on the size after decompression.
"""

import asyncio
from collections.abc import Awaitable
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

import aiofiles

from batcher.core.errors import DiskError
from batcher.images.check import Limits, kind_of, too_big
from batcher.images.kinds import HEAD, NOTHING
from batcher.store.files.disk import discard, disk
from batcher.store.files.place import Place

IN_MEMORY = 1 << 20  # bytes

T = TypeVar("T")


class _Stream(Protocol):
    async def write(self, data: bytes, /) -> int: ...
    async def close(self) -> None: ...


class Body:
    """One body that arrives. Call ``add`` for each piece, then ``finish``; or ``discard`` after an error.

    name: relative to the folder of images, without extension. place: gives the temporary file. pool: for its writing.
    limits: of the size. announced: the kind that the host says, to be set before the first ``add``.
    """

    def __init__(self, name: str, *, place: Place, pool: Executor, limits: Limits) -> None:
        self._name = name
        self._place = place
        self._pool = pool
        self._limits = limits
        self._held = bytearray()
        self._size = 0
        self._expected = 0
        self._cap = max(limits.max_bytes, limits.max_image_bytes)
        self.announced = NOTHING
        self._temp: Path | None = None
        self._stream: _Stream | None = None

    def expect(self, size: int | None) -> None:
        """size: in bytes, as announced. A file that is too big is then refused before all of it has arrived."""
        self._expected = size or 0

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return self._size

    async def add(self, piece: bytes) -> None:
        """Raises FileRefused over the limit, FileUnavailable for a big body that is a page or a message, DiskError."""
        self._size += len(piece)
        if self._size > self._cap:
            raise too_big(self._size, self._cap)
        self._held += piece
        if len(self._held) > IN_MEMORY:
            await self._spill()

    async def finish(self) -> bytes | Path:
        """The whole body, or the temporary file that has it."""
        if self._stream is None or self._temp is None:
            return bytes(self._held)
        await self._spill()
        await self._close()
        return self._temp

    async def discard(self) -> None:
        """Remove the temporary file."""
        try:
            with suppress(DiskError):  # of a full disk, again at closing
                await self._close()
        finally:
            if self._temp is not None:
                discard(self._temp)

    async def _spill(self) -> None:
        if self._stream is None:
            self._stream = await self._open()
        held, self._held = bytes(self._held), bytearray()
        with disk(self._place.relative(self._name), self._size):
            await unbroken(self._stream.write(held))

    async def _open(self) -> _Stream:
        """The temporary file. The first megabyte gives the kind, and so the limit of the size."""
        self._cap = self._limits.bytes_for(kind_of(bytes(self._held[:HEAD]), self.announced))
        if max(self._size, self._expected) > self._cap:
            raise too_big(max(self._size, self._expected), self._cap)
        loop = asyncio.get_running_loop()
        temp = await unbroken(loop.run_in_executor(self._pool, self._place.temp, self._name))
        discard(temp)
        self._temp = temp  # before it exists, so that an error from here on removes it
        with disk(self._place.relative(self._name)):
            return await _opened(temp, self._pool)

    async def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            with disk(self._place.relative(self._name), self._size):
                await unbroken(stream.close())


async def _opened(temp: Path, pool: Executor) -> _Stream:
    opening = asyncio.ensure_future(aiofiles.open(temp, "xb", executor=pool))
    try:
        return await unbroken(opening)
    except asyncio.CancelledError:
        if not opening.exception():
            await opening.result().close()
        raise


async def unbroken(work: Awaitable[T]) -> T:
    """Wait for ``work`` even if the task is cancelled meanwhile; it is cancelled afterwards.

    A thread can't be interrupted, and must not write a file after the clean-up.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not log it
        raise
