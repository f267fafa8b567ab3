"""Saves request ids that could not be written to the state file: each stands for a paid job.

A disk may fail while answers are on their way. Then each request id is shown with its job, kept in memory, retried
until the end, and written to a file (mode 0600) in ``TMPDIR`` or the home folder. The next start of the run reads that
file, and removes it once its ids are in the state file.
"""

import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from batcher.core.errors import Overtaken
from batcher.core.job import Entry
from batcher.core.units import show_count
from batcher.store import CommitQueue, StateFile
from batcher.store.files.disk import open_own
from batcher.store.machine import machine_problem

PREFIX = "batcher-ids-"
MOST_BYTES = 64 << 20  # of one file; an id takes about a hundred


class Rescue:
    """The request ids of one run. Each is kept from the moment it was read until the state file has it.

    state: the state file that they belong in.
    """

    def __init__(self, state: StateFile) -> None:
        self._state = state
        self._header = {"run": str(state.path.parent.absolute()), **_identity(state)}
        self._kept: dict[int, tuple[Entry, str]] = {}  # job and request id, by job id
        self._unwritten: set[int] = set()  # job ids whose request id is in no file at all
        self._files: list[Path] = []
        self._distrusted = False

    def keep(self, entry: Entry, request_id: str) -> None:
        self._kept[entry.id] = entry, request_id

    def recorded(self, entry: Entry) -> None:
        """The state file has the request id of this job."""
        del self._kept[entry.id]
        self._unwritten.discard(entry.id)
        if self._files and not self._kept and not self._distrusted:
            remove(self._files)
            self._files = []

    def write_elsewhere(self, entry: Entry) -> str:
        """Save the request id of a job outside the state file. Returns where it is now, in words."""
        _, request_id = self._kept[entry.id]
        self._unwritten.add(entry.id)
        self._write()
        where = "it is in memory only" if entry.id in self._unwritten else f"it is in {self._files[-1]}"
        return f"request {request_id} of job {entry.job.key} could not be recorded yet: {where}"

    def unsent(self, entry: Entry) -> None:
        """Note that a claimed submit never left, because the state file can't record it."""
        self._append({"unsent": entry.job.key, "n": entry.attempts})

    def distrust_journal(self) -> None:
        """The disk failed, so the journal of departures may be incomplete: don't conclude that a submit never left."""
        if not self._distrusted:
            self._distrusted = self._append({"boot": ""})

    async def settle(self, queue: CommitQueue, now: float) -> None:
        """At the end: try once more to record every kept id, and write to a file those that fail again."""
        for entry, request_id in list(self._kept.values()):
            try:
                await queue.durable(self._state.accept, entry, request_id, now)
            except Overtaken:
                pass  # the job's task was cancelled, and the write went through all the same
            except Exception as error:
                if machine_problem(error) is None:
                    raise
                break
            self.recorded(entry)
        self._unwritten = set(self._kept)
        self._write()

    def in_words(self) -> list[str]:
        """Lines for a person: every id that is not in the state file, with its job, and where it is; empty if none."""
        if not self._kept:
            return []
        lines = [f"The disk did not take the request ids of {show_count(len(self._kept), 'accepted job')}:"]
        if self._unwritten:
            path = places()[0] / f"{PREFIX}by-hand.jsonl"
            lines.append(
                f"no other place did either. Save these lines as {path}; then the next run collects them, free."
            )
            return [*lines, json.dumps(self._header), *(json.dumps(_line(*one)) for one in self._kept.values())]
        lines += [f"  job {entry.job.key}  request {request_id}" for entry, request_id in self._kept.values()]
        files = " and ".join(str(path) for path in self._files)
        return [*lines, f"They are in {files}, and the next run with the same TMPDIR and HOME reads them."]

    def _write(self) -> None:
        for number in sorted(self._unwritten):
            if self._append(_line(*self._kept[number])):
                self._unwritten.discard(number)

    def _append(self, facts: dict[str, Any]) -> bool:
        """Write a line to the last file, else to a new file in the first folder that works. False if none does."""
        if self._files:
            with suppress(OSError):
                _write(self._files[-1], [facts], os.O_APPEND)
                return True
        for place in places():
            path = place / f"{PREFIX}{self._state.path.parent.name[:60]}-{secrets.token_hex(4)}.jsonl"
            try:
                _write(path, [self._header, facts], os.O_CREAT | os.O_EXCL)
            except OSError:
                remove([path])
                continue
            self._files.append(path)
            return True
        return False


def places() -> list[Path]:
    """Folders outside the run directory for rescue files, in the order of preference; the same at each start."""
    named = [os.environ[name] for name in ("TMPDIR", "TEMP", "TMP") if os.environ.get(name)]
    paths = [Path(name) for name in (*named, "/tmp")]  # noqa: S108  each file has a name of its own and is ours alone
    with suppress(RuntimeError):
        paths.insert(-1 if named else 1, Path.home())
    return list(dict.fromkeys(paths))


def rescued(state: StateFile) -> list[tuple[Path, list[dict[str, Any]]]]:
    """Rescue files of earlier runs of this run directory, each with its lines except the header.

    Other users can write to a folder for temporary files: files that this user does not own are ignored.
    """
    identity, run_dir = _identity(state), str(state.path.parent.absolute())
    files = []
    for path in sorted(path for place in places() for path in place.glob(f"{PREFIX}*.jsonl")):
        header, *lines = list(_lines(path)) or [{}]
        ours = header.get("run") == run_dir or (header.get("id") or "") == identity["id"]
        if "run" in header and ours and header.get("service") == identity["service"]:
            files.append((path, lines))
    return files


def remove(paths: Iterable[Path]) -> None:
    """Delete files of rescued ids. One that can't be deleted stays: reading it again does no harm."""
    for path in paths:
        with suppress(OSError):
            path.unlink()


def _identity(state: StateFile) -> dict[str, Any]:
    """What stays the same if a run directory is copied to another disk."""
    return {"id": state.facts.run_id, "service": state.facts.service}


def _line(entry: Entry, request_id: str) -> dict[str, Any]:
    """A line as in the journal of departures."""
    return {"got": entry.job.key, "n": entry.attempts, "id": request_id}


def _write(path: Path, lines: list[dict[str, Any]], flags: int) -> None:
    text = "".join(f"\n{json.dumps(line)}\n" for line in lines).encode()  # the file may end with half a line
    handle = open_own(path, os.O_WRONLY | flags, 0o600)
    try:
        if os.write(handle, text) < len(text):
            raise OSError("the disk is full")
        os.fsync(handle)
    finally:
        os.close(handle)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with suppress(OSError):
        handle = open_own(path, os.O_RDONLY)
        with os.fdopen(handle, "rb") as file:
            facts = os.fstat(handle)
            mine = not hasattr(os, "geteuid") or facts.st_uid == os.geteuid()
            if not mine or facts.st_size > MOST_BYTES:
                return
            yield from objects(file)


def objects(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The JSON objects among these lines; others are ignored."""
    for line in lines:
        with suppress(ValueError, RecursionError):
            value = json.loads(line)
            if isinstance(value, dict):
                yield value
