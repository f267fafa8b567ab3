"""The step that brings the files home: READY to DONE. Free, and never a reason to pay again."""

import asyncio

from batcher.core.errors import Cause, FileRefused, FileUnavailable, LinkDead
from batcher.core.job import Artifact, Entry
from batcher.core.retry import FILE_HOST, FILES, GiveUp, decide
from batcher.images import fetch_all
from batcher.runner.run_context import RunContext, draw
from batcher.runner.stop import pause
from batcher.runner.submit import Slot

LINK_TRIES = 3  # before a fresh result is asked for: the link may name a host that is no more
MANY_MISSES = 20
DAMAGED = frozenset({"bad_picture", "not_a_picture", "short_body", "encoding"})  # what came was not the file


class TooLate(Exception):  # noqa: N818  no error: the run ends
    """The run ends, and this download had not begun."""


class Turn:
    """A download's place among ``--downloads``, to be entered by any number of them. Raises TooLate."""

    def __init__(self, tools: RunContext) -> None:
        self._tools = tools
        self._places = asyncio.Semaphore(tools.settings.downloads)

    async def __aenter__(self) -> None:
        await self._places.acquire()
        if self._tools.stop.leave.is_set():
            self._places.release()
            raise TooLate
        self._tools.tally.downloading += 1

    async def __aexit__(self, *_: object) -> None:
        self._tools.tally.downloading -= 1
        self._places.release()


class Fetcher:
    def __init__(self, tools: RunContext) -> None:
        self.tools = tools
        self._turn = Turn(tools)
        self.trying = 0  # stories that are at this step
        self._misses = 0  # tries since a file was last had
        self._relinked: set[tuple[int, str]] = set()  # (job, why) that had their one fresh link

    async def fetch(self, entry: Entry, slot: Slot) -> Entry:
        """READY to DONE, RUNNING (to ask for a fresh link) or FAILED; READY still when the run stops first.

        Raises DiskError.
        """
        slot.release()
        self.trying += 1
        try:
            return await self._fetch(entry)
        finally:
            self.trying -= 1

    async def _fetch(self, entry: Entry) -> Entry:
        leave = self.tools.stop.leave
        simulated = bool(self.tools.api.simulated)
        failures = 0
        damaged: str | None = None
        while not leave.is_set():
            try:
                files = await fetch_all(self.tools.downloader, entry, simulated=simulated, turn=self._turn)
                return await self._save(entry, files)
            except TooLate:
                break
            except LinkDead as problem:
                return await self._relink(entry, "dead", problem.cause)
            except FileRefused as problem:
                return await self._fail(entry, problem.cause)
            except FileUnavailable as problem:
                failures += 1
                self._miss(problem.cause)
                if failures == LINK_TRIES and (entry.id, "silent") not in self._relinked:
                    return await self._relink(entry, "silent", problem.cause)
                policy = FILES if problem.cause.kind in DAMAGED else FILE_HOST
                again = decide(policy, failures, draw(entry, failures), asked=problem.retry_after)
                twice = problem.digest is not None and problem.digest == damaged  # the same bytes: it is so at the host
                damaged = problem.digest
                if isinstance(again, GiveUp) or twice:
                    return await self._fail(entry, problem.cause)
            await pause(again.delay, leave)
        return entry

    @property
    def in_vain(self) -> bool:
        """Many files in a row could not be had, and some are still tried: there is no use in paying for more now."""
        return self._misses >= MANY_MISSES and self.trying > 0

    def _miss(self, cause: Cause) -> None:
        self._misses += 1
        if self._misses >= MANY_MISSES:
            self.tools.tally.file_note = f"no file could be had {self._misses} times in a row ({cause}); trying on"

    def forget(self, entry: Entry) -> None:
        """The story is over."""
        self._relinked -= {(entry.id, "dead"), (entry.id, "silent")}

    async def _save(self, entry: Entry, artifacts: list[Artifact]) -> Entry:
        tools = self.tools
        save = tools.state.save_at_once if tools.queue.withdraw(entry.id) else tools.state.save
        saved, warnings = await tools.queue.durable(save, entry, artifacts)
        tools.came_to(entry, None)
        self._misses = 0
        tools.tally.file_note = ""
        for warning in warnings:
            tools.tally.warn(warning)
        return saved

    async def _relink(self, entry: Entry, why: str, cause: Cause) -> Entry:
        """Back to ask for a fresh result, once for each reason."""
        if (entry.id, why) in self._relinked:
            return await self._fail(entry, Cause(kind="gone", message=cause.message, http_status=cause.http_status))
        self._relinked.add((entry.id, why))
        self.tools.queue.hasten(entry.id)
        return await self.tools.queue.durable(self.tools.state.expire, entry)

    async def _fail(self, entry: Entry, cause: Cause) -> Entry:
        self.tools.came_to(entry, cause)
        self.tools.queue.hasten(entry.id)
        return await self.tools.queue.durable(self.tools.state.fail_here, entry, cause)
