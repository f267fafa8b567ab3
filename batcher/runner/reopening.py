"""Reopens final jobs, for ``batcher retry``. Nothing else does, because it may cost again. Works beside a run."""

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from batcher.core.job import MISSING, RETRIED, Artifact, Entry, State
from batcher.images.storage import reader_of
from batcher.runner.lost_and_found import move_aside
from batcher.runner.run_dir import images_folder
from batcher.store import STATE, StateFile, auditing, connect_to_read, reading
from batcher.store.files.safe_reader import Outside, SafeReader, sidecar_of

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
    first_free: list[str] = field(default_factory=list)


def reopen(run_dir: Path, which: Reopen) -> dict[str, Any]:
    """Reopen the jobs in one transaction. Returns what that may cost, as JSON data. Raises UsageError, DiskError."""
    connect_to_read(run_dir).close()  # refuses a wrong path before anything is created there
    state = StateFile(run_dir / STATE)
    try:
        return _reopen(state, run_dir, which)
    finally:
        state.close()


def _missing(
    connection: sqlite3.Connection, reader: SafeReader, which: Reopen
) -> Iterator[tuple[Entry, tuple[Artifact, ...], list[str]]]:
    """The done jobs with a missing or damaged image, their images, and the damaged ones. Reads every image."""
    by_key = [auditing.by_key(connection, name) for name in which.jobs]
    ids = [entry.id for entry in by_key if entry is not None]
    for entry, artifacts in auditing.finished(connection, ids if ids and len(ids) == len(by_key) else None):
        if which.means(entry):
            bad = [one.file for one in artifacts if reader.sha256(one.file) != one.sha256]
            if bad or not artifacts or len(artifacts) < artifacts[0].output_count:
                yield entry, artifacts, bad


def _aside(run_dir: Path, reader: SafeReader, files: Iterable[str]) -> None:
    """Move what is left of them to lost+found; a name that leads out of the folder is ignored."""
    for file in files:
        with suppress(Outside):
            reader.path(file)
            move_aside(run_dir, file)


def _reopen(state: StateFile, run_dir: Path, which: Reopen) -> dict[str, Any]:
    by_state = reading.by_state(state.connection)
    wanted = [State(name) for name in which.states if name != MISSING]
    counted, moves, kinds = _Found(), [], set()
    for entry in reading.entries(state.connection, wanted, listed_only=True):
        kind = entry.cause.kind if entry.cause else ""
        kinds.add(kind)
        if (which.causes and kind not in which.causes) or not which.means(entry):
            counted.left[kind or str(entry.state)] += 1
        elif entry.state is State.FAILED and not which.resubmit and reading.was_taken_up(state.connection, entry):
            counted.free += 1
            counted.first_free.append(entry.path)
            moves.append(partial(state.recollect, entry))
        else:
            counted.paid += 1
            counted.images += entry.job.images
            moves.append(partial(state.reopen, entry))
            counted.first.append(entry.path)
    aside: list[str] = []
    if MISSING in which.states and not which.causes:
        images_folder(run_dir)
        reader = reader_of(run_dir)
        for entry, artifacts, bad in _missing(state.connection, reader, which):
            counted.free += 1
            counted.first_free.append(entry.path)
            moves.append(partial(state.lose, entry, artifacts))
            aside += [name for file in bad for name in (file, sidecar_of(file))]
    if moves and not which.dry_run:
        if aside:  # first, as a run in progress writes new files once the jobs are reopened
            _aside(run_dir, reader, aside)
        state.must_commit(moves)
    facts = state.facts
    price = facts.price_usd
    return {
        "run": str(run_dir),
        "states": list(which.states),
        "reopened": counted.paid,
        "reopened_first": counted.first[:_NAMED],
        "collected_again": counted.free,
        "collected_first": counted.first_free[:_NAMED],
        "left": counted.left.total(),
        "left_by_cause": dict(counted.left),
        "causes_without_a_job": [cause for cause in dict.fromkeys(which.causes) if cause not in kinds],
        "may_cost_usd": None if price is None else round(counted.images * price, 6),
        "in_doubt": State.IN_DOUBT in wanted,
        "others": {
            name: by_state[State(name)] for name in RETRIED if State(name) in by_state and State(name) not in wanted
        },
        "dry_run": which.dry_run,
        "resume": facts.command,
    }
