"""Asking the service to give up what is still queued there. What runs can't be had back."""

import asyncio
import sqlite3
from collections import Counter

from batcher.client.api import Api
from batcher.core.errors import CallError, NotFound, Rejected
from batcher.core.job import CancelOutcome, Entry, State
from batcher.core.retry import CANCELS, GiveUp, decide
from batcher.runner.run_context import draw
from batcher.store import CommitQueue
from batcher.store.reading import entries

AT_ONCE = 8  # cancels in the air


async def cancel_all(
    api: Api, queue: CommitQueue, reader: sqlite3.Connection, tally: Counter[CancelOutcome], *, record: bool = True
) -> Counter[CancelOutcome]:
    """Cancels every request that is at the service, and counts what became of them in ``tally``.

    CANCELLED is recorded, unless ``record`` is False: beside a going run, which sees for itself. TOO_LATE (running or
    finished: it is charged, and the next run collects it) and UNKNOWN keep their ids. Raises AccountError, DiskError;
    what was cancelled till then is recorded.
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
        for entry in entries(reader, [State.RUNNING]):
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
            again = decide(CANCELS, failures, draw(entry, failures), asked=problem.retry_after)
            if isinstance(again, GiveUp):
                return CancelOutcome.UNKNOWN
            await asyncio.sleep(again.delay)
