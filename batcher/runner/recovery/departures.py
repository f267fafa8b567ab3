"""The journal of departures: submits that left and answers that came. It is written without fsync, so it costs little.

If only the process dies, the system still has what it wrote (the boot id is the same). Then a job that was claimed but
never left becomes pending again, and an answer that was read is accepted. After a power cut only a request id in the
journal is certain; every other claimed job is in doubt. The journal also has request ids that are missing in a state
file that lost its own journal (``state.db-wal``) or was replaced by an older copy.
"""

import errno
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from batcher.client.protocol import is_request_id
from batcher.core.errors import Cause
from batcher.core.job import Entry, State
from batcher.runner.recovery.rescue import objects, remove, rescued
from batcher.store import StateFile, auditing, reading
from batcher.store.files.disk import disk, open_own
from batcher.store.files.whole import write_whole

JOURNAL = ".departures.jsonl"
LOST = Cause(kind="interrupted", message="batcher ended before this submit was answered")
FORGOTTEN = Cause(kind="interrupted", message="it was submitted, and the state file has lost its outcome")
_MOST_ATTEMPTS = 1_000


def boot_id() -> str:
    """Identifies the present start of the machine; empty if the system has no such id."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class Departures:
    """The journal, open for one run. A submit leaves only after its line was written.

    run_dir: the journal is in it; an earlier one is continued. Raises OSError.
    """

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / JOURNAL
        self._handle = open_own(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._torn = True  # the file may end with half a line
        self._write({"boot": boot_id(), "file": _file_id(os.fstat(self._handle))})

    def close(self) -> None:
        os.close(self._handle)

    def left(self, entry: Entry) -> None:
        """Call it before the first byte of a submit is sent. entry: claimed. Raises DiskError: then don't send it."""
        with disk(JOURNAL):
            self._write({"left": entry.job.key, "n": entry.attempts, "at": entry.submitted_at})

    def answered(self, entry: Entry, request_id: str) -> None:
        with suppress(OSError):
            self._write({"got": entry.job.key, "n": entry.attempts, "id": request_id})

    def refused(self, entry: Entry) -> None:
        """The submit was not sent, or the service refused it: nothing was charged."""
        with suppress(OSError):
            self._write({"no": entry.job.key, "n": entry.attempts})

    def _write(self, facts: dict[str, Any]) -> None:
        line = (b"\n" if self._torn else b"") + msgspec.json.encode(facts) + b"\n"
        self._torn = True
        if os.write(self._handle, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), JOURNAL)
        self._torn = False


def was_put_back(run_dir: Path) -> bool:
    """Whether the journal is missing, or is a copy of the one that was written here: the original may have had more."""
    path = run_dir / JOURNAL
    if not path.is_file():
        return True
    named = [line["file"] for line in _lines(path) if isinstance(line.get("file"), list)]
    return bool(named) and named[-1][1:] != _file_id(path.stat())[1:]  # the device may change, the inode does not


def _file_id(facts: os.stat_result) -> list[int]:
    return [facts.st_dev, facts.st_ino]


class Attempt(msgspec.Struct, frozen=True):
    """One submit of a job in the journal. here: written since this start of the machine, so no line about it is lost.

    left: Unix seconds when it left, None if it did not. request_id: the answer, None if none was read. ended: nothing
    was charged. unsent: it certainly never left, even if other lines of the journal are lost.
    """

    here: bool
    left: float | None = None
    request_id: str | None = None
    ended: bool = False
    unsent: bool = False


@dataclass(frozen=True, slots=True)
class Journal:
    """attempts: by job key and number of the attempt. whole: whether a submit that it does not have can't have left,
    because it was written since this start of the machine, to this very file.
    """

    attempts: dict[tuple[str, int], Attempt]
    whole: bool


def read_journal(run_dir: Path, rescued: Iterable[dict[str, Any]] = ()) -> Journal:
    """Read the journal; unreadable lines are ignored. It holds the submits since the start of the last run.

    rescued: further lines, which the disk of the run directory could not take.
    """
    path = run_dir / JOURNAL
    attempts: dict[tuple[str, int], Attempt] = {}
    here, now = False, boot_id()
    for facts in chain(_lines(path), rescued):
        if "boot" in facts:
            here = bool(now) and facts["boot"] == now and facts.get("file") == _file_id(path.stat())
            continue
        key = facts.get("left") or facts.get("got") or facts.get("no") or facts.get("unsent")
        number, moment, request_id = facts.get("n"), facts.get("at"), facts.get("id")
        if not isinstance(key, str) or not isinstance(number, int) or not 0 < number < _MOST_ATTEMPTS:
            continue
        attempt = replace(attempts.get((key, number), Attempt(here)), here=here)
        if "left" in facts and isinstance(moment, (int, float)):
            attempt = Attempt(here, left=float(moment))
        elif "got" in facts and is_request_id(request_id):
            attempt = replace(attempt, request_id=request_id)
        elif "no" in facts:
            attempt = replace(attempt, ended=True)
        elif "unsent" in facts:
            attempt = replace(attempt, ended=True, unsent=True)
        attempts[key, number] = attempt
    return Journal(attempts, here)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_symlink() or not path.is_file():
        return
    with suppress(OSError), path.open("rb") as lines:
        yield from objects(lines)


@dataclass(frozen=True, slots=True)
class Recovered:
    """Numbers of jobs. accepted: their request id was read but not recorded. pending: they never left. doubted: the
    others. lost: submits that the state file had lost; since, until: Unix seconds of the first and the last of them.
    """

    accepted: int = 0
    pending: int = 0
    doubted: int = 0
    lost: int = 0
    since: float | None = None
    until: float | None = None


def recover(state: StateFile, now: float) -> Recovered:
    """Settle the submits without an answer of the last process, with as few in doubt as the journal allows.

    now: Unix seconds. Raises DiskError.
    """
    files = rescued(state)
    lines = [line for _, more in files for line in more]
    journal = read_journal(state.path.parent, lines)
    moves: list[Callable[[], object]] = []
    accepted = pending = doubted = 0
    for entry in reading.entries(state.connection, [State.SUBMITTING]):
        facts = journal.attempts.get((entry.job.key, entry.attempts))
        if facts is not None and facts.request_id is not None:
            accepted += 1
            moves.append(partial(state.accept, entry, facts.request_id, now))
        elif _never_left(facts, journal.whole):
            pending += 1
            moves.append(partial(state.release, entry))
        else:
            doubted += 1
            moves.append(partial(state.doubt, entry, LOST))
    lost = list(_lost(state, journal.attempts))
    moves += [partial(_remember, state, entry, facts, now) for entry, facts in lost]
    rescued_ids = list(_rescued(state, lines))
    moves += [partial(_bring_back, state, entry, facts, now) for entry, facts in rescued_ids]
    if moves:
        state.must_commit(moves)
    remove(path for path, lines in files if _are_in_the_table(state, lines))
    moments = [facts.left for _, facts in lost if facts.left is not None]
    since, until = min(moments, default=None), max(moments, default=None)
    return Recovered(accepted + len(rescued_ids), pending, doubted, len(lost), since, until)


def _never_left(facts: Attempt | None, whole: bool) -> bool:
    """Whether nothing was charged. facts: None if the journal does not have the attempt. whole: as in Journal."""
    if facts is None or facts.unsent:
        return whole or facts is not None
    return whole and facts.here and (facts.ended or facts.left is None)


def _lost(state: StateFile, attempts: dict[tuple[str, int], Attempt]) -> Iterator[tuple[Entry, Attempt]]:
    """Attempts that left and are missing in the state file."""
    for (key, number), facts in attempts.items():
        if facts.ended or (facts.left is None and facts.request_id is None):
            continue
        entry = auditing.by_key(state.connection, key)
        if entry is not None and entry.state is State.PENDING and entry.attempts < number:
            yield replace(entry, attempts=number - 1), facts


def _rescued(state: StateFile, rescued: Iterable[dict[str, Any]]) -> Iterator[tuple[Entry, Attempt]]:
    """Jobs in doubt whose request id is in a rescue file that an earlier start could not read."""
    for facts in rescued:
        if is_request_id(facts.get("id")):
            entry = auditing.by_key(state.connection, str(facts.get("got")))
            if entry is not None and entry.state is State.IN_DOUBT and entry.attempts == facts.get("n"):
                yield entry, Attempt(here=False, request_id=facts["id"])


def _bring_back(state: StateFile, entry: Entry, facts: Attempt, now: float) -> None:
    """Reopen a job in doubt and record the same attempt again. Nothing is submitted."""
    _remember(state, replace(state.reopen(entry), attempts=entry.attempts - 1), facts, now)


def _are_in_the_table(state: StateFile, lines: Iterable[dict[str, Any]]) -> bool:
    """Whether all jobs of these lines are in the table. If not, the file is kept: a later plan may add them again."""
    keys = (line["got"] for line in lines if "got" in line)
    return all(auditing.by_key(state.connection, str(key)) is not None for key in keys)


def _remember(state: StateFile, entry: Entry, facts: Attempt, now: float) -> None:
    """Record an attempt: as accepted if its request id is known, else as in doubt."""
    claimed = state.claim(entry, facts.left or now)
    if facts.request_id is None:
        state.doubt(claimed, FORGOTTEN)
    else:
        state.accept(claimed, facts.request_id, now)


def begin_anew(state: StateFile) -> None:
    """Start a new journal, before anything is submitted. Raises DiskError.

    It begins with every job that may have been paid for and has no image yet (at the service, failed with a request id,
    or in doubt), so that they survive the loss of the state file.
    """
    write_whole(state.path.parent / JOURNAL, (f"{json.dumps(line)}\n" for line in _still_open(state)))


def _still_open(state: StateFile) -> Iterator[dict[str, Any]]:
    open_ones = (State.SUBMITTING, State.RUNNING, State.READY, State.FAILED, State.IN_DOUBT)
    for entry in reading.entries(state.connection, open_ones):
        key, number = entry.job.key, entry.attempts
        if entry.request_id is not None:
            yield {"got": key, "n": number, "id": entry.request_id}
        elif entry.state is not State.FAILED:  # a failed job without a request id was rejected: nothing was charged
            yield {"left": key, "n": number, "at": entry.submitted_at or 0.0}
