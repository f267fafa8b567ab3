"""Cancelling over the service: what is queued can still be had back, what is running can't. Works beside a run."""

import time
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from batcher.core.errors import Overtaken
from batcher.core.job import CancelOutcome, State
from batcher.runner.cancel import cancel_all
from batcher.runner.progress import listener
from batcher.runner.service import Options, as_recorded, open_service
from batcher.store import STATE, CommitQueue, StateFile, connect_to_read, is_going, read_facts, reading


async def cancel_run(run_dir: Path, options: Options, *, pending: bool) -> dict[str, Any]:
    """Cancels every queued request of a run directory. Raises BatcherError; what was cancelled till then is recorded.

    The service is the one the run went to, unless the options name another address of it. Beside a going run that run
    records what became of the requests, as it sees it.
    """
    with closing(connect_to_read(run_dir)) as reader:
        options = as_recorded(read_facts(reader), options)
        at_service = reading.any_is(reader, [State.RUNNING])
        going = is_going(reader, run_dir)
    tally: Counter[CancelOutcome] = Counter()
    state = StateFile(run_dir / STATE)
    try:
        closed = _close_pending(state) if pending else 0
        async with CommitQueue(state) as queue:
            if at_service:
                async with open_service(options, run_dir, listener("none")) as service:
                    with closing(connect_to_read(run_dir)) as reader:
                        await cancel_all(service.api, queue, reader, tally, record=not going)
    finally:
        state.close()
    return {
        "run": str(run_dir),
        "going": going,
        "cancelled": tally[CancelOutcome.CANCELLED],
        "too_late": tally[CancelOutcome.TOO_LATE],
        "unknown": tally[CancelOutcome.UNKNOWN],
        "closed": closed,
    }


def _close_pending(state: StateFile) -> int:
    """In one transaction; a run that has claimed a job meanwhile keeps it."""
    waiting = list(reading.entries(state.connection, [State.PENDING]))
    now = time.time()
    outcomes = state.commit([partial(state.cancel, entry, now) for entry in waiting])
    for fine, value in outcomes:
        if not fine and not isinstance(value, Overtaken):
            raise value
    return sum(fine for fine, _ in outcomes)
