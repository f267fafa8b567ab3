"""A worker: fetches the files of jobs, and returns outcomes in groups. It does not depend on Ray.

It may be killed at any moment: its jobs then go to another worker.
"""

import asyncio
import os
import platform
import secrets
import shutil
import socket
import tempfile
import time
import traceback
from contextlib import suppress
from pathlib import Path

from batcher.core.errors import BatcherError, Defect, DiskError, FileError, UsageError
from batcher.core.job import Artifact
from batcher.core.version import __version__
from batcher.images.embed import at_arrival
from batcher.images.fetch import Downloader, fetch_all
from batcher.images.storage import bucket
from batcher.images.trust import Trust
from batcher.runner.engines.meeting import Meeting
from batcher.runner.engines.messages import MOST_IN_GROUP, Greeting, Order, Outcome, Setup, packed, unpacked
from batcher.runner.places import Places
from batcher.store.files.place import Place, Shelf

GATHER = 0.5  # seconds that a first outcome waits for others, to be sent with them


class Worker:
    """Each public method takes and returns a pickled message. All run on one event loop. setup: a pickled Setup."""

    def __init__(self, setup: bytes) -> None:
        self._setup: Setup = unpacked(setup)
        self._identity = secrets.token_hex(4)
        self._behind = 0.0  # seconds that this clock is behind the coordinator's
        self._places = Places(1)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._done: list[Outcome] = []
        self._news = asyncio.Event()
        self._downloader: Downloader | None = None
        self._scratch: str | None = None

    async def greet(self, payload: bytes) -> bytes:
        """Takes the nonce of a ``Meeting`` and answers that; returns a Greeting."""
        problem, no_room = "", False
        try:
            if self._downloader is None:
                self._downloader = await self._opened().__aenter__()
            meeting = Meeting(self._setup.run_dir, self._setup.bucket, unpacked(payload))
            await asyncio.to_thread(meeting.answer, self._identity)
        except BatcherError as error:
            problem, no_room = str(error), isinstance(error, DiskError)
        return packed(
            Greeting(
                identity=self._identity, host=socket.gethostname(), pid=os.getpid(), batcher=__version__,
                python=platform.python_version(), clock=time.time(), problem=problem, no_room=no_room,
            )
        )  # fmt: skip

    async def take(self, payload: bytes) -> bytes:
        """Takes (identity, coordinator's Unix seconds, ``--downloads``, orders); returns False for another identity."""
        orders: list[Order]
        identity, now, downloads, orders = unpacked(payload)
        if identity != self._identity:
            return packed(False)
        self._behind = now - time.time()
        self._places.size = downloads
        for order in orders:
            before = self._tasks.get(order.entry.id)
            if before is not None:
                before.cancel()
            task = asyncio.create_task(self._work(order, before))
            self._tasks[order.entry.id] = task
        return packed(True)

    async def answers(self, payload: bytes) -> bytes:
        """Takes (identity, seconds to wait at most); returns outcomes, or None for another identity."""
        identity, patience = unpacked(payload)
        if identity != self._identity:
            return packed(None)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._until(1)
        if self._done:
            with suppress(TimeoutError):
                async with asyncio.timeout(GATHER):
                    await self._until(MOST_IN_GROUP)
        group, self._done = self._done[:MOST_IN_GROUP], self._done[MOST_IN_GROUP:]
        return packed(group)

    async def close(self, _: bytes = b"") -> bytes:
        """Cancel all work, and remove temporary files."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._downloader is not None:
            await self._downloader.__aexit__(None, None, None)
            self._downloader = None
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
        return b""

    async def _until(self, count: int) -> None:
        """Wait for ``count`` outcomes, or for those of all jobs in progress if they are fewer."""
        while len(self._done) < count and (self._tasks or not self._done):
            self._news.clear()
            await self._news.wait()

    async def _work(self, order: Order, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait({before})  # both would use the same temporary name
        outcome = Outcome(order.entry.id, order.giving, await self._result(order))
        if self._tasks.get(order.entry.id) is asyncio.current_task():
            del self._tasks[order.entry.id]
        self._done.append(outcome)
        self._news.set()

    async def _result(self, order: Order) -> list[Artifact] | FileError | DiskError | Defect:
        assert self._downloader is not None
        try:
            return await fetch_all(
                self._downloader, order.entry, simulated=self._setup.simulated, turn=self._places, moment=order.moment
            )
        except (FileError, DiskError) as error:
            return error
        except Exception:  # noqa: BLE001  the coordinator raises it
            return Defect(f"in a worker:\n{traceback.format_exc()}")

    def _opened(self) -> Downloader:
        """Raises DiskError, UsageError."""
        setup = self._setup
        return Downloader(
            self._place(), trust=Trust(setup.trust), check=setup.check, wall=lambda: time.time() + self._behind,
            embed=at_arrival(setup.embed, setup.prompt_input),
        )  # fmt: skip

    def _place(self) -> Place:
        if self._setup.bucket is None:
            if not Path(self._setup.run_dir).is_dir():
                raise UsageError(f"there is no folder {self._setup.run_dir}")
            return Shelf(Path(self._setup.run_dir), writer=f"-{self._identity}")
        self._scratch = tempfile.mkdtemp(prefix="batcher-worker-")
        return bucket(Path(self._scratch), self._setup.bucket)
