"""Links and small files made by a process of its own, while this one works out the next.

A link costs fifteen microseconds in the system and nothing here, but a thread that comes back from the system has to
wait for the interpreter, which is busy. A second process does not. It is told what is to be where, some hundreds of
files at a time, and answers with a letter for each: ``l`` linked, ``w`` written, ``s`` the same was there already, and
``?`` for what it did not do, which is then seen to here, one by one: it never replaces anything. Nobody waits for an
answer before the next are sent, so neither process stands still for the other. It ends when its input does, or when
it finds that whoever asked is gone.
"""

import contextlib
import marshal
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from typing import IO, Any, NamedTuple

_AHEAD = 16  # lots that are sent and not answered: what a killed export may still have to come
_PIPE = 1 << 20  # bytes: some thousands of names, where the system allows it

_SCRIPT = """
import marshal, os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
options, answer, parent = sys.stdin.buffer, sys.stdout.buffer, os.getppid()
new = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)

def link(source, target):
    try:
        os.link(source, target)
        return b"l"
    except FileExistsError:
        return b"s" if os.path.samestat(os.stat(source), os.lstat(target)) else b"?"

def write(content, target):
    if os.path.lexists(target):
        with open(target, "rb") as file:
            return b"s" if not os.path.islink(target) and file.read(len(content) + 1) == content else b"?"
    folder, _, last = target.rpartition(b"/")
    if len(last) > 200:
        return b"?"
    temp = b"%b/.%b.part" % (folder, last)
    handle = os.open(temp, new, 0o666)
    try:
        try:
            whole = os.write(handle, content) == len(content)
        finally:
            os.close(handle)
        if whole:
            os.rename(temp, target)
            return b"w"
    except OSError:
        pass
    os.unlink(temp)
    return b"?"

def one(source, content, target):
    try:
        return link(source, target) if content is None else write(content, target)
    except OSError:
        return b"?"

while (head := options.readline()) and os.getppid() == parent:
    lot = marshal.loads(options.read(int(head)))
    answer.write(b"".join([one(*thing) for thing in lot]) + b"\\n")
    answer.flush()
"""


class Wanted(NamedTuple):
    """A file to be at ``target``: a link to ``source``, or ``content``. Paths are absolute."""

    source: str | None
    content: bytes | None
    target: str


class Placer:
    """``send`` and ``answers`` in turn; a letter for each file of a lot, in the order in which the lots were sent."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._can = bool(sys.executable)
        self._sent: deque[int] = deque()

    def send(self, lot: Sequence[Wanted]) -> None:
        """May block until the other process has caught up."""
        self._sent.append(len(lot))
        pipes = self._pipes()
        if pipes is None:
            return
        text = marshal.dumps([_told(thing) for thing in lot])
        try:
            pipes[0].write(b"%d\n%b" % (len(text), text))
            pipes[0].flush()
        except OSError:
            self._can = False

    def answers(self, *, all_of_them: bool = False) -> "list[bytes]":
        """Of the lots that were sent first, so that not too many are open; or of all."""
        found = []
        while self._sent and (all_of_them or len(self._sent) > _AHEAD):
            found.append(self._answer(self._sent.popleft()))
        return found

    def close(self) -> None:
        """Whatever it was still doing is done when this comes back."""
        if self._process is not None:
            with self._process:
                assert self._process.stdin is not None
                assert self._process.stdout is not None
                with contextlib.suppress(OSError):  # it died
                    self._process.stdin.close()
                self._process.stdout.read()

    def _answer(self, files: int) -> bytes:
        line = b""
        if self._can and self._process is not None:
            assert self._process.stdout is not None
            line = self._process.stdout.readline().rstrip()
        if len(line) != files:  # it died, or never lived
            self._can = False
            return b"?" * files
        return line

    def _pipes(self) -> tuple[IO[bytes], IO[bytes]] | None:
        if self._process is None and self._can:
            try:
                self._process = subprocess.Popen(  # noqa: S603  our own words
                    [sys.executable, "-I", "-S", "-c", _SCRIPT],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
            except OSError:
                self._can = False
            else:
                _widen(self._process.stdin)
        if self._process is None or not self._can:
            return None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        return self._process.stdin, self._process.stdout


def _told(thing: Wanted) -> tuple[bytes | None, bytes | None, bytes]:
    source = None if thing.source is None else thing.source.encode(errors="surrogateescape")
    return source, thing.content, thing.target.encode(errors="surrogateescape")


def _widen(pipe: Any) -> None:
    with contextlib.suppress(ImportError, AttributeError, OSError):  # not Linux, or not for this user
        import fcntl  # noqa: PLC0415  not everywhere

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
