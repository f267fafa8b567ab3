"""Drains the job table: runs one task per open job until each is final, those already paid for first.

The table is the queue. A cursor walks over the pending rows in the order of the manifest. Jobs that have a task are
known by id. Once a second the table is checked for changes by another process (``retry``, ``cancel``); after one the
cursor starts again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from batcher.core import limits
from batcher.core.errors import AccountError, Defect, Overtaken
from batcher.core.job import Entry, State
from batcher.core.lifecycle import PAID_FOR, TERMINAL
from batcher.core.units import show_count
from batcher.runner.events import JobMoved
from batcher.runner.fetch import Fetcher
from batcher.runner.intake.media_inputs import MediaInputs
from batcher.runner.places import Places
from batcher.runner.recovery.departures import Departures
from batcher.runner.run_context import RunContext
from batcher.runner.stop import Reason, grace, of_account
from batcher.runner.submit import Submitter
from batcher.runner.wait import Waiter
from batcher.store import read_facts, reading
from batcher.store.machine import machine_problem

CHUNK = 256  # rows read at once
BACKLOG = 2000  # finished jobs waiting for their download before submits pause, because links expire
START = -1  # before the first position
WATCH = 1.0  # seconds between two checks for changes by another process


class Drain:
    """The tasks of one run. context: its parts. waiter, fetcher: the steps that poll and download."""

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self._table, self._flow, self._stop = context.table, context.flow, context.stop
        self.waiter = Waiter(context)
        self.fetcher = Fetcher(context)
        self._steps: dict[State, Callable[[Entry], Awaitable[Entry]]] = {State.READY: self.fetcher.fetch}
        self._room = Places(context.settings.in_flight + BACKLOG)
        self._at_work: dict[int, asyncio.Task[None] | None] = {}  # task by job id; None: waits for a slot
        self._wake = asyncio.Event()  # set when a job ends, the run must stop, or another process changed the table
        self._changed = False
        self._cancels = read_facts(context.table.reader).cancels
        self._defects: list[Exception] = []

    def __repr__(self) -> str:
        return f"<Drain, tasks of {show_count(len(self._at_work), 'job')}>"

    async def collect(self, entries: Iterable[Entry], *, ask: bool) -> None:
        """Fetch the files of these jobs and submit nothing. Jobs whose files are not available yet keep their state.

        ask: whether the service may be asked for new links.
        """
        if ask:
            self._steps[State.RUNNING] = self.waiter.wait
        async with asyncio.TaskGroup() as tasks:
            for entry in entries:
                await self._begin(tasks, entry)

    async def run(
        self, journal: Departures, model: str, limit: int | None = None, media: MediaInputs | None = None
    ) -> None:
        """Run until every job of the manifest is final or ``stop`` is set, which holds the reason.

        journal: records departing submits. model: read by free probes while the service is failing. limit: submit only
        positions below it, None for all. media: makes links to input files, None if there are none.

        Raises only defects (in an ExceptionGroup) and cancellation; by then all queued writes are done.
        """
        submitter = Submitter(self.context, journal, model, media, in_vain=lambda: self.fetcher.in_vain)
        self._steps |= {State.RUNNING: self.waiter.wait, State.PENDING: submitter.submit}
        self._stop.asked = self._wake.set
        self._enough_failures()
        watch = asyncio.create_task(self._watch(), name="watch")
        ending = asyncio.create_task(self._end_soon(), name="grace")
        try:
            async with asyncio.TaskGroup() as tasks:
                try:
                    await self._feed(tasks, limit)
                except Exception as error:  # noqa: BLE001
                    self._end(error)
        finally:
            watch.cancel()
            ending.cancel()
        if self._defects:
            raise ExceptionGroup("defects", self._defects)

    async def _feed(self, tasks: asyncio.TaskGroup, limit: int | None) -> None:
        stop = self._stop.nothing_new
        await self._collect(tasks)
        cursor, again = START, False  # again: a second pass over all rows, with no task left
        while not stop.is_set():
            if self._changed:
                await self._begin_again(tasks, limit)
                cursor = START
            rows = reading.pending(self._table.reader, cursor, CHUNK, limit)
            for position, entry in rows:
                cursor = position
                if entry.id not in self._at_work and not stop.is_set() and not self._changed:
                    await self._begin(tasks, entry)
            if rows:
                again = False
            elif self._at_work:
                again = False
                await self._wake.wait()
                self._wake.clear()
            elif again:
                return
            else:
                again, cursor = True, START
                self._changed = await self._changed_elsewhere()

    async def _collect(self, tasks: asyncio.TaskGroup) -> None:
        """Poll every job that is already paid for, before anything new is submitted."""
        for entry in reading.entries(self._table.reader, PAID_FOR):
            if entry.id not in self._at_work:
                self.waiter.will_ask(entry)
                await self._begin(tasks, entry)
        await self.waiter.all_asked()

    async def _begin_again(self, tasks: asyncio.TaskGroup, limit: int | None) -> None:
        self._changed = False
        tally = self.context.tally
        tally.recount(reading.counts(self._table.reader, tally.total, limit))
        cancels = read_facts(self._table.reader).cancels
        if cancels != self._cancels:
            self._cancels = cancels
            self.waiter.poll_all_now()
        await self._collect(tasks)

    async def _end_soon(self) -> None:
        """End within seconds of an interruption, however slow the service is; unanswered submits become in doubt."""
        await self._stop.leave.wait()
        if self._stop.reason is Reason.INTERRUPTED:
            await asyncio.sleep(grace(self.context.settings))
            for task in filter(None, self._at_work.values()):
                task.cancel()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH)
            self.context.health.stop_if_stuck()
            try:
                self._changed = await self._changed_elsewhere() or self._changed
            except Exception as error:  # noqa: BLE001
                self._end(error)
            if self._changed:
                self._wake.set()

    async def _changed_elsewhere(self) -> bool:
        state, queue = self._table.state, self._table.queue
        return state.changed_elsewhere() if queue.is_idle else await queue.durable(state.changed_elsewhere)

    async def _begin(self, tasks: asyncio.TaskGroup, entry: Entry) -> None:
        self._at_work[entry.id] = None
        waits = self._flow.waits
        waits.feed = limits.DOWNLOADS
        await self._room.acquire()
        held = entry.state is not State.READY
        if held:
            waits.feed = limits.IN_FLIGHT
            await self._flow.slots.acquire()
        waits.feed = ""
        self._at_work[entry.id] = tasks.create_task(self._work(entry, held=held), name=f"job {entry.job.key}")

    async def _work(self, entry: Entry, *, held: bool) -> None:
        """Run the steps of one job. A step that does not change its state leaves the job to the next run.

        held: whether it holds a slot at the service, from before the submit until its result is known.
        """
        context, slots = self.context, self._flow.slots
        context.tally.in_flight += entry.state is State.RUNNING
        try:
            while entry.state not in TERMINAL:
                if held and entry.state is State.READY:
                    held = False
                    slots.release()
                elif not held and entry.state is not State.READY:
                    await slots.acquire()
                    held = True
                after = await self._step(entry)
                context.tally.in_flight += (after.state is State.RUNNING) - (entry.state is State.RUNNING)
                self._left_service(entry)
                if after.state is entry.state:
                    return
                files = self._table.files.get(entry.id, ())
                at = context.clock.wall()
                context.surroundings.tell(JobMoved(entry=after, before=entry.state, artifacts=files, at=at))
                entry = after
            self._rest(entry)
        except AccountError as error:
            self._stop.request(of_account(error), error.message, error.hint)
        except Exception as error:  # noqa: BLE001  a defect is raised at the end of the run
            self._end(error)
        finally:
            if held:
                slots.release()
            self._room.release()
            self.waiter.asked(entry)
            self.fetcher.forget(entry)
            del self._at_work[entry.id]
            if not self._at_work:
                self._wake.set()

    def _left_service(self, entry: Entry) -> None:
        """A job left the state of ``entry``: its time at the service counts if this process submitted it."""
        clock = self.context.clock
        if entry.state is State.RUNNING and entry.submitted_at is not None and entry.submitted_at >= clock.started:
            self.context.tally.took(max(0.0, clock.wall() - entry.submitted_at))

    def _end(self, error: Exception) -> None:
        """End the run because of this job; calls and downloads of other jobs still finish."""
        if problem := machine_problem(error):
            self._table.failed(problem)
        else:
            self._defects.append(error)
            self._stop.request(Reason.DEFECT, f"a defect in batcher: {type(error).__name__}: {error}")

    async def _step(self, entry: Entry) -> Entry:
        step = self._steps.get(entry.state)
        try:
            return entry if step is None else await step(entry)
        except Overtaken as overtaken:  # `batcher cancel --pending`, say
            now = reading.by_id(self._table.reader, entry.id)
            if (now.state, now.attempts) == (entry.state, entry.attempts):
                raise Defect(str(overtaken)) from overtaken
            return now

    def _rest(self, entry: Entry) -> None:
        self.context.tally.reached_terminal(entry.state, self.context.clock.now())
        self._enough_failures()

    def _enough_failures(self) -> None:
        failed, most = self.context.tally.at[State.FAILED], self.context.settings.max_failures
        if most is not None and failed >= most:
            hint = "A larger --max-failures goes on without them."
            self._stop.request(Reason.MAX_FAILURES, f"--max-failures {most} is reached", hint)
