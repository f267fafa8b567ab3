"""What a killed simulator leaves behind: one JSON record a line, in the order things happened.

Records: ``accepted`` (a request with the plan of its future), ``started`` (and what it was charged), ``cancelled``,
``leak`` (a token came to the file host). Each is handed to the operating system at once: it survives ``kill -9`` of
this process, though not a power cut. A torn last line is what a kill leaves, and is dropped.
"""

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class JournalError(ValueError):
    """The file is no journal of a simulator."""


class Journal:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._open()

    def _open(self) -> int:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            odd = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)  # a run directory may hold a link there
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | odd
            try:
                self._file = os.open(self._path, flags, 0o644)
            except OSError as error:
                if error.errno == errno.ELOOP:
                    raise JournalError(f"{self._path} is a link: remove it") from None
                raise
        return self._file

    def records(self) -> Iterator[dict[str, Any]]:
        """What an earlier process wrote. A torn last line is cut off, so that the next record starts on its own."""
        whole = 0
        with self._path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                yield self._record(line, number)
        os.ftruncate(self._open(), whole)

    def _record(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except ValueError as error:
            raise JournalError(f"{self._path}:{number}: not a record of a simulator's journal: {error}") from error
        if not isinstance(record, dict) or "t" not in record:
            raise JournalError(f"{self._path}:{number}: not a record of a simulator's journal")
        return record

    def write(self, kind: str, **values: Any) -> None:
        os.write(self._open(), json.dumps({"t": kind, **values}, separators=(",", ":")).encode() + b"\n")

    def close(self) -> None:
        """Until the next write."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
