"""What arrives, while it arrives: in memory as long as it is small, in a file beside its final place from then on.

Most pictures are under a megabyte and never need a temp file of this kind; a video of a gigabyte never needs more
memory than they do. Caps hold for what comes out of a compressed body, not for what went in.
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

IN_MEMORY = 1 << 20

T = TypeVar("T")


class _Stream(Protocol):
    async def write(self, data: bytes, /) -> int: ...
    async def close(self) -> None: ...


class Body:
    """One arriving body. announced: what the host says that it is.

    Give it ``add`` after ``add``, then ``finish``, or ``discard`` where that is not reached.
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
        """The announced size, if any: a file that is too big is then refused before it has arrived."""
        self._expected = size or 0

    @property
    def size(self) -> int:
        """Bytes that have come so far."""
        return self._size

    async def add(self, piece: bytes) -> None:
        """Raises FileRefused over the cap, FileUnavailable for a big body that is no file, DiskError."""
        self._size += len(piece)
        if self._size > self._cap:
            raise too_big(self._size, self._cap)
        self._held += piece
        if len(self._held) > IN_MEMORY:
            await self._spill()

    async def finish(self) -> bytes | Path:
        """The body: itself, or where it lies."""
        if self._stream is None or self._temp is None:
            return bytes(self._held)
        await self._spill()
        await self._close()
        return self._temp

    async def discard(self) -> None:
        """Leave nothing behind."""
        try:
            with suppress(DiskError):  # a full disk says so again on closing
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
        """Called with the first megabyte in hand, which says what this is and so what it may weigh."""
        self._cap = self._limits.bytes_for(kind_of(bytes(self._held[:HEAD]), self.announced))
        if max(self._size, self._expected) > self._cap:
            raise too_big(max(self._size, self._expected), self._cap)
        loop = asyncio.get_running_loop()
        temp = await unbroken(loop.run_in_executor(self._pool, self._place.temp, self._name))
        discard(temp)
        self._temp = temp  # before it exists: whatever happens from here on, it gets removed
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
    """Wait for ``work`` even when cancelled meanwhile, then be cancelled.

    A thread can't be called back, and what it writes must not come to life after the clean-up.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # looked at: being cancelled is what counts now
        raise
