"""``python -m batcher`` as a process of its own, without the half second of processor time that its imports take.

After ``install()``, the first ``subprocess.Popen([sys.executable, "-m", "batcher", ...])`` of this process starts a
template: a Python that imports what batcher needs, and waits. What is started then is a fork of the template: a child
of whoever asked, with the streams, environment, folder, session and signals that it would have had, that ends as Python
ends. What it starts itself by the same words (the embedded simulator) is a fork of it in turn.

An interpreter starts as ever where that is the point: with options of Python (``-X``, ``-c``), with an environment that
Python reads before anything else, with a ``preexec_fn``, in ``own_interpreter()``, and where there is no Linux. So it
does from the first start on for which the template is dead, too slow or makes no sense.
"""

import atexit
import contextlib
import ctypes
import fcntl
import gc
import io
import os
import pickle
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

MODULES = {"batcher", "batcher.simulator", "tests.crash.victim", "tests.export.victim", "tests.support.patched"}
UNTOUCHED = ("__main__", "ray_", "parquet", "bucket", "remote")  # extras that start threads when they are imported
READ_BY_PYTHON = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "TZ", "AIOHTTP_")
LARGEST = 100_000  # bytes of a message
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
PATIENCE = 20.0  # seconds

_fork_exec: Callable[..., int] = getattr(subprocess, "_fork_exec", None)  # type: ignore[assignment]  # of Linux
_lock = threading.Lock()
_template: "list[tuple[subprocess.Popen[bytes], socket.socket]]" = []
_off = [0]


@dataclass(frozen=True, slots=True)
class Start:
    """descriptors: numbers that the child has them under, in the order in which they are sent."""

    words: tuple[str, ...]
    environment: dict[bytes, bytes]
    folder: str
    umask: int
    ignored: tuple[int, ...]
    session: bool
    group: int
    descriptors: tuple[int, ...]


def install() -> None:
    if sys.platform == "linux" and _fork_exec is not None:
        AT_START.clear()
        AT_START.update(os.environb)
        subprocess._fork_exec = _started  # type: ignore[attr-defined]


@contextlib.contextmanager
def own_interpreter() -> Iterator[None]:
    """What is started inside is no fork: for tests that look at a process from outside."""
    _off[0] += 1
    try:
        yield
    finally:
        _off[0] -= 1


def _started(
    args: Sequence[Any], programs: Any, close_fds: bool, keep: Sequence[int], cwd: Any, environment: Any,
    p2cread: int, p2cwrite: int, c2pread: int, c2pwrite: int, errread: int, errwrite: int, errpipe_read: int,
    errpipe_write: int, restore_signals: bool, session: bool, group: int, gid: Any, gids: Any, uid: Any, umask: int,
    preexec: Any, *rest: Any,
) -> int:  # fmt: skip
    """In place of ``subprocess``'s own call of fork and exec. Returns the process id of a child of this process."""
    words = tuple(map(os.fsdecode, args))
    variables = dict(os.environb) if environment is None else dict(pair.split(b"=", 1) for pair in environment)
    plain = (close_fds, restore_signals, gid, gids, uid, umask, preexec) == (True, True, None, None, None, -1, None)
    if plain and not _off[0] and words[:2] == (sys.executable, "-m") and words[2] in MODULES and _alike(variables):
        streams = [max(p2cread, 0), 1 if c2pwrite < 0 else c2pwrite, 2 if errwrite < 0 else errwrite]
        kept = sorted(set(keep) - {errpipe_write})
        with contextlib.suppress(OSError, ValueError):
            start = Start(
                words, variables, str(Path(os.fsdecode(cwd or ".")).absolute()), _umask(),
                tuple(int(number) for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN),
                session, group, (0, 1, 2, *kept),
            )  # fmt: skip
            if Path(start.folder).is_dir():
                return _ask(start, [*streams, *kept])
    return _fork_exec(
        args, programs, close_fds, keep, cwd, environment, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite,
        errpipe_read, errpipe_write, restore_signals, session, group, gid, gids, uid, umask, preexec, *rest,
    )  # fmt: skip


def _alike(variables: dict[bytes, bytes]) -> bool:
    """Whether Python itself would start in the same way with these variables."""
    return _read_by_python(variables) == _read_by_python(AT_START)


def _read_by_python(variables: dict[bytes, bytes]) -> dict[bytes, bytes]:
    root = os.fsencode(Path(__file__).parents[2])
    return {
        name: value
        for name, value in variables.items()
        if os.fsdecode(name).startswith(READ_BY_PYTHON) and (name, value) != (b"PYTHONPATH", root)
    }


AT_START = dict(os.environb)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _ask(start: Start, descriptors: list[int]) -> int:
    message = pickle.dumps(start)
    if len(message) > LARGEST:
        raise OSError
    with _lock:
        if not _template:
            _template.append(_new_template())
        # An orphan goes to its next ancestor that asks for orphans: that is how the fork becomes our child.
        ctypes.CDLL(None).prctl(SUBREAPER, 1)
        try:
            socket.send_fds(_template[0][1], [message], descriptors)
            return int(_template[0][1].recv(20))
        except BaseException:  # an alarm too: the next one who asks must not get this answer
            _off[0] += 1
            _end_template()
            raise
        finally:
            ctypes.CDLL(None).prctl(SUBREAPER, 0)


@atexit.register
def _end_template() -> None:
    while _template:
        process, ours = _template.pop()
        ours.close()  # and what it started without our knowledge ends with it
        process.kill()
        process.wait()


def _new_template() -> "tuple[subprocess.Popen[bytes], socket.socket]":
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(PATIENCE)
    with theirs:
        process = subprocess.Popen(  # ends when our socket does
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=AT_START,
            stdin=subprocess.DEVNULL,
            cwd=Path(__file__).parents[2],
        )
    return process, ours


def _be_template(asking: socket.socket) -> tuple[Start, list[int]] | None:
    """Serves until whoever asks is gone (None). Returns in each fork, with what it has to become."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _import_batcher()
    gc.collect()
    gc.freeze()
    while True:
        message, descriptors, *_ = socket.recv_fds(asking, LARGEST, 64)
        if not message:
            return None
        (reading, writing), (waiting, going) = os.pipe(), os.pipe()
        between = os.fork()
        if not between:
            child = os.fork()
            if not child:
                os.close(going)
                if not os.read(waiting, 1):  # nobody was told of this process, and another is started in its place
                    os._exit(1)
                return pickle.loads(message), descriptors
            os.write(writing, str(child).encode())
            os._exit(0)
        os.close(writing)
        pid = os.read(reading, 20)
        os.waitpid(between, 0)
        for descriptor in (reading, waiting, *descriptors):
            os.close(descriptor)
        asking.send(pid)
        os.write(going, b"!")
        os.close(going)


def _import_batcher() -> None:
    import batcher  # noqa: PLC0415  here only

    for module in pkgutil.walk_packages(batcher.__path__, "batcher."):
        if not any(part in module.name for part in UNTOUCHED):
            with contextlib.suppress(ImportError):  # an extra that is not there
                import_module(module.name)


def _become(start: Start, descriptors: list[int]) -> None:
    """Makes this process what ``exec`` would have made it, but for the modules that are there already."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)) or signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    for ignored in (*start.ignored, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_IGN)
    if signal.SIGINT not in start.ignored:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if start.session:
        os.setsid()
    if start.group >= 0:
        os.setpgid(0, start.group)
    os.umask(start.umask)
    _take(start.descriptors, descriptors)
    os.chdir(start.folder)
    os.environb.clear()
    os.environb.update(start.environment)
    time.tzset()
    tempfile.tempdir = None
    sys.orig_argv = list(start.words)
    sys.argv = ["-m", *start.words[3:]]
    sys.path[0] = start.folder
    sys.stdin, sys.stdout, sys.stderr = sys.__stdin__, sys.__stdout__, sys.__stderr__ = (  # type: ignore[misc]
        _stream(0, "r", "<stdin>", "strict"),
        _stream(1, "w", "<stdout>", "strict"),
        _stream(2, "w", "<stderr>", "backslashreplace"),
    )
    subprocess._fork_exec = _started  # type: ignore[attr-defined]
    globals()["_ask"] = _fork_itself


def _take(numbers: Sequence[int], descriptors: Sequence[int]) -> None:
    """The descriptors under these numbers, and no others."""
    above = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 200) for descriptor in descriptors]
    for number, descriptor in zip(numbers, above, strict=True):
        os.dup2(descriptor, number)
    for path in Path("/proc/self/fd").iterdir():
        if int(path.name) not in numbers:
            with contextlib.suppress(OSError):
                os.close(int(path.name))


def _stream(number: int, mode: str, name: str, errors: str) -> io.TextIOWrapper:
    stream = open(number, mode, errors=errors, newline=None if mode == "r" else "\n", closefd=False)  # noqa: SIM115
    assert isinstance(stream, io.TextIOWrapper)
    stream.reconfigure(line_buffering=number == 2 or os.isatty(number))
    stream.mode = mode  # type: ignore[misc]
    stream.buffer.raw.name = name
    return stream


def _fork_itself(start: Start, descriptors: list[int]) -> int:
    if threading.active_count() > 1:
        raise OSError  # only this thread would be there in the child
    pid = os.fork()
    if pid:
        return pid
    try:
        _run(start, descriptors)
    finally:  # what stands below us on the stack is the parent's
        traceback.print_exc()
        os._exit(1)


def _run(start: Start, descriptors: list[int]) -> None:
    """Ends this process as Python would, but for taking the modules apart, which costs more than many a command."""
    _become(start, descriptors)
    code = 0
    try:
        runpy.run_module(start.words[2], run_name="__main__", alter_sys=True)
    except SystemExit as ending:
        if ending.code is not None and not isinstance(ending.code, int):
            raise
        code = ending.code or 0
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    wanted = _be_template(socket.socket(fileno=int(sys.argv[1])))
    if wanted:
        _run(*wanted)
