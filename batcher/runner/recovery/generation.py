"""One state in two places: a run directory that was copied, or whose state file was lost, replaced or taken over.

Each run writes a generation into the state file and into a file beside it. They differ when an older state file was put
back; the file says that the run never ended while the state file's own journal (``state.db-wal``) is gone when that was
lost; and the state file names the directory it was made in, so a copy is told from the original, which may go on.
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
from batcher.store import STATE, StateFile, auditing, reading
from batcher.store.facts import Generation
from batcher.store.files.whole import write_whole
from batcher.store.lock import still_at_work
from batcher.store.machine import damaged
from batcher.store.opening import GENERATION

FLAG = "--continue-copy"
CHECK = 3.0  # seconds: a file of a million jobs takes about one
_OPEN = (State.PENDING, State.SUBMITTING, State.RUNNING, State.READY)


@dataclass(frozen=True, slots=True)
class Beside:
    """What the file beside the state file says. number: 0 for none. ended: whether that run closed its state file."""

    number: int = 0
    ended: bool = True


def read_beside(run_dir: Path) -> Beside:
    path = run_dir / GENERATION
    try:
        facts = json.loads(path.read_bytes()) if path.is_file() else {}
        return Beside(int(facts["number"]), bool(facts["ended"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Beside()


def has_lost_its_journal(run_dir: Path, beside: Beside) -> bool:
    """Whether the last run died and what it had not yet put into the state file is gone. Ask before it is opened."""
    try:
        return not beside.ended and not (run_dir / f"{STATE}-wal").stat().st_size
    except FileNotFoundError:
        return not beside.ended
    except OSError:
        return False


def check_file(state: StateFile, beside: Beside) -> None:
    """After an end that was not clean: whether it was one, and the state file is whole as far as is seen in moments.

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


def check(state: StateFile, run_dir: Path, beside: Beside, *, lost_journal: bool, go_on: bool) -> str | None:
    """Whether the state file is all there is of this run. Gives a warning when it is not, and can be mended free.

    go_on: the user says that it is. Raises UsageError.
    """
    last = state.facts.generation
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
    if not lost_journal and last is not None and last.number >= beside.number:
        return None
    what = "has lost its journal (state.db-wal)" if lost_journal else "is older than the last run here"
    if not (run_dir / JOURNAL).is_file():
        raise UsageError(
            f"{run_dir / STATE} {what}, and {JOURNAL} is gone too: requests made since then are not known",
            hint="Put the newest copy of both back. `batcher verify --repair` takes in the images that are there. To"
            f" go on without the rest, which may be paid for again, add {FLAG}.",
        )
    return f"the state file {what}: images that are here are not paid for again, and known requests are collected"


def take(state: StateFile, run_dir: Path, beside: Beside, now: float) -> None:
    """From here on, the run of this process is the one that counts. Raises DiskError."""
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
    """At the end of a run: notes when nothing is left to do, for then a copy can't pay for what the original does."""
    ours = state.facts.generation
    if ours is not None and not reading.any_is(state.connection, list(_OPEN)):
        settled = replace(ours, settled=True)
        state.must_commit([lambda: state.change_facts(lambda facts: replace(facts, generation=settled))])
        state.note_generation()


def leave(run_dir: Path) -> None:
    """After the state file was closed: all of it is in its one file."""
    with suppress(Exception):
        _write(run_dir, read_beside(run_dir).number, ended=True)


def _write(run_dir: Path, number: int, *, ended: bool) -> None:
    write_whole(run_dir / GENERATION, [json.dumps({"number": number, "ended": ended}) + "\n"])


def _place(run_dir: Path) -> tuple[int, str]:
    """What a directory keeps when it is renamed, and a copy of it has not: its number on its disk, and the machine."""
    return run_dir.stat().st_ino, _machine()


def _machine() -> str:
    try:
        return Path("/etc/machine-id").read_text().strip()
    except OSError:
        return os.environ.get("COMPUTERNAME", "")
