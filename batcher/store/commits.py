"""Group commit: many coroutines share one transaction and one fsync.

``durable`` puts a call in line. While one group is forced to the disk, and for at least ``GATHER`` seconds after it
began, the next group gathers. So with a disk that takes 10 ms for an fsync a job waits at most 20 ms, and throughput
does not depend on the disk. Calls are written in the order in which they were put in line.

The statements run on the event loop, a few microseconds each, because a hand-over to a thread and back costs more.
Only the commit, which waits for the disk, runs in a thread.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, Self, TypeVar

from batcher.store.machine import machine_problem
from batcher.store.statefile import StateFile
from batcher.store.transactions import GLANCE, PATIENCE, Outcome, busy

AT_ONCE = 64  # waiting coroutines resumed in one round of the event loop: each may run for a millisecond
MOST = 256  # calls in a group
GATHER = 0.02  # seconds between the beginnings of two groups, at least: each wakes a thread and forces the disk

P = ParamSpec("P")
T = TypeVar("T")


class CommitQueue:
    """The queue in front of ``state``, an async context manager. Leaving it commits what is still in line."""

    def __init__(self, state: StateFile) -> None:
        self.state = state
        self.commits = 0  # groups so far
        self._waiting: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._began = float("-inf")  # the last group
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="state")

    def __repr__(self) -> str:
        return f"<CommitQueue in line: {len(self._waiting)}, commits: {self.commits}, {self.state!r}>"

    async def __aenter__(self) -> Self:
        """Raises DiskError if the system can't start the thread: now, not when there are answers to record."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, int)
        except RuntimeError as error:
            raise machine_problem(error) or error from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.flush()
        self._thread.shutdown()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in line or being written, so that the state file may be used directly."""
        return self._writer is None

    async def flush(self) -> None:
        """Wait until every call so far is on the disk or has failed."""
        while self._writer is not None:
            await asyncio.wait([self._writer])

    def durable(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Run the call in the next group. The future gets its value once the group is on the disk.

        It gets the exception of the call if that fails, and DiskError if the disk can't take the group. Cancelling the
        future does not take the call back.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((partial(call, *args, **kwargs), future))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="state file writer")
        return future

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                await asyncio.sleep(self._began + GATHER - loop.time())
                self._began = loop.time()
                group, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                self.commits += 1
                try:
                    outcomes = await self._commit([call for call, _ in group])
                except Exception as error:  # noqa: BLE001  whatever it is, every future must get an outcome
                    self.state.roll_back()
                    outcomes = [(False, machine_problem(error) or error)] * len(group)
                for start in range(0, len(group), AT_ONCE):
                    if start:
                        await asyncio.sleep(0)
                    for (_, future), outcome in zip(group[start : start + AT_ONCE], outcomes[start:], strict=False):
                        _resolve(future, *outcome)
        finally:
            self._writer = None

    async def _commit(self, calls: list[Callable[[], Any]]) -> list[Outcome]:
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE
        while not self.state.begin():  # another process writes
            if loop.time() > until:
                raise busy(self.state.path)
            await asyncio.sleep(GLANCE)
        outcomes = self.state.apply(calls)
        if isinstance(outcomes, Exception):
            return self.state.commit_each(calls)
        await loop.run_in_executor(self._thread, self.state.seal)
        return outcomes


def _resolve(future: asyncio.Future[Any], fine: bool, value: Any) -> None:
    if future.done():
        return
    if fine:
        future.set_result(value)
    else:
        future.set_exception(value)
