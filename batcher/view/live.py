"""Follows a run while its page is open: turns changes into numbered messages, and keeps the last few hundred.

A page first gets everything (``index``), with the number of the newest message in it. Then it gets later messages, by
server-sent events or by polling. While no page asks, nothing is read.
"""

import asyncio
import secrets
import time
import zlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from batcher.core.errors import BatcherError
from batcher.view.judge import Judge
from batcher.view.records import RecordsWriter
from batcher.view.run_reader import RunReader
from batcher.view.thumbs import Thumbs

T = TypeVar("T")

UPDATE_EVERY = 0.25  # seconds between two updates
_KEPT = 400  # messages
_LAST = 5.0  # seconds that ``close`` waits for the reader
_PATIENCE = 5.0  # seconds without a message, after which ``follow`` gives None
_IDLE = 10.0  # seconds after the last request, in which changes are still looked for


class Live:
    """A run that pages look at.

    reader: reads the run; to be used only through ``ask``. thumbs: makes thumbnails.
    judge: finds its flags. records: updates its ``records.jsonl``.
    """

    def __init__(self, reader: RunReader, thumbs: Thumbs) -> None:
        self.run_dir = reader.run_dir
        self.judge = Judge(reader.run_dir, thumbs, lambda: reader.going)
        self.records = RecordsWriter(reader.run_dir, lambda: reader.going)
        self.reader = reader
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self._generation = secrets.token_hex(4)
        self._newest = 0
        self._messages: deque[tuple[int, bytes]] = deque(maxlen=_KEPT)
        self._came = asyncio.Condition()
        self._index: tuple[int, bytes] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._asked = 0.0
        self._broken: dict[str, str] = {}
        self._loading = asyncio.Lock()

    async def ask(self, question: Callable[..., T], *arguments: Any) -> T:
        """Call ``question(*arguments)`` in the thread of this run. Gives and raises what it does."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, question, *arguments)

    async def close(self) -> None:
        """Stop, and write what is due."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.records.close()
        with suppress(TimeoutError):  # a disk may never answer
            await asyncio.wait_for(self.ask(self.reader.close), _LAST)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def index(self) -> bytes:
        """Everything, as JSON packed with deflate (``Content-Encoding: deflate``). Raises UsageError, DiskError."""
        self.watch()
        async with self._loading:
            if self._index is None or self._index[0] != self._newest:
                at = self._newest
                self._index = at, await self.ask(self._packed, f"{self._generation}.{at}")
            return self._index[1]

    async def prepare(self) -> None:
        """Read the run before a page asks. An error is not raised here, but when a page asks."""
        with suppress(BatcherError):
            await self.index()

    def _packed(self, at: str) -> bytes:
        return zlib.compress(msgspec.json.encode({"at": at, **self.reader.load(), **self.judge.message()}), 1)

    def since(self, at: str) -> list[tuple[str, bytes]]:
        """The messages after ``at``, each with its number; only a reset message if they are no longer kept."""
        generation, _, number = at.partition(".")
        after = int(number) if number.isdecimal() and len(number) < 16 else -1
        first = self._messages[0][0] if self._messages else self._newest + 1
        if generation != self._generation or not first - 1 <= after <= self._newest:
            return [(self.at, b'{"reset":true}')]
        return [(f"{self._generation}.{number}", text) for number, text in self._messages if number > after]

    @property
    def at(self) -> str:
        """The number of the newest message, unique across restarts of the server."""
        return f"{self._generation}.{self._newest}"

    async def follow(self, at: str) -> AsyncIterator[tuple[str, bytes] | None]:
        """The messages after ``at``, as they come; None from time to time if there is none."""
        while True:
            self.watch()
            for message in self.since(at):
                at = message[0]
                yield message
            try:
                async with asyncio.timeout(_PATIENCE), self._came:
                    await self._came.wait_for(lambda: self.at != at)  # noqa: B023  called before ``at`` changes
            except TimeoutError:
                yield None

    def watch(self) -> None:
        """Look for changes for the next seconds. To be called for every request of a page."""
        self._asked = time.monotonic()
        if all(task.done() for task in self._tasks):
            self._tasks = [asyncio.create_task(self._update_often()), asyncio.create_task(self._judge())]

    async def _update_often(self) -> None:
        while self._is_asked():
            await self.update()
            await asyncio.sleep(UPDATE_EVERY)

    async def update(self) -> None:
        """Send what changed since the last time."""
        if self._index is None:
            return
        try:
            changes, broken = await self.ask(self.reader.changes), {}
        except BatcherError as error:
            changes, broken = None, {"message": error.message, "hint": error.hint}
        if broken and broken != self._broken:
            changes = {"problem": broken}
        elif self._broken and not broken:
            changes = {"reset": True}
        self._broken = broken
        if changes is not None:
            self.judge.is_behind |= "items" in changes
            await self._say(changes)

    async def _judge(self) -> None:
        while self._is_asked():
            message = await self.judge.judge() if self._index is not None else None
            if message is not None:
                await self._say(message)
            await asyncio.sleep(UPDATE_EVERY)
            await self.judge.measure()

    def _is_asked(self) -> bool:
        return time.monotonic() - self._asked < _IDLE

    async def _say(self, message: dict[str, Any]) -> None:
        async with self._came:
            self._newest += 1
            self._messages.append((self._newest, msgspec.json.encode(message)))
            self._came.notify_all()
