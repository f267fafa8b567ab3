"""Fetches files that are already paid for: by the recorded link, else by a new result. Free; it submits nothing.

The jobs are recorded as READY, or RUNNING if no link is known, so the next run fetches whatever is missing here. A job
that the service no longer has fails with the cause ``gone``; only ``batcher retry`` reopens it, and says the price.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial

from batcher.client.api import Api
from batcher.client.embedded import JOURNAL
from batcher.client.token import base_url
from batcher.core.errors import AccountError, BatcherError, CallError, Cause, NotFound, Refused, Rejected
from batcher.core.job import Entry, State
from batcher.core.settings import Settings
from batcher.images.check import CheckDepth
from batcher.runner.progress import listener
from batcher.runner.service import Options, Service, as_recorded, open_service
from batcher.runner.work import fetch_again
from batcher.store import StateFile, reading


@dataclass(slots=True)
class Collected:
    """saved: jobs whose files are back. gone, later: the others, with the reason."""

    saved: list[Entry] = field(default_factory=list)
    gone: list[tuple[Entry, Cause]] = field(default_factory=list)
    later: list[tuple[Entry, str]] = field(default_factory=list)


async def collect(state: StateFile, lost: Sequence[Entry], options: Options, check: CheckDepth) -> Collected:
    """Fetch the files of READY jobs, and of RUNNING ones without links. The run directory must be locked.

    Raises DiskError and UsageError; files fetched before are recorded.
    """
    if not lost:
        return Collected()
    run_dir, facts = state.path.parent, state.facts
    options = as_recorded(facts, options)
    if options.simulate and not (run_dir / JOURNAL).is_file():
        why = f"the simulator's {JOURNAL} is not here; --base-url names another simulator that has these images"
        return Collected(later=[(entry, why) for entry in lost])
    simulated = bool(facts.simulated)
    settings = Settings(check=check, embed=frozenset(facts.embed))
    async with AsyncExitStack() as opened:
        try:
            service = await opened.enter_async_context(open_service(options, run_dir, listener("none")))
            problem = await _problem_with(service, lost[0].job.model, simulated=simulated)
        except AccountError as error:  # the links need no token
            service, problem = (
                Service(Api(base_url(options.base_url), ""), tuple(options.trust_hosts), ""),
                error.message,
            )
        stop = await fetch_again(state, service, lost, settings, simulated=simulated, ask=problem is None)
    return _sort(state, lost, problem or stop.message)


async def _problem_with(service: Service, model: str, *, simulated: bool) -> str | None:
    """Why this service can't be asked. Only the service that got a request can say that it is gone."""
    try:
        await service.api.model(model)
    except (NotFound, Rejected, Refused):
        pass  # also an answer
    except (BatcherError, CallError) as error:
        return str(error)
    if bool(service.api.simulated) is simulated:
        return None
    ours, theirs = ("simulated", "not") if simulated else ("real", "simulated")
    return f"these images are {ours}, and the service at {service.api.base_url} is {theirs}"


def _sort(state: StateFile, lost: Sequence[Entry], why: str) -> Collected:
    """Sort the jobs by outcome. A job that failed for another reason than ``gone`` is open again.

    why: why the service could not be asked or the work ended early; empty otherwise.
    """
    collected = Collected()
    for before in lost:
        entry = reading.by_id(state.connection, before.id)
        if entry.state is State.DONE:
            collected.saved.append(entry)
        elif entry.cause is None:
            collected.later.append((entry, why or "it is not ready yet"))
        elif entry.cause.kind == "gone":
            collected.gone.append((entry, entry.cause))
        else:
            state.must_commit([partial(state.recollect, entry)])
            collected.later.append((entry, f"{entry.cause}; {why}" if why else str(entry.cause)))
    return collected
