"""Group commit: many coroutines, one transaction, one fsync, off the event loop.

A call is put in line and awaited. While one group is being forced to the disk, and for ``GATHER`` seconds after it
began, the next one gathers; so a disk that takes 10 ms for an fsync costs each job at most two of them in waiting and
the run nothing in throughput. Once ``durable`` returns, the move is on the disk. Order is kept: what was put in line
first is written first or together.

The statements themselves run on the event loop: a few microseconds each, where a hand-over to a thread and back costs
more. Only the commit, which forces the disk, is a thread's.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, Self, TypeVar

from batcher.store.machine import machine_problem
from batcher.store.statefile import StateFile
from batcher.store.transactions import GLANCE, PATIENCE, Outcome, busy

AT_ONCE = 64  # waiters that go on in one round of the event loop: each may do a millisecond's work
MOST = 256  # calls of one group
GATHER = 0.02  # seconds between the beginnings of two groups, at least: each wakes a thread and forces the disk

P = ParamSpec("P")
T = TypeVar("T")


class CommitQueue:
    """An async context manager over the writer of a state file; leaving it writes what is still in line."""

    def __init__(self, state: StateFile) -> None:
        self.state = state
        self.commits = 0
        self._waiting: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._began = float("-inf")  # when the last group did
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="state")

    async def __aenter__(self) -> Self:
        """Raises DiskError when the system has no thread for it: better now than with answers on their way."""
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
        """Returns once everything that was asked for is on the disk, or was refused by it."""
        while self._writer is not None:
            await asyncio.wait([self._writer])

    def durable(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
        """Runs the call in the next group; its value is there once that is on the disk.

        The future has what the call raised, or DiskError when the disk could not take the group.
        A cancelled waiter does not take its call back: it is still written.
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
                except Exception as error:  # noqa: BLE001  nobody may be left waiting, whatever it was
                    self.state.roll_back()
                    outcomes = [(False, machine_problem(error) or error)] * len(group)
                for start in range(0, len(group), AT_ONCE):
                    if start:
                        await asyncio.sleep(0)
                    for (_, future), outcome in zip(group[start : start + AT_ONCE], outcomes[start:], strict=False):
                        _tell(future, *outcome)
        finally:
            self._writer = None

    async def _commit(self, calls: list[Callable[[], Any]]) -> list[Outcome]:
        until = asyncio.get_running_loop().time() + PATIENCE
        while not self.state.begin():  # another process writes
            if asyncio.get_running_loop().time() > until:
                raise busy(self.state.path)
            await asyncio.sleep(GLANCE)
        outcomes = self.state.apply(calls)
        if outcomes is None:
            return self.state.commit(calls)
        await asyncio.get_running_loop().run_in_executor(self._thread, self.state.seal)
        return outcomes


def _tell(future: asyncio.Future[Any], fine: bool, value: Any) -> None:
    if future.done():
        return
    if fine:
        future.set_result(value)
    else:
        future.set_exception(value)
