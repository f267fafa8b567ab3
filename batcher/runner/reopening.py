"""The only way back for a job at rest, because it may cost money again. Works beside a going run."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from batcher.core.job import Entry, State
from batcher.store import STATE, StateFile, connect_to_read, reading

_EXTENSION = re.compile(r"\.[a-z0-9]{1,5}\Z")
_NAMED = 20  # jobs that are named
STATES = ("failed", "cancelled", "in_doubt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopen:
    """Which jobs. states: of STATES. causes: kinds of failures. jobs: beginnings of keys, ids of prompts, or places of
    pictures, with or without ``images/`` and extension. None of these means all.

    resubmit: submit anew also what could be collected free, which pays again. dry_run: change nothing.
    """

    states: Sequence[str] = ("failed",)
    causes: Sequence[str] = ()
    jobs: Sequence[str] = ()
    resubmit: bool = False
    dry_run: bool = False

    def means(self, entry: Entry) -> bool:
        """Whether a job is among ``jobs``."""
        names = {entry.job.prompt_id, entry.path, f"images/{entry.path}"}
        return not self.jobs or any(
            entry.job.key.startswith(one) or one in names or _EXTENSION.sub("", one) in names for one in self.jobs
        )


@dataclass(slots=True)
class _Found:
    paid: int = 0
    images: int = 0
    free: int = 0
    left: Counter[str] = field(default_factory=Counter)
    first: list[str] = field(default_factory=list)


def reopen(run_dir: Path, which: Reopen) -> dict[str, Any]:
    """Moves the jobs, in one transaction, and says what that may cost, as JSON data. Raises UsageError, DiskError."""
    connect_to_read(run_dir).close()  # a wrong path is answered before anything is made there
    state = StateFile(run_dir / STATE)
    try:
        return _reopen(state, str(run_dir), which)
    finally:
        state.close()


def _reopen(state: StateFile, run: str, which: Reopen) -> dict[str, Any]:
    by_state = reading.by_state(state.connection)
    wanted = [State(name) for name in which.states]
    counted, moves, kinds = _Found(), [], set()
    for entry in reading.entries(state.connection, wanted, listed_only=True):
        kind = entry.cause.kind if entry.cause else ""
        kinds.add(kind)
        if (which.causes and kind not in which.causes) or not which.means(entry):
            counted.left[kind or str(entry.state)] += 1
        elif entry.state is State.FAILED and not which.resubmit and reading.was_taken_up(state.connection, entry):
            counted.free += 1
            moves.append(partial(state.recollect, entry))
        else:
            counted.paid += 1
            counted.images += entry.job.images
            moves.append(partial(state.reopen, entry))
            if len(counted.first) < _NAMED:
                counted.first.append(entry.path)
    if moves and not which.dry_run:
        state.must_commit(moves)
    facts = state.facts
    price = facts.price_usd
    return {
        "run": run,
        "states": [str(name) for name in wanted],
        "reopened": counted.paid,
        "reopened_first": counted.first,
        "collected_again": counted.free,
        "left": counted.left.total(),
        "left_by_cause": dict(counted.left),
        "causes_without_a_job": [cause for cause in dict.fromkeys(which.causes) if cause not in kinds],
        "may_cost_usd": None if price is None else round(counted.images * price, 6),
        "in_doubt": State.IN_DOUBT in wanted,
        "others": {
            name: by_state[State(name)] for name in STATES if State(name) in by_state and State(name) not in wanted
        },
        "dry_run": which.dry_run,
        "resume": facts.command,
    }
