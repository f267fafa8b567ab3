"""What happens in a run while pages look at it: numbered messages, the last few hundred kept.

A page begins with everything (``index``) and the number of the newest message in it, and then asks for what came
behind: over one open answer (server-sent events) or by asking again. While nobody asks, nothing is looked at.
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

LOOK_EVERY = 0.25  # seconds
_KEPT = 400  # messages
_LAST = 5.0  # seconds that the end of the page waits for a question
_PATIENCE = 15.0  # seconds without a message, then a comment says that the connection lives
_IDLE = 10.0  # seconds after the last question


class Live:
    """A run. ``reader`` is only to be used through ``ask``."""

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
        """Calls it in the thread of this run. Raises what it raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, question, *arguments)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.records.close()
        with suppress(TimeoutError):  # a disk that never answers
            await asyncio.wait_for(self.ask(self.reader.close), _LAST)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def index(self) -> bytes:
        """Everything, as JSON packed with deflate (``Content-Encoding: deflate``). Raises UsageError, DiskError."""
        self._watch()
        async with self._loading:
            if self._index is None or self._index[0] != self._newest:
                at = self._newest
                self._index = at, await self.ask(self._packed, f"{self._generation}.{at}")
            return self._index[1]

    async def prepare(self) -> None:
        """Reads it before anybody asks. What goes wrong is said to whoever does."""
        with suppress(BatcherError):
            await self.index()

    def _packed(self, at: str) -> bytes:
        return zlib.compress(msgspec.json.encode({"at": at, **self.reader.load(), **self.judge.message()}), 1)

    def since(self, at: str) -> list[tuple[str, bytes]]:
        """Messages behind ``at``, each with its own number; a lone reset where they are not kept any more."""
        generation, _, number = at.partition(".")
        after = int(number) if number.isdecimal() and len(number) < 16 else -1
        first = self._messages[0][0] if self._messages else self._newest + 1
        if generation != self._generation or not first - 1 <= after <= self._newest:
            return [(self.at, b'{"reset":true}')]
        return [(f"{self._generation}.{number}", text) for number, text in self._messages if number > after]

    @property
    def at(self) -> str:
        return f"{self._generation}.{self._newest}"

    async def follow(self, at: str) -> AsyncIterator[tuple[str, bytes] | None]:
        """Messages as they come; None where there was none for a while."""
        while True:
            self._watch()
            for message in self.since(at):
                at = message[0]
                yield message
            try:
                async with asyncio.timeout(_PATIENCE / 3), self._came:
                    await self._came.wait_for(lambda: self.at != at)  # noqa: B023  asked at once
            except TimeoutError:
                yield None

    def watch(self) -> None:
        """Somebody asks: look what happens, for a while."""
        self._watch()

    def _watch(self) -> None:
        self._asked = time.monotonic()
        if all(task.done() for task in self._tasks):
            self._tasks = [asyncio.create_task(self._look()), asyncio.create_task(self._judge())]

    async def _look(self) -> None:
        while self._is_asked():
            await self.look()
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Says what changed since the last time."""
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
            await asyncio.sleep(LOOK_EVERY)
            await self.judge.measure()

    def _is_asked(self) -> bool:
        return time.monotonic() - self._asked < _IDLE

    async def _say(self, message: dict[str, Any]) -> None:
        async with self._came:
            self._newest += 1
            self._messages.append((self._newest, msgspec.json.encode(message)))
            self._came.notify_all()
