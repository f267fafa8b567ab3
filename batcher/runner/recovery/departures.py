"""A journal of submits that left and answers that came, beside the durable intents: written, never forced to the disk.

When only the process dies, what it wrote is still with the system (the boot id is the same): a job that was claimed and
never left is pending again, and an answer that was read is accepted. After a power cut only what is on the disk counts:
an id that can be read is an id, and everything else that was claimed is in doubt. The journal also knows ids that a
state file without its own journal (``state.db-wal``), or an older copy of one, has lost.
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
from batcher.runner.recovery.rescue import remove, rescued
from batcher.store import StateFile, auditing, reading
from batcher.store.files.disk import disk, open_own
from batcher.store.files.whole import write_whole

JOURNAL = ".departures.jsonl"
LOST = Cause(kind="interrupted", message="batcher ended before this submit was answered")
FORGOTTEN = Cause(kind="interrupted", message="it was submitted, and the state file has lost its outcome")
_MOST_ATTEMPTS = 1_000


def boot_id() -> str:
    """Of this start of the machine; "" where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class Departures:
    """Appended to by one run. What it did not take did not leave."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / JOURNAL
        self._handle = open_own(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._torn = True  # half a line may stand at the end
        self._write({"boot": boot_id(), "file": _file_id(os.fstat(self._handle))})

    def close(self) -> None:
        os.close(self._handle)

    def left(self, entry: Entry) -> None:
        """Before a byte of the submit leaves. entry: claimed. Raises DiskError: then it must not leave."""
        with disk(JOURNAL):
            self._write({"left": entry.job.key, "n": entry.attempts, "at": entry.submitted_at})

    def answered(self, entry: Entry, request_id: str) -> None:
        with suppress(OSError):
            self._write({"got": entry.job.key, "n": entry.attempts, "id": request_id})

    def refused(self, entry: Entry) -> None:
        """It never left after all, or nothing came of it, free."""
        with suppress(OSError):
            self._write({"no": entry.job.key, "n": entry.attempts})

    def _write(self, facts: dict[str, Any]) -> None:
        line = (b"\n" if self._torn else b"") + msgspec.json.encode(facts) + b"\n"
        self._torn = True
        if os.write(self._handle, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), JOURNAL)
        self._torn = False


def was_put_back(run_dir: Path) -> bool:
    """Whether the journal is gone, or a copy of the one that was written here, which may have known more."""
    path = run_dir / JOURNAL
    if not path.is_file():
        return True
    named = [line["file"] for line in _lines(path) if isinstance(line.get("file"), list)]
    return bool(named) and named[-1][1:] != _file_id(path.stat())[1:]  # the device may change, the inode does not


def _file_id(facts: os.stat_result) -> list[int]:
    return [facts.st_dev, facts.st_ino]


class Known(msgspec.Struct, frozen=True):
    """What the journal knows of one attempt. here: written since this machine was started, so nothing of it is lost.

    left: Unix seconds, None when it never left. ended: it came back without an id. unsent: that is sure, wherever the
    rest of the journal went.
    """

    here: bool
    left: float | None = None
    request_id: str | None = None
    ended: bool = False
    unsent: bool = False


@dataclass(frozen=True, slots=True)
class Journal:
    """attempts: by job key and number. whole: whether what it does not name can't have left: it was written on this
    start of the machine, to this very file.
    """

    attempts: dict[tuple[str, int], Known]
    whole: bool


def read_journal(run_dir: Path, rescued: Iterable[dict[str, Any]] = ()) -> Journal:
    """Half a line is passed over. Memory: of the submits since the journal was last cleared.

    rescued: lines that the disk of the run directory did not take.
    """
    path = run_dir / JOURNAL
    attempts: dict[tuple[str, int], Known] = {}
    here, now = False, boot_id()
    for facts in chain(_lines(path), rescued):
        if "boot" in facts:
            here = bool(now) and facts["boot"] == now and facts.get("file") == _file_id(path.stat())
            continue
        key = facts.get("left") or facts.get("got") or facts.get("no") or facts.get("unsent")
        number, moment, request_id = facts.get("n"), facts.get("at"), facts.get("id")
        if not isinstance(key, str) or not isinstance(number, int) or not 0 < number < _MOST_ATTEMPTS:
            continue
        attempt = replace(attempts.get((key, number), Known(here)), here=here)
        if "left" in facts and isinstance(moment, (int, float)):
            attempt = Known(here, left=float(moment))
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
        for line in lines:
            with suppress(ValueError, RecursionError):
                facts = json.loads(line)
                if isinstance(facts, dict):
                    yield facts


@dataclass(frozen=True, slots=True)
class Recovered:
    """accepted: answers that were read and not recorded. pending: claimed, and never left. doubted: the others.

    since, until: Unix seconds, of submits that the state file had lost.
    """

    accepted: int = 0
    pending: int = 0
    doubted: int = 0
    lost: int = 0
    since: float | None = None
    until: float | None = None


def recover(state: StateFile, now: float) -> Recovered:
    """Settles what was in the air when the last process died, as narrowly as the journal allows. Raises DiskError."""
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


def _never_left(facts: Known | None, whole: bool) -> bool:
    """Or came back, free. facts: None when the journal does not name it."""
    if facts is None or facts.unsent:
        return whole or facts is not None
    return whole and facts.here and (facts.ended or facts.left is None)


def _lost(state: StateFile, attempts: dict[tuple[str, int], Known]) -> Iterator[tuple[Entry, Known]]:
    """Attempts that left and of which the state file knows nothing."""
    for (key, number), facts in attempts.items():
        if facts.ended or (facts.left is None and facts.request_id is None):
            continue
        entry = auditing.by_key(state.connection, key)
        if entry is not None and entry.state is State.PENDING and entry.attempts < number:
            yield replace(entry, attempts=number - 1), facts


def _rescued(state: StateFile, rescued: Iterable[dict[str, Any]]) -> Iterator[tuple[Entry, Known]]:
    """Jobs in doubt whose id came to light: an earlier start could not read the file that has it."""
    for facts in rescued:
        if is_request_id(facts.get("id")):
            entry = auditing.by_key(state.connection, str(facts.get("got")))
            if entry is not None and entry.state is State.IN_DOUBT and entry.attempts == facts.get("n"):
                yield entry, Known(here=False, request_id=facts["id"])


def _bring_back(state: StateFile, entry: Entry, facts: Known, now: float) -> None:
    """The same attempt once more, in one transaction: nothing is submitted."""
    _remember(state, replace(state.reopen(entry), attempts=entry.attempts - 1), facts, now)


def _are_in_the_table(state: StateFile, lines: Iterable[dict[str, Any]]) -> bool:
    """Whether the jobs of all these ids are there: one that is planned again later finds its id in the file."""
    keys = (line["got"] for line in lines if "got" in line)
    return all(auditing.by_key(state.connection, str(key)) is not None for key in keys)


def _remember(state: StateFile, entry: Entry, facts: Known, now: float) -> None:
    claimed = state.claim(entry, facts.left or now)
    if facts.request_id is None:
        state.doubt(claimed, FORGOTTEN)
    else:
        state.accept(claimed, facts.request_id, now)


def begin_anew(state: StateFile) -> None:
    """The journal again, with what a lost state file would take along: before anything is submitted. Raises DiskError.

    That is what may have been paid for and has no picture yet: what is at the service, failed with an id, or in doubt.
    """
    write_whole(state.path.parent / JOURNAL, (f"{json.dumps(line)}\n" for line in _still_open(state)))


def _still_open(state: StateFile) -> Iterator[dict[str, Any]]:
    open_ones = (State.SUBMITTING, State.RUNNING, State.READY, State.FAILED, State.IN_DOUBT)
    for entry in reading.entries(state.connection, open_ones):
        key, number = entry.job.key, entry.attempts
        if entry.request_id is not None:
            yield {"got": key, "n": number, "id": entry.request_id}
        elif entry.state is not State.FAILED:  # else it was refused: nothing was paid for
            yield {"left": key, "n": number, "at": entry.submitted_at or 0.0}
