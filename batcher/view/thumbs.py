"""Makes thumbnails on demand in worker processes, the last request first, and keeps them in ``thumbs/`` by content."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from batcher.images.flags import Look

THUMBS = "thumbs"
_SHA256 = re.compile(r"[0-9a-f]{64}")


def place(run_dir: Path, sha256: str) -> Path:
    """The path of the thumbnail for an image with this SHA-256. Raises ValueError if it is not one."""
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"{sha256!r:.80} is not a SHA-256")
    return run_dir / THUMBS / sha256[:2] / f"{sha256}.webp"


class _LastFirst:
    """A semaphore for ``size`` tasks that lets the last waiter go first: it asks for what is on the screen now."""

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


class _Worker:
    """A process that makes one thumbnail at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls) -> "_Worker":
        pipe = asyncio.subprocess.PIPE
        words = (sys.executable, "-m", "batcher.images.thumbnail")
        return cls(await asyncio.create_subprocess_exec(*words, stdin=pipe, stdout=pipe, limit=1 << 20))

    async def make(self, source: Path, target: Path) -> tuple[bytes, Look]:
        """Make a thumbnail; gives its bytes, and the measures of the image.

        Raises ValueError if the image can't be decoded, OSError if the process died.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps([str(source), str(target)]).encode() + b"\n")
        await stdin.drain()
        line = await stdout.readline()
        if not line:
            raise OSError("the process that makes thumbnails died")
        answer = json.loads(line)
        if "error" in answer:
            raise ValueError(answer["error"])
        return await stdout.readexactly(answer["size"]), Look(*answer["look"])

    async def stop(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


class Thumbs:
    """Makes thumbnails. workers: most processes; None to choose by the number of cores."""

    def __init__(self, workers: int | None = None) -> None:
        size = workers or max(1, min(4, (os.cpu_count() or 2) - 1))
        self._turns = _LastFirst(size)
        self._workers: list[_Worker] = []
        self._resting: list[_Worker] = []
        self._making: dict[str, asyncio.Task[tuple[bytes, Look]]] = {}

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for a thumbnail."""
        return not self._making

    async def made(self, source: Path, target: Path, sha256: str) -> tuple[bytes, Look | None]:
        """The thumbnail of an image, as bytes, and the measures of the image if the thumbnail was made now.

        source: the image. target: where to keep the thumbnail. sha256: of the image. It can be cancelled while it
        waits for a worker. Raises OSError, and ValueError if the image can't be decoded.
        """
        async with self._turns.turn():
            if await asyncio.to_thread(target.exists):
                return await asyncio.to_thread(target.read_bytes), None
            task = self._making.get(sha256)
            if task is None:
                task = self._making[sha256] = asyncio.get_running_loop().create_task(self._make(source, target))
                task.add_done_callback(lambda done: self._ended(sha256, done))
            return await asyncio.shield(task)

    def _ended(self, sha256: str, task: asyncio.Task[tuple[bytes, Look]]) -> None:
        self._making.pop(sha256, None)
        if not task.cancelled():
            task.exception()  # marks it as retrieved: the request may be gone

    async def _make(self, source: Path, target: Path) -> tuple[bytes, Look]:
        if self._resting:
            worker = self._resting.pop()
        else:
            worker = await _Worker.start()
            self._workers.append(worker)
        try:
            made = await worker.make(source, target)
        except ValueError:  # the image can't be decoded; the worker is fine
            self._resting.append(worker)
            raise
        except BaseException as error:
            self._workers.remove(worker)
            await worker.stop()
            if isinstance(error, asyncio.IncompleteReadError):
                raise OSError("the process that makes thumbnails died") from None
            raise
        self._resting.append(worker)
        return made

    async def close(self) -> None:
        for worker in self._workers:
            await worker.stop()
