"""Failures of the machine (disk, memory, threads) as errors that a person can read."""

import errno
import sqlite3
from contextlib import suppress

from batcher.core.command_line import repair
from batcher.core.errors import Damaged, DiskError

RULE_BROKEN = sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError  # a defect of one call
_OF_THE_DISK = frozenset(
    getattr(errno, name)
    for name in ("EIO", "ENOSPC", "EROFS", "EDQUOT", "ENODEV", "ENXIO", "ESTALE", "EFBIG", "ENOTCONN", "EUCLEAN")
    if hasattr(errno, name)
)
_KEPT = "Everything that could be written is kept."
LEAST_MEMORY = 640 << 20  # bytes of address space


def check_memory() -> None:
    """Raises DiskError if the process may use less address space than LEAST_MEMORY.

    Near such a limit a run can hang: CPython waits for ever for a thread that ended for lack of memory before it was
    up, and 3.11 repeats without end what failed in an exception handler.
    """
    with suppress(ImportError):  # Windows
        import resource  # noqa: PLC0415

        allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
        if allowed != resource.RLIM_INFINITY and allowed < LEAST_MEMORY:
            raise DiskError(
                f"this process may use {allowed >> 20:,} MB of address space, and a run needs {LEAST_MEMORY >> 20} MB",
                hint=f"Nothing was submitted. Raise the limit (`ulimit -v {LEAST_MEMORY >> 10}`), then run the same"
                " command again.",
            )


def machine_problem(error: BaseException) -> DiskError | None:
    """The error for a person. None if ``error`` is not a failure of the machine: then it is a defect."""
    problem = None
    if isinstance(error, BaseExceptionGroup):
        problems = [machine_problem(one) for one in error.exceptions]
        problem = problems[0] if all(problems) else None
    elif isinstance(error, DiskError):
        problem = error
    elif isinstance(error, sqlite3.Error) and not isinstance(error, RULE_BROKEN):
        problem = _of_the_state_file(error)
    elif isinstance(error, OSError) and error.errno in _OF_THE_DISK:
        what = f"{error.filename} can't be read or written" if error.filename else "the disk is failing"
        hint = f"{_KEPT} Free some space or check the disk, then run the same command again."
        problem = DiskError(f"{what}: {error.strerror}", hint=hint)
    elif _is_about_memory(error):
        problem = _too_little("there is not enough memory")
    elif isinstance(error, RuntimeError) and "start new thread" in str(error):
        problem = _too_little("the system does not allow batcher to start another thread")
    return problem


def damaged(message: str, run: str = "RUN") -> Damaged:
    """The error for a damaged state file, with the way out. run: its run directory."""
    way = f"`{repair(run)}` makes a new one from the images and their sidecars"
    return Damaged(message, hint=f"{way}; the old one is kept.")


def may_have_lost(problem: DiskError) -> bool:
    """Whether writes that were not yet forced to the disk may be lost: not by a full disk, which refuses the write."""
    cause = problem.__cause__
    return isinstance(cause, sqlite3.Error) and getattr(cause, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_FULL


_NO_MEMORY = (
    (ImportError, "failed to map segment"),
    (ValueError, "no reason supplied"),
    (SystemError, "error return without exception set"),
)


def _is_about_memory(error: BaseException) -> bool:
    """Whether memory ran out. The loader of modules, OpenSSL and the interpreter report it in their own words."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return any(isinstance(error, kind) and words in str(error) for kind, words in _NO_MEMORY)


def _too_little(what: str) -> DiskError:
    return DiskError(
        what,
        hint=f"{_KEPT} Raise the limits of memory and processes (`ulimit -v`, `ulimit -u`), or lower --in-flight and"
        " --downloads; then run the same command again.",
    )


def _of_the_state_file(error: sqlite3.Error) -> DiskError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if isinstance(error, sqlite3.OperationalError) and code == sqlite3.SQLITE_NOMEM:
        return _too_little("there is not enough memory")
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB} or "malformed" in str(error):
        return damaged(f"the state file of the run is damaged, or its disk is failing: {error}")
    return DiskError(
        f"the state file of the run can't be read or written: {error}",
        hint=f"{_KEPT} Free some space or check the disk, then run the same command again.",
    )
