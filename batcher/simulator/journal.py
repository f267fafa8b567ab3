"""A file of records from which a simulator restores its state: one JSON object a line, in the order of events.

Records: ``accepted`` (a request, with its times and outcome as planned), ``started`` (with the charge), ``cancelled``,
``leak`` (a token came to the file host). Each is written at once: it survives ``kill -9`` of the process, though not a
power cut. An incomplete last line, which a kill may leave, is dropped.
"""

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class JournalError(ValueError):
    """The file is not a journal of the simulator."""


class Journal:
    """path: of the file, made if it is missing. Raises JournalError for a link, OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self._open()

    def _open(self) -> int:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            odd = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)  # there may be a link in its place
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | odd
            try:
                self._file = os.open(self._path, flags, 0o644)
            except OSError as error:
                if error.errno == errno.ELOOP:
                    raise JournalError(f"{self._path} is a link: remove it") from None
                raise
        return self._file

    def records(self) -> Iterator[dict[str, Any]]:
        """The records so far. An incomplete last line is cut off. Raises JournalError."""
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
        """Closes the file; the next write opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
