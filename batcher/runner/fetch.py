"""The download step: READY to DONE. Free, and never a reason to pay again."""

from batcher.core.errors import Cause, FileRefused, FileUnavailable, LinkDead
from batcher.core.job import Artifact, Entry
from batcher.core.retry import FILE_HOST, FILES, decide, draw
from batcher.runner.run_context import RunContext
from batcher.runner.stop import pause

LINK_TRIES = 3  # before a new result is requested: the host of the link may be gone
MANY_MISSES = 20
DAMAGED = frozenset({"bad_picture", "not_a_picture", "short_body", "encoding"})  # the body was not the file


class TooLate(Exception):
    """The run ended before this download began."""


class Turn:
    """Waits for a slot of ``--downloads``, and gives it back. Raises TooLate. context: of the run, whose slots these
    are.
    """

    def __init__(self, context: RunContext) -> None:
        self._downloads, self._leave, self._tally = context.flow.downloads, context.stop.leave, context.tally

    async def __aenter__(self) -> None:
        await self._downloads.acquire()
        if self._leave.is_set():
            self._downloads.release()
            raise TooLate
        self._tally.downloading += 1

    async def __aexit__(self, *_: object) -> None:
        self._tally.downloading -= 1
        self._downloads.release()


class Fetcher:
    """The downloads of one run. context: its parts. trying: jobs in this step now."""

    def __init__(self, context: RunContext) -> None:
        self._engine, self._table, self._health = context.engine, context.table, context.health
        self._leave, self._tally = context.stop.leave, context.tally
        self._turn = Turn(context)
        self.trying = 0  # jobs in this step
        self._misses = 0  # failed tries since the last success
        self._relinked: set[tuple[int, str]] = set()  # (job, reason) that already got their one new link

    async def fetch(self, entry: Entry) -> Entry:
        """READY to DONE, RUNNING (to ask for a new link) or FAILED; stays READY if the run stops first.

        Raises DiskError.
        """
        failures = 0
        damaged: str | None = None
        self.trying += 1
        try:
            while not self._leave.is_set():
                try:
                    return await self._save(entry, await self._engine.fetch(entry, self._turn))
                except FileUnavailable as problem:
                    failures += 1
                    self._miss(problem.cause)
                    if failures == LINK_TRIES and (entry.id, "silent") not in self._relinked:
                        return await self._relink(entry, "silent", problem.cause)
                    policy = FILE_HOST if self._health.patient and problem.cause.kind not in DAMAGED else FILES
                    wait = decide(policy, failures, draw(entry, failures), asked=problem.retry_after)
                    twice = problem.digest is not None and problem.digest == damaged  # the host has it so
                    damaged = problem.digest
                    if wait is None or twice:
                        return await self._fail(entry, problem.cause)
                await pause(wait, self._leave)
        except TooLate:
            pass
        except LinkDead as problem:
            return await self._relink(entry, "dead", problem.cause)
        except FileRefused as problem:
            return await self._fail(entry, problem.cause)
        finally:
            self.trying -= 1
        return entry

    @property
    def in_vain(self) -> bool:
        """Whether many downloads in a row failed and some are still being tried: more submits would be pointless."""
        return self._misses >= MANY_MISSES and self.trying > 0

    def _miss(self, cause: Cause) -> None:
        self._misses += 1
        self._health.stuck(cause)
        if self._misses >= MANY_MISSES:
            self._tally.file_note = (
                f"no file could be downloaded {self._misses} times in a row ({cause}); still retrying"
            )

    def forget(self, entry: Entry) -> None:
        """Drop the state of a job that has no task any more."""
        self._relinked -= {(entry.id, "dead"), (entry.id, "silent")}
        self._table.files.pop(entry.id, None)

    async def _save(self, entry: Entry, artifacts: list[Artifact]) -> Entry:
        table, tally = self._table, self._tally
        saved, warnings = await table.queue.durable(table.state.save, entry, artifacts)
        table.files[entry.id] = artifacts
        self._health.ended(entry, None)
        self._health.fetched()
        self._misses = 0
        tally.file_note = ""
        for warning in warnings:
            tally.warn(warning)
        return saved

    async def _relink(self, entry: Entry, why: str, cause: Cause) -> Entry:
        """Back to RUNNING, to ask for a new result, once for each reason."""
        if (entry.id, why) in self._relinked:
            return await self._fail(entry, cause.as_gone())
        self._relinked.add((entry.id, why))
        return await self._table.queue.durable(self._table.state.expire, entry)

    async def _fail(self, entry: Entry, cause: Cause) -> Entry:
        self._health.fetched()
        self._health.ended(entry, cause)
        return await self._table.queue.durable(self._table.state.fail_here, entry, cause)
