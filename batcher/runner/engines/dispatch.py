"""The engine with workers: sends them orders in groups, receives their outcomes, and notices when they are lost.

A worker is lost if a call to it fails or is not answered, or if another process answers under its number. Then its
orders go to other workers, and it gets none until it was checked again (``meeting``). While there is no worker at all,
this process fetches the files itself, so that the run goes on.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from batcher.core.errors import Defect, DiskError, FileError, UsageError
from batcher.core.job import Artifact, Entry
from batcher.core.one_line import one_line
from batcher.core.units import show_count, show_duration
from batcher.runner.engines.engine import Engine, Turn
from batcher.runner.engines.meeting import greeting_of
from batcher.runner.engines.messages import (
    MOST_IN_GROUP,
    Crew,
    Greeting,
    Order,
    Outcome,
    Setup,
    WorkerLost,
    packed,
    unpacked,
)
from batcher.runner.engines.orders import Orders
from batcher.runner.events import Event, Noted, WorkerMoved

GATHER = 0.25  # seconds that a first order waits for others, to be sent with them
POLL = 5.0  # seconds that a worker without outcomes waits before it answers
SILENT = 30.0  # seconds without an answer until a worker is lost
FIRST_START = 60.0  # seconds until the first worker must have started
OTHER_STARTS = 10.0  # further seconds that the run waits for the others, which may also join later
ALONE = 30.0  # seconds without any worker until this process fetches files itself
MOST_BACK_OFF = 30.0  # seconds between two tries to reach a worker
LEAST_WINDOW = 2 * MOST_IN_GROUP  # orders that one worker may have: one group in progress, one on its way
SKEW = 60.0  # seconds between the clocks of two machines before a warning
HERE = -1  # stands for this process among the numbers of workers


@dataclass(slots=True)
class _Worker:
    """One worker. name: for messages. identity: of its process, empty while it is lost. saved: jobs that it fetched."""

    name: str
    identity: str = ""
    saved: int = 0


class Dispatcher:
    """An engine, and a context manager around its work.

    crew: the workers, started. local: fetches in this process while there is no worker. setup: of the workers. wall:
    Unix seconds. tell: gets the events.
    """

    def __init__(
        self, crew: Crew, local: Engine, setup: Setup, wall: Callable[[], float], tell: Callable[[Event], None]
    ) -> None:
        self._crew = crew
        self._local = local
        self._setup = setup
        self._wall = wall
        self._tell = tell
        self._now = asyncio.get_running_loop().time
        self._downloads = 1
        self._orders = Orders()
        self._futures: dict[int, asyncio.Future[list[Artifact]]] = {}
        self._workers = {number: _Worker(f"worker {number + 1}") for number in range(crew.size)}
        self._news = asyncio.Event()
        self._alone_since: float | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._met: set[int] = set()  # workers to close at the end
        self.losses = 0  # workers that may have left temporary files

    async def __aenter__(self) -> Self:
        """Wait for workers. Raises UsageError if none starts or one can't work here, DiskError if one has no room."""
        try:
            came = await self._first_to_come()
        except BaseException:
            await self._dismiss()
            raise
        hosts = sorted({hello.host for hello in came.values()})
        self._note(f"{show_count(len(came), 'worker')} on {', '.join(hosts)}")
        if missing := self._crew.size - len(came):
            self._note(f"{missing} of {self._crew.size} workers wait for a free CPU of the cluster and join later")
        self._start(self._send_orders())
        for number in self._workers:
            self._start(self._tend(number, came.get(number)))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._dismiss()

    async def fetch(self, entry: Entry, turn: Turn) -> list[Artifact]:
        async with turn:
            future: asyncio.Future[list[Artifact]] = asyncio.get_running_loop().create_future()
            self._futures[entry.id] = future
            self._orders.add(entry, self._wall())
            self._news.set()
            try:
                return await future
            finally:
                self._orders.drop(entry.id)
                del self._futures[entry.id]

    def resize(self, downloads: int) -> int:
        self._downloads = downloads
        return self._window * self._crew.size

    @property
    def workers(self) -> list[str]:
        return [
            f"{worker.name}: {show_count(worker.saved, 'job')}" if worker.identity else f"{worker.name}: not at work"
            for worker in self._workers.values()
        ]

    @property
    def _window(self) -> int:
        return max(LEAST_WINDOW, 4 * self._downloads)

    async def _first_to_come(self) -> dict[int, Greeting]:
        greeting = {number: asyncio.create_task(self._began(number)) for number in self._workers}
        try:
            await asyncio.wait(greeting.values(), timeout=FIRST_START, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait(greeting.values(), timeout=OTHER_STARTS)
            came = {number: task.result() for number, task in greeting.items() if task.done()}
        finally:
            for task in greeting.values():
                task.cancel()
            await asyncio.gather(*greeting.values(), return_exceptions=True)
        if not came:
            raise UsageError(
                f"none of {self._crew.size} workers began within {show_duration(FIRST_START)}",
                hint="Each takes one free CPU of the cluster: `ray status` shows them. Nothing was submitted.",
            )
        return came

    async def _dismiss(self) -> None:
        try:
            async with asyncio.timeout(POLL):
                calls = (self._crew.call(number, "close", b"") for number in self._met)
                await asyncio.gather(*calls, return_exceptions=True)
        except TimeoutError:
            self.losses += 1

    async def _send_orders(self) -> None:
        """Send waiting orders, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._orders.waiting and self._room():
                if self._orders.waiting < MOST_IN_GROUP:
                    await asyncio.sleep(GATHER)
                if not self._send_group():
                    break

    def _room(self) -> list[tuple[int, int]]:
        """(number of orders that it can take, worker); the most first, then those that have saved least."""
        at_work = [number for number, worker in self._workers.items() if worker.identity]
        if at_work:
            room = [(self._window - self._orders.held(number), number) for number in at_work]
        elif self._alone_since is not None and self._now() - self._alone_since >= ALONE:
            room = [(self._downloads - self._orders.held(HERE), HERE)]
        else:
            room = []
        return sorted(
            ((free, number) for free, number in room if free > 0),
            key=lambda one: (-one[0], self._workers[one[1]].saved if one[1] != HERE else 0),
        )

    def _send_group(self) -> bool:
        """Send one group to the worker with most room. Returns whether there was one."""
        room = self._room()
        for free, number in room:
            alone = sum(bool(worker.identity) for worker in self._workers.values()) <= 1
            orders = self._orders.give(number, min(free, MOST_IN_GROUP), self._now(), alone=alone)
            if orders and number == HERE:
                for order in orders:
                    self._start(self._fetch_here(order))
            elif orders:
                self._start(self._give(number, orders))
            if orders:
                return True
        return False

    async def _give(self, number: int, orders: Sequence[Order]) -> None:
        identity = self._workers[number].identity
        message = packed((identity, self._wall(), self._downloads, orders))
        try:
            async with asyncio.timeout(SILENT):
                if not unpacked(await self._crew.call(number, "take", message)):
                    raise WorkerLost("it was started again")
        except (WorkerLost, TimeoutError) as error:
            self._lost(number, identity, error)

    async def _fetch_here(self, order: Order) -> None:
        try:
            result: list[Artifact] | FileError | DiskError = await self._local.fetch(order.entry, nullcontext())
        except (FileError, DiskError) as error:
            result = error
        self._hear(HERE, [Outcome(order.entry.id, order.giving, result)])

    async def _tend(self, number: int, greeting: Greeting | None) -> None:
        """Greet a worker, receive its outcomes, and greet it again after it was lost; until cancelled."""
        failures, problem = 0, ""
        while True:
            identity = ""
            try:
                if greeting is None:
                    async with asyncio.timeout(FIRST_START):
                        greeting = await self._greet(number)
                identity, failures, problem = greeting.identity, 0, ""
                self._joined(number, greeting)
                while self._workers[number].identity == identity:
                    await self._listen(number, identity)
            except (WorkerLost, TimeoutError) as error:
                self._lost(number, identity, error)
                if isinstance(error, TimeoutError) and identity:
                    with suppress(WorkerLost, TimeoutError):
                        async with asyncio.timeout(SILENT):
                            await self._crew.replace(number)  # it hangs
            except (UsageError, DiskError) as error:
                if problem != (problem := error.message):
                    self._note(f"warning: {self._workers[number].name} is not used: {error.message}")
            greeting = None
            await asyncio.sleep(min(MOST_BACK_OFF, 0.5 * 2**failures))
            failures += 1

    async def _listen(self, number: int, identity: str) -> None:
        """Receive outcomes of a worker once. Raises WorkerLost, TimeoutError."""
        async with asyncio.timeout(POLL + SILENT):
            outcomes = unpacked(await self._crew.call(number, "answers", packed((identity, POLL))))
        if outcomes is None:
            raise WorkerLost("it was started again")
        self._hear(number, outcomes)
        if late := self._orders.overdue(number, self._now()):
            self._note(
                f"{self._workers[number].name} did not answer in time: {show_count(late, 'job')} given to another"
            )
            self._news.set()

    def _hear(self, number: int, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            future = self._futures.get(outcome.job)
            if not self._orders.heard(outcome) or future is None or future.done():
                continue
            if isinstance(outcome.result, list):
                future.set_result(outcome.result)
                if number != HERE:
                    self._workers[number].saved += 1
            else:
                future.set_exception(_named(outcome.result, "" if number == HERE else self._workers[number].name))
        self._news.set()

    async def _greet(self, number: int) -> Greeting:
        """Check a worker. Raises WorkerLost, UsageError, DiskError."""
        self._met.add(number)
        greeting, problem = await greeting_of(self._crew, number, self._setup)
        self._workers[number].name = f"worker {number + 1} ({one_line(greeting.host, 60)}, pid {greeting.pid})"
        if problem is not None:
            raise problem
        return greeting

    async def _began(self, number: int) -> Greeting:
        """The greeting of a worker that is still starting. Raises UsageError, DiskError."""
        while True:
            try:
                return await self._greet(number)
            except WorkerLost as error:
                if error.for_good:
                    raise UsageError(
                        f"{self._workers[number].name} can't begin: {error}",
                        hint="Every machine of the cluster needs the same batcher, with the same extras. Nothing was"
                        " submitted.",
                    ) from None
                await asyncio.sleep(1.0)

    def _joined(self, number: int, greeting: Greeting) -> None:
        worker = self._workers[number]
        worker.identity = greeting.identity
        self._alone_since = None
        self._tell(WorkerMoved(worker=worker.name, at_work=True, orders=0, at=self._wall()))
        skew = greeting.clock - self._wall()
        if abs(skew) > SKEW:
            ahead = "ahead of" if skew > 0 else "behind"
            self._note(
                f"warning: the clock of {worker.name} is {show_duration(abs(skew))} {ahead} the one here: times in"
                " sidecars are this machine's, but a bucket may refuse its requests"
            )
        self._news.set()

    def _lost(self, number: int, identity: str, error: Exception) -> None:
        worker = self._workers[number]
        if not identity or worker.identity != identity:
            return  # it was not greeted yet, or was lost before
        worker.identity = ""
        self.losses += 1
        orders = self._orders.lost(number)
        why = "it does not answer" if isinstance(error, TimeoutError) else one_line(str(error), 200)
        self._tell(WorkerMoved(worker=worker.name, at_work=False, orders=orders, at=self._wall()))
        self._note(f"{worker.name} is lost ({why}): {show_count(orders, 'job')} given to others, nothing is paid again")
        if not any(other.identity for other in self._workers.values()):
            self._alone_since = self._now()
            asyncio.get_running_loop().call_later(ALONE, self._left_alone, self._alone_since)
        self._news.set()

    def _left_alone(self, since: float) -> None:
        if self._alone_since == since:
            self._note("no worker is left: this process fetches the files itself until one is back")
            self._news.set()

    def _note(self, text: str) -> None:
        self._tell(Noted(text=text, at=self._wall()))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:  # a defect: it ends the run through the tasks of the jobs
            for future in self._futures.values():
                if not future.done():
                    future.set_exception(error)


def _named(error: FileError | DiskError | Defect, name: str) -> Exception:
    if isinstance(error, DiskError) and name:
        return DiskError(f"{name}: {error.message}", hint=error.hint)
    return error
