"""The run lock: one process at a time works in a run directory, and any process can check whether one does.

The operating system holds the file lock and frees it when the process ends, for whatever reason. A process id alone is
not enough: it exists until the parent has collected a killed process, and may be given to a new one.

A file lock (``flock``) can only be tested by taking it. ``is_held`` takes it for some microseconds, as a shared lock,
so that two tests don't see each other. ``locked`` tries for ``PATIENCE`` seconds, so that a test can't turn it away.
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
_BEGAN = 18  # place of the start time in /proc/PID/stat, counted after the state; in clock ticks since boot
PATIENCE = 0.25  # seconds


@contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Hold the lock of a run directory. Raises BusyError if another process has it, DiskError."""
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
    """`` (process 17928 on nightbox, since 2026-11-29 23:48)``; empty if it is not recorded (a repair, say)."""
    try:
        with closing(connect_to_read(run_dir)) as connection:
            process = read_facts(connection).process
    except (BatcherError, sqlite3.Error):
        return ""
    if process is None or (process.host == socket.gethostname() and not _exists(process.pid)):
        return ""
    since = f", since {datetime.fromtimestamp(process.since).astimezone():%Y-%m-%d %H:%M}" if process.since else ""
    return f" (process {process.pid} on {one_line(process.host, 60)}{since})"


def is_going(connection: sqlite3.Connection, run_dir: Path) -> bool:
    """Whether a run goes on in this directory.

    A run on another machine counts as going on until it ends in order, because its lock may not be visible here.
    """
    process = read_facts(connection).process
    if process is None:
        return False
    return process.host != socket.gethostname() or (is_held(run_dir) and _exists(process.pid))


def is_held(run_dir: Path) -> bool:
    """Whether a process holds the lock of the run directory; True also if the system can't say."""
    try:
        import fcntl  # noqa: PLC0415  not on every system
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
        os.close(lock)  # frees the lock too


def still_at_work(process: Process) -> bool:
    """Whether this process is alive although its lock is not held: a lock file can be deleted, or do nothing.

    A later process with the same id is recognised by its start time. False for a process of another machine, for our
    own, and if the system can't say.
    """
    if process.host != socket.gethostname() or process.pid == os.getpid():
        return False
    try:
        state, *facts = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        running = time.clock_gettime(time.CLOCK_BOOTTIME) - int(facts[_BEGAN]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return False
    return state not in {"Z", "X"} and time.time() - running <= process.since


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it belongs to another user
    return True
