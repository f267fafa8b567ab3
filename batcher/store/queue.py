"""Group commit: many coroutines, one transaction, one fsync, off the event loop.

A call is put in line and awaited. While one group is being written, and for ``GATHER`` seconds after it began, the next
one gathers; so a disk that takes 10 ms for an fsync costs each job at most two of them in waiting and the run nothing
in throughput, and a disk that takes none is not kept busy with groups of one. Once ``durable`` returns, the move is on
the disk. Order is kept: what was put in line first is written first or together.

A move that costs nothing to lose (that a job has finished, which asking again would tell again) need not be waited for
and may be overtaken by the next of the same job: ``later`` holds it back for a while, and ``withdraw`` takes it back.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, Self, TypeVar

from batcher.core.errors import DiskError
from batcher.store.statefile import StateFile

AT_ONCE = 64  # waiters that go on in one round of the event loop: each may do a millisecond's work
GATHER = 0.01  # seconds between the beginnings of two groups, at least: each wakes a thread and forces the disk
LATER = 5.0  # seconds that a move is held back, at most

P = ParamSpec("P")
T = TypeVar("T")


class CommitQueue:
    """An async context manager over the one writer of a state file; leaving it writes what is still in line."""

    def __init__(self, state: StateFile) -> None:
        self.state = state
        self.commits = 0
        self._waiting: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._began = float("-inf")  # when the last group did
        self._held_back: dict[int, tuple[float, Callable[[], Any]]] = {}  # by job: due when, and what; oldest first
        self._timer: asyncio.TimerHandle | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="state")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.flush()
        if self._timer is not None:
            self._timer.cancel()
        self._thread.shutdown()

    async def flush(self) -> None:
        """Returns once everything that was asked for is on the disk, or was refused by it."""
        for number in list(self._held_back):
            self.hasten(number)
        while self._writer is not None:
            await asyncio.wait([self._writer])

    async def durable(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs the call in the next group and returns its value once that is on the disk.

        Raises what the call raised, or DiskError when the disk could not take the group.
        A cancelled waiter does not take its call back: it is still written.
        """
        return await self._in_line(partial(call, *args, **kwargs))

    def later(self, number: int, call: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> None:
        """A move of this job that may be lost to a crash: put in line within LATER seconds, unless taken back.

        Any other move of the job must ``withdraw`` or ``hasten`` it first.
        """
        loop = asyncio.get_running_loop()
        self._held_back[number] = (loop.time() + LATER, partial(call, *args, **kwargs))
        if self._timer is None:
            self._timer = loop.call_later(LATER, self._put_due_in_line)

    def withdraw(self, number: int) -> bool:
        """Takes back what is held back for this job. False when there is nothing, or no longer."""
        return self._held_back.pop(number, None) is not None

    def hasten(self, number: int) -> None:
        """Puts what is held back for this job in line now, before whatever comes next."""
        held = self._held_back.pop(number, None)
        if held is not None:
            self._in_line(held[1]).add_done_callback(_heard)

    def _put_due_in_line(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._held_back:
            number, (due, _) = next(iter(self._held_back.items()))
            if due > loop.time():
                self._timer = loop.call_at(due, self._put_due_in_line)
                return
            self.hasten(number)

    def _in_line(self, call: Callable[[], T]) -> asyncio.Future[T]:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((call, future))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="state file writer")
        return future

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                await asyncio.sleep(self._began + GATHER - loop.time())
                self._began = loop.time()
                group, self._waiting = self._waiting, []
                calls = [call for call, _ in group]
                self.commits += 1
                try:
                    outcomes = await loop.run_in_executor(self._thread, self.state.commit, calls)
                except DiskError as error:
                    outcomes = [(False, error)] * len(group)
                for start in range(0, len(group), AT_ONCE):
                    if start:
                        await asyncio.sleep(0)
                    for (_, future), outcome in zip(group[start : start + AT_ONCE], outcomes[start:], strict=False):
                        _tell(future, *outcome)
        finally:
            self._writer = None


def _heard(future: asyncio.Future[Any]) -> None:
    """Nobody waits for it: a disk that refused it refuses the next move of the job as well, and that one is heard."""
    if not future.cancelled():
        future.exception()


def _tell(future: asyncio.Future[Any], fine: bool, value: Any) -> None:
    if future.done():
        return
    if fine:
        future.set_result(value)
    else:
        future.set_exception(value)
