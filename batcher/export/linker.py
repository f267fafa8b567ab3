"""Hard links made by a process of their own, while this one works out the next.

A link costs fifteen microseconds in the system and nothing here, but a thread that comes back from the system has to
wait for the interpreter, which is busy. A second process does not. It knows nothing: it is told pairs of names and
answers with those that did not go, which are then seen to here, one by one. It ends when its input does, however this
process ends.
"""

import subprocess
import sys
from collections.abc import Sequence
from typing import IO

_SCRIPT = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
told, answer = sys.stdin.buffer, sys.stdout.buffer
while head := told.readline():
    names, bad = told.read(int(head)).split(b"\\0"), []
    for at in range(0, len(names) - 1, 2):
        try:
            os.link(names[at], names[at + 1])
        except OSError:
            bad.append(at // 2)
    answer.write((" ".join(map(str, bad)) + "\\n").encode())
    answer.flush()
"""


class Linker:
    """One at a time may use it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._can = bool(sys.executable)

    def link(self, pairs: Sequence[tuple[str, str]]) -> list[int]:
        """Links each first name to each second; gives the places of those that it could not."""
        everything = list(range(len(pairs)))
        pipes = self._pipes()
        if pipes is None:
            return everything
        told, answer = pipes
        names = b"".join(f"{source}\0{target}\0".encode(errors="surrogateescape") for source, target in pairs)
        try:
            told.write(b"%d\n%b" % (len(names), names))
            told.flush()
            line = answer.readline()
        except OSError:
            line = b""
        if not line:  # it died
            self._can = False
            return everything
        return [int(place) for place in line.split()]

    def close(self) -> None:
        if self._process is not None:
            with self._process:
                assert self._process.stdin is not None
                self._process.stdin.close()

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]] | None:
        if self._process is None and self._can:
            try:
                self._process = subprocess.Popen(  # noqa: S603  our own words
                    [sys.executable, "-I", "-S", "-c", _SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
                )
            except OSError:
                self._can = False
        if self._process is None or not self._can:
            return None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        return self._process.stdin, self._process.stdout
