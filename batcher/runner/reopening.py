"""Reopens final jobs, for ``batcher retry``. Nothing else does, because it may cost again. Works beside a run."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from batcher.core.job import MISSING, RETRIED, Entry, State
from batcher.core.units import show_count, show_usd
from batcher.images.storage import reader_of
from batcher.runner.lost_and_found import move_to_lost_and_found
from batcher.runner.run_dir import images_folder
from batcher.runner.sidecars import describes
from batcher.store import STATE, StateFile, auditing, connect_to_read, is_going, reading
from batcher.store.files.safe_reader import Outside, sidecar_of

_EXTENSION = re.compile(r"\.[a-z0-9]{1,5}\Z")
_NAMED = 20  # jobs to name in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopen:
    """Which jobs. states: of RETRIED, and MISSING. causes: kinds of failures. jobs: beginnings of keys, ids of prompts,
    or paths of images, with or without ``images/`` and extension. None means all.

    resubmit: also submit jobs again whose result could be fetched free; this costs again. dry_run: change nothing.
    """

    states: Sequence[str] = ("failed",)
    causes: Sequence[str] = ()
    jobs: Sequence[str] = ()
    resubmit: bool = False
    dry_run: bool = False

    def takes(self, entry: Entry) -> bool:
        """Whether a job is among ``jobs``."""
        names = {entry.job.prompt_id, entry.path, f"images/{entry.path}"}
        return not self.jobs or any(
            entry.job.key.startswith(one) or one in names or _EXTENSION.sub("", one) in names for one in self.jobs
        )


@dataclass(slots=True)
class _Chosen:
    """The chosen jobs. paid, free: paths of those whose next result costs again, or nothing. images: number of images
    to pay for. left: number of other jobs by cause. kinds: of all causes. moves: calls for one transaction. damaged:
    files to move to lost+found.
    """

    paid: list[str] = field(default_factory=list)
    free: list[str] = field(default_factory=list)
    images: int = 0
    left: Counter[str] = field(default_factory=Counter)
    kinds: set[str] = field(default_factory=set)
    moves: list[Callable[[], object]] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)


def reopen(run_dir: Path, which: Reopen) -> dict[str, Any]:
    """Reopen the jobs in one transaction. Returns what that may cost, as JSON data. Raises UsageError, DiskError."""
    connect_to_read(run_dir).close()  # refuses a wrong path before anything is created there
    with closing(StateFile(run_dir / STATE)) as state:
        by_state = reading.by_state(state.connection)
        wanted = [State(name) for name in which.states if name != MISSING]
        chosen = _Chosen()
        _choose_ended(state, wanted, which, chosen)
        if MISSING in which.states and not which.causes:
            images_folder(run_dir)
            _choose_missing(state, which, chosen)
        if chosen.moves and not which.dry_run:
            if chosen.damaged:  # first, as a run in progress writes new files once the jobs are reopened
                _to_lost_and_found(run_dir, chosen.damaged)
            state.must_commit(chosen.moves)
        facts, going = state.facts, is_going(state.connection, run_dir)
    others = {name: by_state[State(name)] for name in RETRIED if State(name) in by_state and State(name) not in wanted}
    price = facts.price_usd
    return {
        "run": str(run_dir),
        "states": list(which.states),
        "reopened": len(chosen.paid),
        "reopened_first": chosen.paid[:_NAMED],
        "collected_again": len(chosen.free),
        "collected_first": chosen.free[:_NAMED],
        "left": chosen.left.total(),
        "left_by_cause": dict(chosen.left),
        "causes_without_a_job": [cause for cause in dict.fromkeys(which.causes) if cause not in chosen.kinds],
        "may_cost_usd": None if price is None else round(chosen.images * price, 6),
        "in_doubt": State.IN_DOUBT in wanted,
        "others": others,
        "dry_run": which.dry_run,
        "going": going,
        "resume": facts.command,
    }


def words(facts: Mapping[str, Any]) -> list[str]:
    """Sentences on what was reopened, or would be with ``dry_run``. facts: as ``reopen`` gives them."""
    again, free, cost, dry = facts["reopened"], facts["collected_again"], facts["may_cost_usd"], facts["dry_run"]
    lines = []
    if again:
        price = "an unknown amount: no price is known" if cost is None else f"up to {show_usd(cost)}"
        does = "would be reopened" if dry else "reopened"
        lines.append(f"{show_count(again, 'job')} {does}: submitted again, which may cost {price}.")
        lines += [_named(facts["reopened_first"], again)] * dry
        if facts["in_doubt"]:
            lines.append("Those in doubt may be paid twice: look at your generations at the service first.")
    if free:
        does = f"{show_count(free, 'job')} would be" if dry else show_count(free, "job is", "jobs are")
        lines.append(f"{does} collected again, for $0.00: already paid for.")
        lines += [_named(facts["collected_first"], free)] * dry
    return lines


def _named(first: Sequence[str], count: int) -> str:
    return ", ".join(first) + (f", and {count - len(first):,} more" if count > len(first) else "")


def _choose_ended(state: StateFile, wanted: Sequence[State], which: Reopen, chosen: _Chosen) -> None:
    """Add jobs in the wanted states."""
    for entry in reading.entries(state.connection, wanted, listed_only=True):
        kind = entry.cause.kind if entry.cause else ""
        chosen.kinds.add(kind)
        if (which.causes and kind not in which.causes) or not which.takes(entry):
            chosen.left[kind or str(entry.state)] += 1
        elif entry.state is State.FAILED and not which.resubmit and reading.was_taken_up(state.connection, entry):
            chosen.free.append(entry.path)
            chosen.moves.append(partial(state.recollect, entry))
        else:
            chosen.paid.append(entry.path)
            chosen.images += entry.job.images
            chosen.moves.append(partial(state.reopen, entry))


def _choose_missing(state: StateFile, which: Reopen, chosen: _Chosen) -> None:
    """Add done jobs with a missing or damaged image. Reads every image."""
    reader = reader_of(state.path.parent)
    by_key = [auditing.by_key(state.connection, name) for name in which.jobs]
    ids = [entry.id for entry in by_key if entry is not None]
    for entry, artifacts in auditing.finished(state.connection, ids if ids and len(ids) == len(by_key) else None):
        if not which.takes(entry):
            continue
        damaged = [one.file for one in artifacts if reader.sha256(one.file) != one.sha256]
        if damaged or not artifacts or len(artifacts) < artifacts[0].output_count:
            chosen.free.append(entry.path)
            chosen.moves.append(partial(state.lose, entry, artifacts))
            chosen.damaged += damaged
            chosen.damaged += [
                sidecar_of(one.file) for one in artifacts if one.file in damaged and not describes(reader, entry, one)
            ]


def _to_lost_and_found(run_dir: Path, files: Sequence[str]) -> None:
    """Move them to lost+found, if they exist; a name that leads out of the folder is ignored."""
    reader = reader_of(run_dir)
    for file in files:
        with suppress(Outside):
            reader.path(file)
            move_to_lost_and_found(run_dir, file)
