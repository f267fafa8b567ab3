"""Cancels requests that are still queued at the service; running ones can't be cancelled. Works beside a run."""

import asyncio
import sqlite3
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from batcher.client.api import Api
from batcher.core.errors import CallError, NotFound, Overtaken, Rejected
from batcher.core.job import CancelOutcome, Entry, State
from batcher.core.retry import CANCELS, decide, draw
from batcher.runner.progress import listener
from batcher.runner.service import Options, as_recorded, open_service
from batcher.store import STATE, CommitQueue, StateFile, connect_to_read, is_going, read_facts, reading

AT_ONCE = 8  # cancel calls at once


async def cancel_all(
    api: Api, queue: CommitQueue, reader: sqlite3.Connection, tally: Counter[CancelOutcome], *, record: bool = True
) -> Counter[CancelOutcome]:
    """Cancel every request at the service and count the outcomes in ``tally``.

    CANCELLED is recorded, unless ``record`` is False (a run in progress notices it itself). TOO_LATE (running or
    finished: it is charged, and the next run fetches its result) and UNKNOWN keep their request ids. Raises
    AccountError, DiskError; earlier cancellations are recorded.
    """
    places = asyncio.Semaphore(AT_ONCE)
    problems: list[Exception] = []

    async def one(entry: Entry) -> None:
        try:
            outcome = await _cancel(api, entry)
            if record and outcome is CancelOutcome.CANCELLED:
                await queue.durable(queue.state.cancel, entry, api.wall())
            tally[outcome] += 1
        except Exception as problem:  # noqa: BLE001  raised below, once the others are through
            problems.append(problem)
        finally:
            places.release()

    async with asyncio.TaskGroup() as group:
        for entry in reading.entries(reader, [State.RUNNING]):
            await places.acquire()
            if problems:
                break
            group.create_task(one(entry))
    if problems:
        raise problems[0]
    return tally


async def _cancel(api: Api, entry: Entry) -> CancelOutcome:
    failures = 0
    while True:
        try:
            return await api.cancel(entry.request_id or "")
        except (NotFound, Rejected):
            return CancelOutcome.UNKNOWN
        except CallError as problem:
            failures += 1
            wait = decide(CANCELS, failures, draw(entry, failures), asked=problem.retry_after)
            if wait is None:
                return CancelOutcome.UNKNOWN
            await asyncio.sleep(wait)


async def cancel_run(run_dir: Path, options: Options, *, pending: bool) -> dict[str, Any]:
    """Cancel every queued request of a run directory. Raises BatcherError; earlier cancellations are recorded.

    It uses the service of the run, unless the options name another address of it. A run in progress is told,
    and records the outcomes itself.
    """
    with closing(connect_to_read(run_dir)) as reader:
        options = as_recorded(read_facts(reader), options)
        at_service = reading.any_is(reader, [State.RUNNING])
        going = is_going(reader, run_dir)
    tally: Counter[CancelOutcome] = Counter()
    with closing(StateFile(run_dir / STATE)) as state:
        closed = close_pending(state) if pending else 0
        async with CommitQueue(state) as queue:
            if at_service:
                async with open_service(options, run_dir, listener("none")) as service:
                    with closing(connect_to_read(run_dir)) as reader:
                        await cancel_all(service.api, queue, reader, tally, record=not going)
                if going:
                    await queue.durable(state.change_facts, lambda facts: replace(facts, cancels=facts.cancels + 1))
    return {
        "run": str(run_dir),
        "going": going,
        "cancelled": tally[CancelOutcome.CANCELLED],
        "too_late": tally[CancelOutcome.TOO_LATE],
        "unknown": tally[CancelOutcome.UNKNOWN],
        "closed": closed,
    }


def close_pending(state: StateFile) -> int:
    """Cancel pending jobs in one transaction. A job that a run has claimed meanwhile is left alone."""
    waiting = list(reading.entries(state.connection, [State.PENDING]))
    now = time.time()
    outcomes = state.commit([partial(state.cancel, entry, now) for entry in waiting])
    for fine, value in outcomes:
        if not fine and not isinstance(value, Overtaken):
            raise value
    return sum(fine for fine, _ in outcomes)
