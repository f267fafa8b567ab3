"""A run directory at rest: the same manifest as last time, and no job in it that a run would move.

Told from the state file alone. Whatever is not plainly at rest goes the long way, which knows how to say what is wrong,
so a doubt costs a second and nothing else.
"""

import time
from typing import Any

from batcher.core.job import State
from batcher.core.lifecycle import AT_REST
from batcher.core.settings import Settings
from batcher.core.tally import Tally
from batcher.manifest import Memory
from batcher.runner import records as tables
from batcher.runner import report
from batcher.runner.progress import Progress
from batcher.runner.run_dir import remembered_price
from batcher.runner.service import Options, name_of
from batcher.runner.stop import Reason
from batcher.store import StateFile, reading

MOVING = (State.SUBMITTING, State.RUNNING, State.READY)


def is_at_rest(state: StateFile, memory: Memory, options: Options, settings: Settings) -> bool:
    """Whether a run of the manifest that ``memory`` tells of, with these options, would move no job."""
    connection, limit = state.connection, options.overrides.limit
    at = reading.by_state(connection)
    failed, doubtful = at.get(State.FAILED, 0), at.get(State.IN_DOUBT, 0)
    return (
        reading.meta(connection, "fingerprint") == memory.fingerprint  # so the listed jobs are of this manifest
        and sum(at.values()) == sum(at.get(resting, 0) for resting in AT_REST) == memory.whole
        and (limit is None or limit >= memory.whole)
        and not (doubtful and settings.in_doubt == "resubmit")
        and not (settings.max_failures is not None and failed >= settings.max_failures)
        and not reading.any_is(connection, MOVING)  # one that left the manifest is collected all the same
        and reading.meta(connection, "service") == name_of(options)
        and reading.meta(connection, "stopped_by") != Reason.DISK.word  # then files may be lost
    )


def tell(
    state: StateFile, memory: Memory, options: Options, settings: Settings, progress: Progress, started: float
) -> tuple[dict[str, Any], str]:
    """The report and the summary, as a run that moved nothing gives them. Raises DiskError."""
    connection, run_dir = state.connection, state.path.parent
    price = remembered_price(connection)
    simulated = bool(reading.meta(connection, "simulated"))
    for warning in memory.warnings:
        progress.say(f"warning: {warning}")
    facts = report.Facts(
        run_dir=run_dir, total=memory.whole, limited=False, submits=0, submit_rate=0.0, rate_limited=0, warnings=(),
        warned=0, seconds=time.monotonic() - started, simulated=simulated,
    )  # fmt: skip
    built = report.build(connection, facts, None, settings.price if price is None else price)
    snapshot = Tally(reading.counts(connection, memory.whole), started).snapshot(time.monotonic(), built["cost_usd"])
    progress.show(snapshot)
    progress.close(snapshot)
    if not tables.are_fresh(state):
        tables.write(state, simulated=simulated, progress=progress)
    report.write(run_dir, built)
    return built, report.summary(connection, facts, built, None, report.WayOn(options.command))
