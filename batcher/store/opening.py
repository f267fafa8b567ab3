"""Checks a run directory and opens its state file: is it one of batcher, and of a version that can be read?"""

import os
import secrets
import sqlite3
from contextlib import suppress
from itertools import islice
from pathlib import Path

from batcher.core.command_line import repair
from batcher.core.errors import BatcherError, DiskError, UsageError
from batcher.store.machine import damaged
from batcher.store.schema import APPLICATION_ID, VERSION, create

STATE = "state.db"
_NEW = ".state.db.{}.new"  # a state file that has no jobs yet
GENERATION = ".generation"  # which run wrote the state file
BUCKET = "images.url"  # where the images are, if not in the run directory
MANIFEST_COPY = ("manifest.copy", "manifest.copy.json")  # of a manifest at a URL: its bytes, and its URL
GIVEN = frozenset({"manifest.jsonl", "manifest.yaml", BUCKET, *MANIFEST_COPY})  # may exist before the state file
BUSY = 10.0  # seconds to wait for another process that uses the file


def prepare(run_dir: Path) -> None:
    """Create a run directory, or check that an existing one is of batcher. Raises UsageError, DiskError."""
    try:
        if run_dir.exists() and not run_dir.is_dir():
            raise UsageError(f"{run_dir} is a file, not a run directory", hint="Choose another with -o.")
        run_dir.mkdir(parents=True, exist_ok=True)
        names = [item.name for item in run_dir.iterdir() if not item.name.startswith(".")]
    except OSError as error:
        raise unwritable(run_dir, error) from error
    if not os.access(run_dir, os.W_OK | os.X_OK):
        raise unwritable(run_dir, PermissionError("no permission to write there"))
    if STATE in names:
        _check_is_file(run_dir / STATE)
        _check_unopened(run_dir / STATE)
    elif set(names) - GIVEN:
        raise _foreign(run_dir, names)


def connect(path: Path, *, is_scratch: bool = False) -> sqlite3.Connection:
    """A connection to write with; every commit is forced to the disk. Creates the tables of an empty or missing file.

    is_scratch: the file is deleted in the end, so nothing is forced to the disk. Raises UsageError for a file of
    another program or version, DiskError.
    """
    try:
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=BUSY, cached_statements=512
        )
        try:
            empty = not _check(connection, path)
            connection.execute(f"PRAGMA journal_mode = {'MEMORY' if is_scratch else 'WAL'}")
            # FULL: when COMMIT returns, the change is on the disk
            connection.execute(f"PRAGMA synchronous = {'OFF' if is_scratch else 'FULL'}")
            connection.execute("PRAGMA temp_store = FILE")
            connection.execute("PRAGMA cache_size = -16000")
            if empty:
                create(connection)
            connection.execute("PRAGMA busy_timeout = 0")  # from here on the callers wait themselves
        except BaseException:
            connection.close()
            raise
    except sqlite3.DatabaseError as error:
        if not isinstance(error, sqlite3.OperationalError):
            raise _unreadable(path, error) from error
        raise unwritable(path.parent, error) from error
    return connection


def remove_state(run_dir: Path) -> None:
    """Delete a state file that was just created and holds no job."""
    for suffix in ("", "-wal", "-shm"):
        (run_dir / f"{STATE}{suffix}").unlink(missing_ok=True)


def new_file(run_dir: Path) -> Path:
    """Where to write a new state file. Deletes what would be taken for a part of it, and those of runs that were killed
    meanwhile. Raises DiskError.
    """
    try:
        for path in (run_dir / f"{STATE}-wal", run_dir / f"{STATE}-shm", *run_dir.glob(_NEW.format("*"))):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(run_dir, error) from error
    return run_dir / _NEW.format(secrets.token_hex(4))


def identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of the file with this name now; None if there is none."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def connect_to_read(run_dir: Path) -> sqlite3.Connection:
    """A read-only connection, also beside a run that goes on. Raises UsageError if there is no run, DiskError."""
    path = run_dir / STATE
    _check_is_file(path)
    if not has_state(run_dir):
        if any(run_dir.glob(_NEW.format("*"))):
            raise UsageError(f"{run_dir} has no {STATE} yet", hint="A run makes it once its manifest is read.")
        raise UsageError(f"{run_dir} is not a run directory: it has no {STATE}", hint="`batcher run` makes one.")
    try:
        try:
            return _connect_to_read(path, "mode=ro")
        except sqlite3.OperationalError:
            # In a read-only folder SQLite can't create the files beside a WAL database that readers share with the
            # writer. If there are none, there is no writer, and the file can be read as it is.
            if path.with_name(f"{STATE}-wal").exists():
                raise
            return _connect_to_read(path, "mode=ro&immutable=1")
    except sqlite3.OperationalError as error:
        raise DiskError(f"{path} can't be read: {error}", hint="Check the permissions of the folder.") from error
    except sqlite3.DatabaseError as error:
        raise _unreadable(path, error) from error


def has_state(run_dir: Path) -> bool:
    """Whether there is a state file with content: not an empty one without a WAL beside it. Raises DiskError."""
    path = run_dir / STATE
    try:
        return path.is_file() and (path.stat().st_size > 0 or path.with_name(f"{STATE}-wal").exists())
    except OSError as error:
        raise DiskError(f"{run_dir} can't be read: {error.strerror}", hint="Check the path.") from error


def _connect_to_read(path: Path, options: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{options}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10, check_same_thread=False)
    try:
        if not _check(connection, path):
            raise UsageError(
                f"{path} is empty: the run that made it ended before it began",
                hint="`batcher run` with its manifest begins it.",
            )
    except BaseException:
        connection.close()
        raise
    return connection


def _check_is_file(path: Path) -> None:
    """Raises Damaged for a folder in its place, or a link to a missing file."""
    if os.path.lexists(path) and not path.is_file():
        what = f"a link to {path.readlink()}, which is not a file or does not exist" if path.is_symlink() else "no file"
        raise damaged(f"{path} is {what}", str(path.parent))


def _check_unopened(path: Path) -> None:
    """``_check`` before anything (lock, simulator's journal, files of SQLite) is written beside the file.

    ``immutable`` reads the file alone; what a WAL beside it holds is checked when the file is opened to write.
    """
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        try:
            _check(connection, path)
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        raise unwritable(path.parent, error) from error
    except sqlite3.DatabaseError as error:
        if not path.with_name(f"{STATE}-wal").exists():  # else half of it may be there, as a full disk leaves it
            raise _unreadable(path, error) from error


def _check(connection: sqlite3.Connection, path: Path) -> int:
    """The version of a state file, 0 if it is empty. Raises UsageError if it is of another program or version."""
    (ours,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if ours != APPLICATION_ID and (version or tables):
        raise _not_ours(path, "it is not batcher's")
    if version > VERSION:
        raise UsageError(
            f"{path} was written by a newer batcher (state version {version}; this one knows {VERSION})",
            hint="Nothing was touched. Upgrade batcher, or choose another run directory with -o.",
        )
    if 0 < version < VERSION:
        raise UsageError(
            f"{path} was written by an older batcher (state version {version}; this one reads version {VERSION})",
            hint="Nothing was touched. Finish that run with the older batcher. Or move the file away: then"
            f" `{repair(path.parent)}` makes a new one from the images and their sidecars.",
        )
    return int(version)


def _unreadable(path: Path, error: sqlite3.DatabaseError) -> BatcherError:
    if "malformed" in str(error):
        return damaged(f"the state file {path} is damaged: {error}", str(path.parent))
    return _not_ours(path, str(error))


def _not_ours(path: Path, why: str) -> BatcherError:
    """The error for a file of another program, or for a damaged state file if other files of a run are there."""
    if (path.parent / GENERATION).is_file() or _has_sidecar(path.parent):
        return damaged(f"the state file {path} is damaged: {why}", str(path.parent))
    return UsageError(
        f"{path} is not a state file of batcher", hint="Nothing was touched. Choose another run directory with -o."
    )


def _has_sidecar(run_dir: Path) -> bool:
    """Whether one of the first JSON files below ``images/`` is a sidecar of batcher."""
    for path in islice(run_dir.glob("images/**/*.json"), 8):
        with suppress(OSError):
            if b'"schema": "batcher/1"' in path.read_bytes()[:200]:
                return True
    return False


def _foreign(run_dir: Path, names: list[str]) -> UsageError:
    if {"images", "records.jsonl", BUCKET} & set(names):
        return UsageError(
            f"{run_dir} holds images of an earlier run but its {STATE} is gone",
            hint=f"Running there would pay for them again. `{repair(run_dir)}` makes a new {STATE}"
            " from their sidecars. Or choose another directory with -o.",
        )
    return UsageError(
        f"{run_dir} is not empty and not a run directory of batcher",
        hint="Nothing was touched. Choose an empty or new directory with -o.",
    )


def unwritable(run_dir: Path, error: Exception) -> DiskError:
    """The error for a run directory that can't be written. error: of the system, or of SQLite."""
    reason = getattr(error, "strerror", None) or str(error)
    return DiskError(f"the run directory {run_dir} can't be written: {reason}", hint="Choose another with -o.")
