"""Makes thumbnails on demand in worker processes, the last request first, and keeps them in ``thumbs/`` by content."""

import asyncio
import json
import os
import re
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from pathlib import Path

from batcher.images.flags import Measured

THUMBS = "thumbs"
Made = tuple[bytes, Measured | None]
_SHA256 = re.compile(r"[0-9a-f]{64}")


def place(run_dir: Path, sha256: str) -> Path:
    """The path of the thumbnail for an image with this SHA-256. Raises ValueError if it is not one."""
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"{sha256!r:.80} is not a SHA-256")
    return run_dir / THUMBS / sha256[:2] / f"{sha256}.webp"


class Thumbs:
    """Makes thumbnails. The newest request goes first: it asks for what is on the screen now.

    workers: most processes; None to choose by the number of cores.
    """

    def __init__(self, workers: int | None = None) -> None:
        self._most = workers or max(1, min(4, (os.cpu_count() or 2) - 1))
        self._wanted: asyncio.LifoQueue[tuple[Path, Path, asyncio.Future[Made]]] = asyncio.LifoQueue()
        self._workers: list[asyncio.Task[None]] = []
        self._resting = 0  # of the workers

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for a thumbnail."""
        return self._wanted.empty() and self._resting == len(self._workers)

    async def made(self, source: Path, target: Path) -> Made:
        """The thumbnail of an image, as bytes, and the measures of the image if the thumbnail was made now.

        source: the image. target: where to keep the thumbnail. It is not made if this is cancelled before its turn.
        Raises OSError, and ValueError if the image can't be decoded.
        """
        future: asyncio.Future[Made] = asyncio.get_running_loop().create_future()
        self._wanted.put_nowait((source, target, future))
        if self._wanted.qsize() > self._resting and len(self._workers) < self._most:
            self._workers.append(asyncio.create_task(self._work()))
        return await future

    async def _work(self) -> None:
        """Make one thumbnail at a time, in a process that starts when it is needed."""
        process: Process | None = None
        try:
            while True:
                self._resting += 1
                source, target, future = await self._wanted.get()
                self._resting -= 1
                if future.done():  # nobody waits for it any more
                    continue
                try:
                    made = await asyncio.to_thread(_kept, target)
                    if made is None:
                        process = process or await _started()
                        made = await _make(process, source, target)
                except Exception as error:  # noqa: BLE001  raised where it is awaited
                    if not isinstance(error, ValueError):  # of the process, not of the image
                        await _stop(process)
                        process = None
                    if not future.done():
                        future.set_exception(error)
                else:
                    if not future.done():
                        future.set_result(made)
        finally:
            await _stop(process)

    async def close(self) -> None:
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)


def _kept(target: Path) -> Made | None:
    return (target.read_bytes(), None) if target.exists() else None


async def _started() -> Process:
    words = (sys.executable, "-m", "batcher.images.thumbnail")
    return await asyncio.create_subprocess_exec(*words, stdin=PIPE, stdout=PIPE, limit=1 << 20)


async def _make(process: Process, source: Path, target: Path) -> Made:
    """Raises ValueError if the image can't be decoded, OSError if the process died."""
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None
    assert stdout is not None
    stdin.write(json.dumps([str(source), str(target)]).encode() + b"\n")
    try:
        await stdin.drain()
        answer = json.loads(await stdout.readuntil())
        if "error" not in answer:
            return await stdout.readexactly(answer["size"]), Measured(*answer["measured"])
    except asyncio.IncompleteReadError:
        raise OSError("the process that makes thumbnails died") from None
    raise ValueError(answer["error"])


async def _stop(process: Process | None) -> None:
    if process is not None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
