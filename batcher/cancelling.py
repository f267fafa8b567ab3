"""Cancelling over the service: what is queued can still be had back, what is running can't."""

import asyncio
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from batcher.api import Api
from batcher.errors import NotFound, NotSent, Refused, Rejected, Unclear
from batcher.job import CancelOutcome, Entry, State
from batcher.progress import listener
from batcher.retry import CANCELS, GiveUp, decide
from batcher.runner.tools import draw
from batcher.session import SIMULATOR, Options, hold, open_service
from batcher.store import STATE, CommitQueue, StateFile, connect_to_read, reading

AT_ONCE = 8  # cancels in the air


async def cancel_run(run_dir: Path, options: Options, *, pending: bool) -> dict[str, Any]:
    """Cancels every queued request of a run directory. Raises BatcherError; what was cancelled till then is recorded.

    The service is the one the run went to, unless the options name another address of it.
    """
    with_run = connect_to_read(run_dir)
    embedded = reading.meta(with_run, "service") == SIMULATOR
    known_url = reading.meta(with_run, "base_url")
    at_service = reading.by_state(with_run).get(State.RUNNING, 0)
    with_run.close()
    options = replace(options, simulate=embedded, base_url=options.base_url or known_url)
    tally: Counter[CancelOutcome] = Counter()
    closed = 0
    with hold(run_dir):
        state = StateFile(run_dir / STATE)
        try:
            async with CommitQueue(state) as queue:
                if at_service:
                    async with open_service(options, run_dir, listener("none")) as service:
                        tally = await _cancel_all(service.api, queue, run_dir)
                if pending:
                    closed = await _close_pending(queue, run_dir)
        finally:
            state.close()
    return {
        "run": str(run_dir),
        "cancelled": tally[CancelOutcome.CANCELLED],
        "too_late": tally[CancelOutcome.TOO_LATE],
        "unknown": tally[CancelOutcome.UNKNOWN],
        "closed": closed,
    }


async def _cancel_all(api: Api, queue: CommitQueue, run_dir: Path) -> Counter[CancelOutcome]:
    tally: Counter[CancelOutcome] = Counter()
    places = asyncio.Semaphore(AT_ONCE)
    reader = connect_to_read(run_dir)

    async def one(entry: Entry) -> None:
        try:
            outcome = await _cancel(api, entry)
            if outcome is CancelOutcome.CANCELLED:
                await queue.durable(queue.state.cancel, entry, time.time())
            tally[outcome] += 1
        finally:
            places.release()

    try:
        async with asyncio.TaskGroup() as group:
            for entry in reading.entries(reader, [State.RUNNING]):
                await places.acquire()
                group.create_task(one(entry))
    except* Exception as failures:  # noqa: BLE001  the first says it all, and it is raised
        raise failures.exceptions[0] from None
    finally:
        reader.close()
    return tally


async def _cancel(api: Api, entry: Entry) -> CancelOutcome:
    failures = 0
    while True:
        try:
            return await api.cancel(entry.request_id or "")
        except (NotFound, Rejected):
            return CancelOutcome.UNKNOWN
        except (NotSent, Unclear, Refused) as problem:
            failures += 1
            again = decide(CANCELS, failures, draw(entry, failures), asked=problem.retry_after)
            if isinstance(again, GiveUp):
                return CancelOutcome.UNKNOWN
            await asyncio.sleep(again.delay)


async def _close_pending(queue: CommitQueue, run_dir: Path) -> int:
    reader = connect_to_read(run_dir)
    try:
        waiting = list(reading.entries(reader, [State.PENDING]))
    finally:
        reader.close()
    await asyncio.gather(*(queue.durable(queue.state.cancel, entry, time.time()) for entry in waiting))
    return len(waiting)
