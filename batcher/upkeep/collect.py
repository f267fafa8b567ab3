"""Getting files again that were paid for: by the recorded link, else by a fresh result. Free, and it submits nothing.

The jobs come in as READY (or RUNNING, without links) and are on disk as such, so whatever is not got here is collected
by the next run. What the service no longer has is failed with the cause ``gone``: from there only ``batcher retry``
leads on, and says the price.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from batcher.client.api import Api
from batcher.client.embedded import JOURNAL
from batcher.core.errors import (
    BatcherError,
    CallError,
    Cause,
    FileError,
    FileUnavailable,
    LinkDead,
    NotFound,
    Rejected,
    UsageError,
)
from batcher.core.job import Answer, Artifact, Entry, State, Succeeded, Waiting
from batcher.core.retry import CANCELS, GiveUp, RetryPolicy, decide
from batcher.images import CheckDepth, Downloader, Dress, Trust, fetch_all
from batcher.images.storage import place_of
from batcher.runner.progress import listener
from batcher.runner.service import SIMULATOR, Options, open_service
from batcher.store import CommitQueue, StateFile, reading

AT_ONCE = 16
ABSENCES = RetryPolicy(attempts=2, wait_initial=0.5, wait_max=0.5)  # it finished long ago: this is no delay


class Gone(Exception):  # noqa: N818  an outcome, and it reads as one
    """The service says that it no longer has it; ``cause`` in its words."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(str(cause))
        self.cause = Cause(kind="gone", message=cause.message or cause.kind, http_status=cause.http_status)


class Later(Exception):  # noqa: N818
    """It can't be had now, and nobody says that it never can."""


@dataclass(slots=True)
class Collected:
    """saved: jobs whose files are back. gone, later: the others, with the reason."""

    saved: list[Entry] = field(default_factory=list)
    gone: list[tuple[Entry, Cause]] = field(default_factory=list)
    later: list[tuple[Entry, str]] = field(default_factory=list)


async def collect(
    run_dir: Path, state: StateFile, lost: Sequence[Entry], options: Options, check: CheckDepth
) -> Collected:
    """Fetches the files of READY jobs, and of RUNNING ones whose links are unknown.

    Raises DiskError and UsageError; what was got till then is recorded.
    """
    collected = Collected()
    options = _whereto(run_dir, state, options)
    dress = _dress(frozenset(reading.meta(state.connection, "embed", [])))
    async with CommitQueue(state) as queue:
        left = list(lost)
        if not options.simulate:
            trust, place = Trust(options.trust_hosts), place_of(run_dir)
            async with Downloader(place, trust=trust, check=check, threads=AT_ONCE, dress=dress) as downloader:
                left = await _Collector(queue, downloader, None, collected).by_link(left)
        if left:
            await _by_result(run_dir, queue, left, options, check, dress, collected)
    return collected


def _dress(wanted: frozenset[str]) -> Dress | None:
    """What the run did to a picture that arrived."""
    if not wanted:
        return None
    from batcher.images.embed import at_arrival  # noqa: PLC0415  start-up time

    return at_arrival(wanted)


def _whereto(run_dir: Path, state: StateFile, options: Options) -> Options:
    """The service that the run went to, unless the options name another address of it."""
    service = reading.meta(state.connection, "service")
    simulated = bool(reading.meta(state.connection, "simulated"))
    base_url = options.base_url or reading.meta(state.connection, "base_url")
    embedded = service == SIMULATOR or (service is None and simulated and not base_url)
    simulate = options.simulate or (embedded and (run_dir / JOURNAL).is_file() and not options.base_url)
    return replace(options, simulate=simulate, base_url=base_url)


async def _by_result(
    run_dir: Path, queue: CommitQueue, left: Sequence[Entry], options: Options, check: CheckDepth,
    dress: Dress | None, collected: Collected,
) -> None:  # fmt: skip
    simulated = bool(reading.meta(queue.state.connection, "simulated"))
    if simulated and not options.simulate and options.base_url is None:
        why = "its simulator is not known: give --base-url, or --simulate for the embedded one"
        collected.later += [(entry, why) for entry in left]
        return
    try:
        async with open_service(options, run_dir, listener("none")) as service:
            trust, place = Trust(service.trust), place_of(run_dir)
            async with Downloader(place, trust=trust, check=check, threads=AT_ONCE, dress=dress) as downloader:
                collector = _Collector(queue, downloader, service.api, collected)
                await collector.by_result(left)
    except UsageError:
        raise
    except BatcherError as error:
        if error.exit_code == 73:
            raise
        told = {entry.id for entry in collected.saved} | {entry.id for entry, _ in (*collected.gone, *collected.later)}
        collected.later += [(entry, error.message) for entry in left if entry.id not in told]


class _Collector:
    def __init__(self, queue: CommitQueue, downloader: Downloader, api: Api | None, collected: Collected) -> None:
        self.queue = queue
        self.downloader = downloader
        self.api = api
        self.collected = collected
        self.simulated = bool(reading.meta(queue.state.connection, "simulated"))

    async def by_link(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those that could not be had by the links on record."""
        left: list[Entry] = []

        async def one(entry: Entry) -> None:
            try:
                if not entry.urls:
                    raise FileUnavailable(Cause(kind="no_link", message="no link on record"))
                await self._save(entry, await fetch_all(self.downloader, entry, simulated=self.simulated))
            except FileError:
                left.append(entry)

        await _each(entries, one)
        return left

    async def by_result(self, entries: Sequence[Entry]) -> None:
        async def one(entry: Entry) -> None:
            try:
                entry = await self._fresh(entry)  # from here on it is that one
                await self._save(entry, await self._insist(entry))
            except Gone as end:
                failed = await self.queue.durable(self.queue.state.fail_here, entry, end.cause)
                self.collected.gone.append((failed, end.cause))
            except Later as end:
                self.collected.later.append((entry, str(end)))

        await _each(entries, one)

    async def _fresh(self, entry: Entry) -> Entry:
        """READY with new links. Raises Gone, Later, AccountError or DiskError."""
        answer = await self._ask(entry)
        if isinstance(answer, Waiting):
            raise Later(f"the service says {answer.status!r} of it")
        if not isinstance(answer, Succeeded):
            cause = getattr(answer, "cause", Cause(kind="cancelled", message="the service says it was cancelled"))
            raise Gone(cause)
        state = self.queue.state
        running = await self.queue.durable(state.expire, entry) if entry.state is State.READY else entry
        cost = entry.cost_usd if answer.cost_usd is None else answer.cost_usd
        finished = entry.finished_at or answer.finished_at or time.time()
        return await self.queue.durable(state.complete, running, answer.urls, cost, finished)

    async def _ask(self, entry: Entry) -> Answer:
        assert self.api is not None
        if entry.request_id is None:
            raise Gone(Cause(kind="no_request_id", message="no request id on record"))
        failures = 0
        while True:
            try:
                answer = await self.api.look(entry.request_id)
            except Rejected as problem:
                self._check_service()
                raise Gone(problem.cause) from None
            except CallError as problem:
                failures += 1
                policy = ABSENCES if isinstance(problem, NotFound) else CANCELS
                again = decide(policy, failures, 0.5, asked=problem.retry_after)
                if isinstance(again, GiveUp):
                    self._check_service()
                    raise (Gone(problem.cause) if isinstance(problem, NotFound) else Later(str(problem))) from None
                await asyncio.sleep(again.delay)
                continue
            self._check_service()
            return answer

    def _check_service(self) -> None:
        """That it does not know a request only means something if it is the service that took it."""
        assert self.api is not None
        if self.api.simulated is not None and self.api.simulated is not self.simulated:
            ours, theirs = ("simulated", "not") if self.simulated else ("real", "simulated")
            raise Later(f"these images are {ours}, and the service at {self.api.base_url} is {theirs}")

    async def _insist(self, entry: Entry) -> list[Artifact]:
        failures = 0
        while True:
            try:
                return await fetch_all(self.downloader, entry, simulated=self.simulated)
            except LinkDead as problem:
                raise Gone(problem.cause) from None
            except FileUnavailable as problem:
                failures += 1
                again = decide(CANCELS, failures, 0.5, asked=problem.retry_after)
                if isinstance(again, GiveUp):
                    raise Later(str(problem)) from None
                await asyncio.sleep(again.delay)
            except FileError as problem:
                raise Later(str(problem)) from None

    async def _save(self, entry: Entry, artifacts: list[Artifact]) -> None:
        saved, _ = await self.queue.durable(self.queue.state.save, entry, artifacts)
        assert saved.state is State.DONE
        self.collected.saved.append(saved)


async def _each(entries: Sequence[Entry], one: Callable[[Entry], Awaitable[None]]) -> None:
    """All of them, some at once. The first exception ends it and is raised as it is."""
    places = asyncio.Semaphore(AT_ONCE)

    async def placed(entry: Entry) -> None:
        async with places:
            await one(entry)

    try:
        async with asyncio.TaskGroup() as group:
            for entry in entries:
                group.create_task(placed(entry))
    except* BatcherError as failures:
        raise failures.exceptions[0] from None
