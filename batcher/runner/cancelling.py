"""Cancelling over the service: what is queued can still be had back, what is running can't."""

import asyncio
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from batcher.core.job import CancelOutcome, State
from batcher.runner import cancel_all
from batcher.runner.progress import listener
from batcher.runner.records import STALE
from batcher.runner.run_dir import hold
from batcher.runner.service import SIMULATOR, Options, open_service
from batcher.store import STATE, CommitQueue, StateFile, connect_to_read, reading


async def cancel_run(run_dir: Path, options: Options, *, pending: bool) -> dict[str, Any]:
    """Cancels every queued request of a run directory. Raises BatcherError; what was cancelled till then is recorded.

    The service is the one the run went to, unless the options name another address of it.
    """
    with closing(connect_to_read(run_dir)) as reader:
        service = reading.meta(reader, "service")  # unknown where the state file was made anew from sidecars
        embedded = service == SIMULATOR or (service is None and bool(reading.meta(reader, "simulated")))
        known_url = reading.meta(reader, "base_url")
        at_service = next(reading.entries(reader, [State.RUNNING]), None) is not None
        never_listed = max(0, reading.counts(reader).total - sum(reading.by_state(reader).values()))
    options = replace(options, simulate=embedded, base_url=None if embedded else options.base_url or known_url)
    tally: Counter[CancelOutcome] = Counter()
    closed = 0
    with hold(run_dir):
        state = StateFile(run_dir / STATE)
        try:
            async with CommitQueue(state) as queue:
                await queue.durable(state.set_meta, **STALE)
                if at_service:
                    async with open_service(options, run_dir, listener("none")) as service:
                        with closing(connect_to_read(run_dir)) as reader:
                            await cancel_all(service.api, queue, reader, tally)
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
        "not_closed": never_listed if pending else 0,
    }


async def _close_pending(queue: CommitQueue, run_dir: Path) -> int:
    with closing(connect_to_read(run_dir)) as reader:
        waiting = list(reading.entries(reader, [State.PENDING]))
    await asyncio.gather(*(queue.durable(queue.state.cancel, entry, time.time()) for entry in waiting))
    return len(waiting)
