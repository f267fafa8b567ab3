"""Opening a run directory: is it ours, is it free, is it of our time. Owns the run lock and the connections."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from batcher.errors import BusyError, DiskError, UsageError
from batcher.store.schema import APPLICATION_ID, VERSION, migrate

STATE = "state.db"
LOCK = ".lock"


def prepare(run_dir: Path) -> None:
    """Makes the run directory, or makes sure that an existing one is ours. Raises UsageError, DiskError."""
    if run_dir.exists() and not run_dir.is_dir():
        raise UsageError(f"{run_dir} is a file, not a run directory", hint="Choose another with -o.")
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        found = [item.name for item in run_dir.iterdir() if not item.name.startswith(".")]
    except OSError as error:
        raise _unwritable(run_dir, error) from error
    if not os.access(run_dir, os.W_OK | os.X_OK):
        raise _unwritable(run_dir, PermissionError("no right to write there"))
    if found and STATE not in found:
        raise _foreign(run_dir, found)


@contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Holds the run directory for this process; the system frees it when the process dies, however it dies."""
    lock = filelock.FileLock(run_dir / LOCK, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise BusyError(
            f"{run_dir} is in use by another batcher",
            hint=f"`batcher status {run_dir}` shows how far it is. Stop it with Ctrl-C, or wait.",
        ) from None
    except OSError as error:
        raise _unwritable(run_dir, error) from error
    try:
        yield
    finally:
        lock.release()


def connect(path: Path) -> sqlite3.Connection:
    """The writer's connection: durable at every commit. Raises UsageError for a file that isn't ours, DiskError."""
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        try:
            _check(connection, path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")  # a commit is on the disk, not only with the system
            connection.execute("PRAGMA temp_store = FILE")
            connection.execute("PRAGMA cache_size = -16000")
            migrate(connection)
        except BaseException:
            connection.close()
            raise
    except sqlite3.DatabaseError as error:
        if "not a database" in str(error) or "malformed" in str(error):
            raise _not_ours(path) from error
        raise _unwritable(path.parent, error) from error
    return connection


def connect_to_read(run_dir: Path) -> sqlite3.Connection:
    """A read-only connection that works beside a going run. Raises UsageError when there is no run."""
    path = run_dir / STATE
    if not path.is_file():
        raise UsageError(f"{run_dir} is not a run directory: it has no {STATE}", hint="`batcher run` makes one.")
    uri = f"{path.absolute().as_uri()}?mode=ro"
    try:
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10, check_same_thread=False)
        try:
            _check(connection, path)
        except BaseException:
            connection.close()
            raise
    except sqlite3.OperationalError as error:
        raise DiskError(f"{path} can't be read: {error}", hint="Check the rights of the folder.") from error
    except sqlite3.DatabaseError as error:
        raise _not_ours(path) from error
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    (ours,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if ours != APPLICATION_ID and (version or tables):
        raise _not_ours(path)
    if version > VERSION:
        raise UsageError(
            f"{path} was written by a newer batcher (state version {version}; this one knows {VERSION})",
            hint="Nothing was touched. Upgrade batcher, or choose another run directory with -o.",
        )


def _not_ours(path: Path) -> UsageError:
    return UsageError(
        f"{path} is not a state file of batcher", hint="Nothing was touched. Choose another run directory with -o."
    )


def _foreign(run_dir: Path, found: list[str]) -> UsageError:
    if "images" in found or "records.jsonl" in found:
        return UsageError(
            f"{run_dir} holds images of an earlier run but its {STATE} is gone",
            hint=f"Running there would pay for them again. Put {STATE} back, or choose another directory with -o.",
        )
    return UsageError(
        f"{run_dir} is not empty and not a run directory of batcher",
        hint="Nothing was touched. Choose an empty or new directory with -o.",
    )


def _unwritable(run_dir: Path, error: Exception) -> DiskError:
    reason = getattr(error, "strerror", None) or str(error)
    return DiskError(f"the run directory {run_dir} can't be written: {reason}", hint="Choose another with -o.")
