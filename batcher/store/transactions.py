"""Groups of calls as transactions of the state file. The calls are methods of ``StateFile``.

Nothing is committed by itself. A group takes three steps: ``begin``, ``apply``, ``seal``. ``commits.CommitQueue`` runs
the last one, which waits for the disk, in a thread. ``commit`` does all three and blocks.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from batcher.core.errors import DiskError, TakenOver
from batcher.store.files.disk import disk
from batcher.store.files.whole import put_unless_there
from batcher.store.machine import RULE_BROKEN
from batcher.store.opening import connect, identity, new_file, remove_state

Outcome = tuple[bool, Any]  # (True, value) or (False, exception)
PATIENCE = 60.0  # seconds that another process may write in one go (``retry`` of a million jobs) before it is an error
GLANCE = 0.02  # seconds between two attempts to begin


class Transactions:
    """The writer's connection. Other processes may have one too; SQLite lets one of them write at a time.

    path: the state file; an empty or missing one gets its tables.
    is_scratch: the file is deleted in the end (``plan``), so nothing is forced to the disk.
    is_new: there is no state file yet. It has another name and nothing is forced to the disk until ``put_in_place``,
    because a journal would take every row of a long manifest twice.
    """

    def __init__(self, path: Path, *, is_scratch: bool = False, is_new: bool = False) -> None:
        self.path = path
        self._new = new_file(path.parent) if is_new else None  # until ``put_in_place``
        self._open(self._new or path, is_scratch=is_scratch or is_new)
        self._generation: str | None = None  # of the run that this process is, JSON as in ``meta``; None for no run
        self._outdated = False  # whether ``meta`` records that the tables beside the file are out of date

    def _open(self, path: Path, *, is_scratch: bool) -> None:
        self.connection = connect(path, is_scratch=is_scratch)
        self._identity = identity(self.path)
        self._in_place = True
        (self._version,) = self.connection.execute("PRAGMA data_version").fetchone()

    def put_in_place(self) -> None:
        """Give a new file its name, whole and forced to the disk. No effect on other files.

        Raises DiskError; TakenOver if another batcher has done so meanwhile, where locks do nothing.
        """
        if self._new is not None:
            self.connection.close()
            with disk(self.path.name):
                if not put_unless_there(self._new, self.path):
                    raise _taken_over(self.path.parent)
            self._new = None
            self._open(self.path, is_scratch=False)

    def abandon(self) -> None:
        """Close a new file and delete it: it holds no job that was submitted."""
        self.close()
        if self._new is None:
            remove_state(self.path.parent)
        else:
            self._new.unlink(missing_ok=True)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}{', in a transaction' * self.connection.in_transaction}>"

    def close(self) -> None:
        self.connection.close()

    def commit(self, calls: Sequence[Callable[[], Any]]) -> list[Outcome]:
        """Run the calls in one transaction and commit it. Returns an outcome for each call.

        If a call fails, each is run again in its own transaction, so a bad call can't take the others with it. Raises
        DiskError if the disk can't take the group; then none of it has happened.
        """
        self.wait_to_begin()
        outcomes = self.apply(calls)
        if isinstance(outcomes, Exception):
            return self.commit_each(calls)
        self.seal()
        return outcomes

    def must_commit(self, calls: Sequence[Callable[[], Any]]) -> list[Any]:
        """As ``commit``, but returns the values and raises the first exception of a call."""
        outcomes = self.commit(calls)
        for fine, value in outcomes:
            if not fine:
                raise value
        return [value for _, value in outcomes]

    def commit_each(self, calls: Sequence[Callable[[], Any]]) -> list[Outcome]:
        """As ``commit``, with a transaction for each call. A DiskError is an outcome here."""
        return [self._alone(call) for call in calls]

    def _alone(self, call: Callable[[], Any]) -> Outcome:
        try:
            self.wait_to_begin()
            outcomes = self.apply([call])
            if isinstance(outcomes, Exception):
                return False, outcomes
            self.seal()
        except DiskError as error:
            return False, error
        return outcomes[0]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction around the block, committed at its end; any error rolls it back. Raises DiskError."""
        self.wait_to_begin()
        try:
            yield
        except sqlite3.OperationalError as error:
            self.roll_back()
            raise _cannot_write(error, self.path) from error
        except BaseException:
            self.roll_back()
            raise
        self.seal()

    def begin(self) -> bool:
        """Open a transaction. False while another process writes. Raises DiskError, TakenOver."""
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            self._in_place = identity(self.path) == self._identity
            self._check_generation()
        except sqlite3.Error as error:
            self.roll_back()
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                return False
            raise _cannot_write(error, self.path) from error
        return True

    def wait_to_begin(self) -> None:
        """``begin``, repeated while another process writes. Raises DiskError after ``PATIENCE``, TakenOver."""
        until = time.monotonic() + PATIENCE
        while not self.begin():
            if time.monotonic() > until:
                raise busy(self.path)
            time.sleep(GLANCE)

    def note_generation(self) -> None:
        """From now on only the run that ``meta`` records may write: this process."""
        self._generation = self._recorded_generation()

    def _recorded_generation(self) -> str | None:
        row = self.connection.execute("SELECT value FROM meta WHERE name = 'generation'").fetchone()
        return None if row is None else str(row[0])

    def _check_generation(self) -> None:
        """Raises TakenOver if another run has begun in this directory: a lock file can be deleted, or do nothing."""
        if self._generation is not None and self._recorded_generation() != self._generation:
            self.roll_back()
            raise _taken_over(self.path.parent)

    def apply(self, calls: Sequence[Callable[[], Any]]) -> list[Outcome] | Exception:
        """Run the calls in the open transaction. If one fails, roll back and return its exception. Raises DiskError."""
        try:
            return [(True, call()) for call in calls]
        except BaseException as error:
            self.roll_back()
            if isinstance(error, sqlite3.Error) and not isinstance(error, RULE_BROKEN):
                raise _cannot_write(error, self.path) from error
            if isinstance(error, Exception):
                return error
            raise

    def seal(self) -> None:
        """Commit: when it returns, the group is on the disk. Raises DiskError; then none of it has happened."""
        try:
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.roll_back()
            raise _cannot_write(error, self.path) from error

    def roll_back(self) -> None:
        self._outdated = False
        if self.connection.in_transaction:
            with suppress(sqlite3.Error):  # a disk that fails has rolled it back already
                self.connection.execute("ROLLBACK")

    def check_in_place(self) -> None:
        """Raises sqlite3.OperationalError if the file was removed or replaced: SQLite would go on writing to it."""
        if not self._in_place:
            raise sqlite3.OperationalError("it was removed or replaced while the run was going")


def busy(path: Path) -> DiskError:
    """The error for a state file that another program has kept locked for ``PATIENCE`` seconds."""
    return DiskError(
        f"the state file {path} has been locked by another program for {PATIENCE:.0f} s",
        hint="Close the program that writes to it, then run the same command again.",
    )


def _taken_over(run_dir: Path) -> TakenOver:
    return TakenOver(
        f"another batcher has begun to write to {run_dir}",
        hint="This one has stopped writing. What it had submitted is collected by the other or the next run.",
    )


def _cannot_write(error: sqlite3.Error, path: Path) -> DiskError:
    return DiskError(
        f"the state file {path} can't be written: {error}",
        hint="Everything so far is kept. Free some space or fix the permissions, then run the same command again.",
    )
