"""Notices at the start that a run directory was copied, or that its state file was lost, replaced or taken over.

Each run writes its generation, a number, to the state file and to a file beside it. The numbers differ if an older
state file was put back. If the file says that the last run did not end and ``state.db-wal`` is missing, changes were
lost.
The state file also names its directory, so that a copy is not mistaken for the original, which may still be continued.
"""

import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from batcher.core.errors import BusyError, UsageError
from batcher.core.job import State
from batcher.runner.recovery.departures import JOURNAL, was_put_back
from batcher.store import STATE, StateFile, auditing, has_state, reading
from batcher.store.facts import Generation
from batcher.store.files.whole import write_whole
from batcher.store.lock import still_at_work
from batcher.store.machine import damaged
from batcher.store.opening import GENERATION

FLAG = "--continue-copy"
CHECK = 3.0  # seconds for the integrity check; a million jobs take about one second
_OPEN = (State.PENDING, State.SUBMITTING, State.RUNNING, State.READY)


@dataclass(frozen=True, slots=True)
class Beside:
    """What lies beside the state file. number: generation of the last run, 0 for none. ended: whether that run closed
    the state file. lost_journal: whether it did not, and ``state.db-wal`` with its last changes is gone.
    """

    number: int = 0
    ended: bool = True
    lost_journal: bool = False


def read_beside(run_dir: Path) -> Beside:
    """Call it before the state file is opened, which makes a new ``state.db-wal``."""
    path = run_dir / GENERATION
    try:
        facts = json.loads(path.read_bytes()) if path.is_file() else {}
        number, ended = int(facts["number"]), bool(facts["ended"])
    except (OSError, ValueError, KeyError, TypeError):
        return Beside()
    return Beside(number, ended, not ended and has_state(run_dir) and _has_no_wal(run_dir))


def _has_no_wal(run_dir: Path) -> bool:
    try:
        return not (run_dir / f"{STATE}-wal").stat().st_size
    except OSError as error:
        return isinstance(error, FileNotFoundError)


def check_file(state: StateFile, beside: Beside) -> None:
    """After a run that did not end cleanly: check that its process is gone, and the state file for damage.

    Raises BusyError, DiskError.
    """
    process = state.facts.process
    if not beside.ended and process is not None and still_at_work(process):
        raise BusyError(
            f"process {process.pid} still works in {state.path.parent}, though its lock is gone",
            hint="Nothing was submitted. Stop that process, or wait for its end; then run the same command again.",
        )
    if not beside.ended and (words := auditing.damage(state.connection, CHECK)):
        raise damaged(f"the state file {state.path} is damaged: {words}", str(state.path.parent))


def check(state: StateFile, beside: Beside, *, go_on: bool) -> str | None:
    """Check that no submit of this run is missing in the state file. Returns a warning if the missing ones will be
    restored, free. go_on: skip the check, because the user gave FLAG. Raises UsageError if some may be paid for again.
    """
    run_dir, last = state.path.parent, state.facts.generation
    if go_on or (last is None and not beside.number):
        return None
    moved = last is not None and last.place != _place(run_dir)
    is_open = last is not None and not last.settled and reading.any_is(state.connection, list(_OPEN))
    if last is not None and moved and is_open:
        raise UsageError(
            f"{run_dir} is a copy of {last.path}, made while jobs were pending or at the service",
            hint="The original may go on, and each would pay for them. Go on there; or, if it is gone or will not be"
            f" run again, add {FLAG}.",
        )
    if last is not None and is_open and last.file not in {0, state.path.stat().st_ino} and was_put_back(run_dir):
        raise UsageError(
            f"{run_dir} was restored to an earlier state: requests made since then are not known",
            hint=f"Put the newest copy back. If nothing was submitted since that copy was made, add {FLAG}; else what"
            " was submitted then may be paid for again.",
        )
    if not beside.lost_journal and last is not None and last.number >= beside.number:
        return None
    what = "has lost its journal (state.db-wal)" if beside.lost_journal else "is older than the last run here"
    if not (run_dir / JOURNAL).is_file():
        raise UsageError(
            f"{run_dir / STATE} {what}, and {JOURNAL} is gone too: requests made since then are not known",
            hint="Put the newest copy of both back. `batcher verify --repair` takes in the images that are there. To"
            f" go on without the rest, which may be paid for again, add {FLAG}.",
        )
    return f"the state file {what}: images that are here are not paid for again, and known requests are collected"


def take(state: StateFile, run_dir: Path, beside: Beside, now: float) -> None:
    """Make this process the only one that may write to the state file. now: Unix seconds. Raises DiskError."""
    last = state.facts.generation
    number = max(0 if last is None else last.number, beside.number) + 1
    ours = Generation(
        id=secrets.token_hex(8),
        number=number,
        path=str(run_dir.absolute()),
        at=now,
        place=_place(run_dir),
        file=state.path.stat().st_ino,
    )
    run_id = state.facts.run_id or secrets.token_hex(8)
    state.must_commit([lambda: state.change_facts(lambda facts: replace(facts, generation=ours, run_id=run_id))])
    state.note_generation()
    _write(run_dir, number, ended=False)


def settle(state: StateFile) -> None:
    """At the end of a run: note whether no job is open, because then a copy can't pay for the same jobs."""
    ours = state.facts.generation
    if ours is not None and not reading.any_is(state.connection, list(_OPEN)):
        settled = replace(ours, settled=True)
        state.must_commit([lambda: state.change_facts(lambda facts: replace(facts, generation=settled))])
        state.note_generation()


def leave(run_dir: Path) -> None:
    """Note that the run ended. Call it after the state file was closed, which empties ``state.db-wal``."""
    with suppress(Exception):
        _write(run_dir, read_beside(run_dir).number, ended=True)


def _write(run_dir: Path, number: int, *, ended: bool) -> None:
    write_whole(run_dir / GENERATION, [json.dumps({"number": number, "ended": ended}) + "\n"])


def _place(run_dir: Path) -> tuple[int, str]:
    """Inode and machine: a renamed directory keeps them, and a copy has others."""
    return run_dir.stat().st_ino, _machine()


def _machine() -> str:
    try:
        return Path("/etc/machine-id").read_text().strip()
    except OSError:
        return os.environ.get("COMPUTERNAME", "")
