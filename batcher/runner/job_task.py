"""The whole of a run: collect what is paid for, feed the manifest in, tell each job's story to its end."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing

from batcher.core.errors import AccountError, DiskError, ManifestError
from batcher.core.job import Entry, State
from batcher.core.lifecycle import AT_REST, PAID_FOR
from batcher.manifest import Manifest
from batcher.runner.feed import Feed, Numbers, taken
from batcher.runner.fetch import Fetcher
from batcher.runner.run_context import RunContext
from batcher.runner.stop import Reason
from batcher.runner.submit import Slot, Submitter
from batcher.runner.wait import Waiter
from batcher.store.reading import entries

BACKLOG = 2000  # finished jobs that may wait for their download before submits pause: links don't live for ever


class Runner:
    """Takes a checked manifest through the service. reader: a read-only connection to the state file."""

    def __init__(self, manifest: Manifest, tools: RunContext, reader: sqlite3.Connection) -> None:
        self.manifest = manifest
        self.tools = tools
        self.reader = reader
        self.waiter = Waiter(tools)
        self.fetcher = Fetcher(tools)
        self.submitter = Submitter(tools, manifest.model, in_vain=lambda: self.fetcher.in_vain)
        self._slots = asyncio.Semaphore(tools.settings.in_flight)
        self._told = Numbers()  # jobs whose story is told, or was: none has two tellers
        self._room = asyncio.Semaphore(tools.settings.in_flight + BACKLOG)

    async def run(self) -> None:
        """Until every job of the manifest is at rest or ``stop`` says otherwise; why is in ``stop``.

        Raises nothing but defects (in an ExceptionGroup) and cancellation, after which every write in line is done.
        """
        self._enough_failures()
        async with asyncio.TaskGroup() as stories:
            try:
                await self._collect(stories)
                await self._feed(stories)
            except ManifestError as error:
                self.tools.stop.request(Reason.MANIFEST, error.message, error.hint)
            except DiskError as error:
                self.tools.stop.request(Reason.DISK, error.message, error.hint)

    async def _collect(self, stories: asyncio.TaskGroup) -> None:
        """What is already paid for comes first: each such job is asked about before anything new is submitted."""
        walk = entries(self.reader, PAID_FOR)
        while group := await taken(walk):
            for entry in group:
                self._told.add(entry.id)
                self.waiter.will_ask(entry)
                await self._begin(stories, entry)
        await self.waiter.all_asked()

    async def _feed(self, stories: asyncio.TaskGroup) -> None:
        tools, tally, stop = self.tools, self.tools.tally, self.tools.stop.nothing_new
        feed = Feed(self.manifest, tools.queue, self.reader)
        tally.looking_since = tools.now()
        async with aclosing(feed.entries()) as groups:
            while not stop.is_set() and (group := await anext(groups, None)):
                for entry in group:
                    # A collected job that failed over there is pending again, and its story goes on: it has its teller.
                    if entry.state is State.PENDING and not stop.is_set() and self._told.add(entry.id):
                        await self._begin(stories, entry)
                        tally.looking_since = tools.now()
                tally.passed = feed.at
        tally.looking_since = None

    async def _begin(self, stories: asyncio.TaskGroup, entry: Entry) -> None:
        await self._room.acquire()
        slot = Slot(self._slots)
        if entry.state is not State.READY:
            await slot.hold()
        stories.create_task(self._tell(entry, slot), name=f"job {entry.job.key}")

    async def _tell(self, entry: Entry, slot: Slot) -> None:
        """One job's story. Each step moves it on; a step that leaves it where it is leaves it to the next run."""
        tools = self.tools
        steps: Mapping[State, Callable[[Entry, Slot], Awaitable[Entry]]] = {
            State.PENDING: self.submitter.submit,
            State.RUNNING: self.waiter.wait,
            State.READY: self.fetcher.fetch,
        }
        tools.tally.in_flight += entry.state is State.RUNNING
        try:
            while entry.state not in AT_REST:
                after = await steps[entry.state](entry, slot)
                tools.tally.in_flight += (after.state is State.RUNNING) - (entry.state is State.RUNNING)
                if after.state is entry.state:
                    return
                entry = after
            self._rest(entry)
        except AccountError as error:
            tools.stop.request(Reason.ACCOUNT, error.message, error.hint)
        except DiskError as error:
            tools.stop.request(Reason.DISK, error.message, error.hint)
        finally:
            slot.release()
            self._room.release()
            self.waiter.asked(entry)
            self.fetcher.forget(entry)

    def _rest(self, entry: Entry) -> None:
        self.tools.tally.at_rest(entry.state, self.tools.now())
        self._enough_failures()

    def _enough_failures(self) -> None:
        failed, most = self.tools.tally.at[State.FAILED], self.tools.settings.max_failures
        if most is not None and failed >= most:
            hint = "`batcher retry` reopens them; a larger --max-failures goes on without them."
            self.tools.stop.request(Reason.MAX_FAILURES, f"--max-failures {most} is reached", hint)
