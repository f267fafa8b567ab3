"""Request ids that the state file could not take: each is money, and goes to any other place that takes it.

A disk that dies while answers are on their way takes no id of theirs. So each is said with its job, is kept in memory
and tried again to the end, and is written to a file of ours (0600) in ``TMPDIR`` or the home folder. The next start of
the run reads that file, and removes it once its ids are in the state file.
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
    """Of one run. An id is kept from the moment it was read until the state file has it."""

    def __init__(self, state: StateFile) -> None:
        self._state = state
        self._header = {"run": str(state.path.parent.absolute()), **_identity(state)}
        self._kept: dict[int, tuple[Entry, str]] = {}  # by job
        self._unwritten: set[int] = set()  # that neither the state file nor another place took
        self._files: list[Path] = []
        self._distrusted = False

    def keep(self, entry: Entry, request_id: str) -> None:
        self._kept[entry.id] = entry, request_id

    def recorded(self, entry: Entry) -> None:
        """The state file has it."""
        del self._kept[entry.id]
        self._unwritten.discard(entry.id)
        if self._files and not self._kept and not self._distrusted:
            remove(self._files)
            self._files = []

    def write_elsewhere(self, entry: Entry) -> str:
        """The state file did not take it. Gives where it is now, in words."""
        _, request_id = self._kept[entry.id]
        self._unwritten.add(entry.id)
        self._write()
        where = "it is in memory only" if entry.id in self._unwritten else f"it is in {self._files[-1]}"
        return f"request {request_id} of job {entry.job.key} could not be recorded yet: {where}"

    def unsent(self, entry: Entry) -> None:
        """The state file can't take back a submit that was to leave, and did not."""
        self._append({"unsent": entry.job.key, "n": entry.attempts})

    def distrust_journal(self) -> None:
        """The disk failed with the journal of departures on it: what that does not name may have left all the same."""
        if not self._distrusted:
            self._distrusted = self._append({"boot": ""})

    async def settle(self, queue: CommitQueue, now: float) -> None:
        """At the end: what is still kept is tried once more, and written elsewhere where that fails too."""
        for entry, request_id in list(self._kept.values()):
            try:
                await queue.durable(self._state.accept, entry, request_id, now)
            except Overtaken:
                pass  # whoever waited for it was cancelled, and it was written all the same
            except Exception as error:
                if machine_problem(error) is None:
                    raise
                break
            self.recorded(entry)
        self._unwritten = set(self._kept)
        self._write()

    def in_words(self) -> list[str]:
        """Every id that the state file does not have, with its job, and where it is. Nothing when there is none."""
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
        """To the file that took the last one, else to a new one in the first place that takes it."""
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
    """Folders beside the run directory that may take an id, the first one first; the same at each start."""
    named = [os.environ[name] for name in ("TMPDIR", "TEMP", "TMP") if os.environ.get(name)]
    paths = [Path(name) for name in (*named, "/tmp")]  # noqa: S108  each file has a name of its own and is ours alone
    with suppress(RuntimeError):
        paths.insert(-1 if named else 1, Path.home())
    return list(dict.fromkeys(paths))


def rescued(state: StateFile) -> list[tuple[Path, list[dict[str, Any]]]]:
    """Files of earlier runs of this run directory, each with its lines but the first, which says whose they are.

    A folder for temporary files belongs to everybody: what is not a plain file of our own is passed over.
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
    for path in paths:
        with suppress(OSError):
            path.unlink()


def _identity(state: StateFile) -> dict[str, Any]:
    """What a run directory keeps when it is copied to another disk."""
    return {"id": state.facts.run_id, "service": state.facts.service}


def _line(entry: Entry, request_id: str) -> dict[str, Any]:
    """As in the journal of departures."""
    return {"got": entry.job.key, "n": entry.attempts, "id": request_id}


def _write(path: Path, lines: list[dict[str, Any]], flags: int) -> None:
    text = "".join(f"\n{json.dumps(line)}\n" for line in lines).encode()  # half a line may stand before it
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
            for line in file:
                with suppress(ValueError, RecursionError):
                    line_there = json.loads(line)
                    if isinstance(line_there, dict):
                        yield line_there
