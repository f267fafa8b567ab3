"""The run lock: one process at a time works in a run directory, and anybody may ask whether one does.

The lock is on a file and belongs to the system, which frees it the moment its holder dies, however it dies. A process
number is weaker: it is still there while a killed process waits for its parent to ask after it, and a new process may
have it. So who asks whether a run is going asks the lock as well.

A file lock (``flock``) can't be looked at, only taken. ``is_held`` takes it for some microseconds, shared, so that two
who ask don't see each other; and who wants to hold it tries again for a quarter of a second, so that nobody is turned
away by a question.
"""

import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from shlex import quote

import filelock

from batcher.core.command_line import command_line
from batcher.core.errors import BatcherError, BusyError, DiskError
from batcher.core.one_line import one_line
from batcher.store.facts import Process, read_facts
from batcher.store.files.disk import is_link
from batcher.store.opening import connect_to_read, unwritable

LOCK = ".lock"
_BEGAN = 18  # of the numbers in /proc/PID/stat after the state: clock ticks from the start of the machine
PATIENCE = 0.25  # seconds


@contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Holds the run directory for this process. Raises BusyError, DiskError."""
    lock = filelock.FileLock(run_dir / LOCK, timeout=PATIENCE, poll_interval=0.01)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise BusyError(
            f"{run_dir} is in use by another batcher{_holder(run_dir)}",
            hint=f"`{command_line('status', run_dir)}` shows how far it is. Stop it with Ctrl-C, or wait.",
        ) from None
    except OSError as error:
        if is_link(error):
            raise DiskError(
                f"{run_dir / LOCK} is a link, and the lock has to be a file of its own",
                hint=f"Nothing was submitted. Remove it (rm {quote(str(run_dir / LOCK))}), then run the same command"
                " again.",
            ) from error
        raise unwritable(run_dir, error) from error
    try:
        yield
    finally:
        lock.release()


def _holder(run_dir: Path) -> str:
    """`` (process 17928 on nightbox, since 2026-11-29 23:48)``; empty where it is not on record, as of a repair."""
    try:
        with closing(connect_to_read(run_dir)) as connection:
            process = read_facts(connection).process
    except (BatcherError, sqlite3.Error):
        return ""
    if process is None or (process.host == socket.gethostname() and not _is_there(process.pid)):
        return ""
    since = f", since {datetime.fromtimestamp(process.since).astimezone():%Y-%m-%d %H:%M}" if process.since else ""
    return f" (process {process.pid} on {one_line(process.host, 60)}{since})"


def is_going(connection: sqlite3.Connection, run_dir: Path) -> bool:
    """Whether a run is at work in this directory; a killed one is found out, unless it was on another machine, whose
    locks may not show here.
    """
    process = read_facts(connection).process
    if process is None:
        return False
    return process.host != socket.gethostname() or (is_held(run_dir) and _is_there(process.pid))


def is_held(run_dir: Path) -> bool:
    """Whether somebody holds the run directory; also where that can't be seen."""
    try:
        import fcntl  # noqa: PLC0415  not everywhere
    except ImportError:
        return True
    try:
        lock = os.open(run_dir / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(lock)  # which frees it


def still_at_work(process: Process) -> bool:
    """Whether that very process is alive, though its lock is not held: a lock can be deleted, or do nothing.

    A number that was given to another process since is told by when that one began. False where the system does not
    say, for a process of another machine, and for our own.
    """
    if process.host != socket.gethostname() or process.pid == os.getpid():
        return False
    try:
        state, *facts = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        running = time.clock_gettime(time.CLOCK_BOOTTIME) - int(facts[_BEGAN]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return False
    return state not in {"Z", "X"} and time.time() - running <= process.since


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's, but alive
    return True
