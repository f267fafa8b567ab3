"""The writer of a state file: groups of calls become transactions. What the calls are is ``statefile.py``.

Nothing commits by itself. ``apply`` runs a group of calls in an open transaction and ``seal`` commits it with one fsync
(``queue.py`` collects the groups, and seals them in a thread); ``commit`` is both, for whoever may wait.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from batcher.core.errors import DiskError, TakenOver
from batcher.store.opening import connect, identity

Outcome = tuple[bool, Any]  # (True, value) or (False, exception)
PATIENCE = 60.0  # seconds that another process may write in one go (``retry`` of a million jobs) before it is an error
GLANCE = 0.02  # seconds between two tries to be the writer


class Transactions:
    """Several processes may have one open: every move is guarded by the state it starts from. is_scratch: the file is
    thrown away in the end.
    """

    def __init__(self, path: Path, *, is_scratch: bool = False) -> None:
        self.path = path
        self.connection = connect(path, is_scratch=is_scratch)
        self._identity = identity(path)
        self._in_place = True
        self._generation: str | None = None  # JSON, as in ``meta``, of the run that this process is; None for no run
        self._outdated = False  # whether it is on record that the tables beside the file are
        (self._version,) = self.connection.execute("PRAGMA data_version").fetchone()

    def close(self) -> None:
        self.connection.close()

    def commit(self, calls: Sequence[Callable[[], Any]]) -> list[Outcome]:
        """Runs the calls in one transaction. If one fails, each is run again in a transaction of its own, so that one
        bad call can't take its neighbours with it. Raises DiskError when the disk can't take it; then nothing of the
        group has happened.
        """
        outcomes = self.try_together(calls)
        if outcomes is None:
            return [self._alone(call) for call in calls]
        self.seal()
        return outcomes

    def must_commit(self, calls: Sequence[Callable[[], Any]]) -> list[Any]:
        """``commit`` for whoever wants all or an exception: what each call gave."""
        outcomes = self.commit(calls)
        for fine, value in outcomes:
            if not fine:
                raise value
        return [value for _, value in outcomes]

    def begin(self) -> bool:
        """Opens a transaction; False while another process writes. Raises DiskError."""
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            self._in_place = identity(self.path) == self._identity
            self._be_ours()
        except sqlite3.Error as error:
            self.roll_back()
            if _is_busy(error):
                return False
            raise disk_problem(error, self.path) from error
        return True

    def note_generation(self) -> None:
        """From here on only the run that is on record now may write, and that is this one."""
        self._generation = self._recorded_generation()

    def _recorded_generation(self) -> str | None:
        row = self.connection.execute("SELECT value FROM meta WHERE name = 'generation'").fetchone()
        return None if row is None else str(row[0])

    def _be_ours(self) -> None:
        """Raises TakenOver when another run has begun in this directory: a lock may be deleted, or do nothing."""
        if self._generation is not None and self._recorded_generation() != self._generation:
            self.roll_back()
            raise TakenOver(
                f"another batcher has begun to write to {self.path.parent}",
                hint="This one has stopped writing. What it had submitted is collected by the other or the next run.",
            )

    def apply(self, calls: Sequence[Callable[[], Any]]) -> list[Outcome] | None:
        """Runs the calls in the open transaction. None when one of them failed: then nothing has happened, and each is
        to be run alone. Raises DiskError.
        """
        try:
            return [(True, call()) for call in calls]
        except BaseException as error:
            self.roll_back()
            if isinstance(error, Exception) and not _is_the_disks(error):
                return None
            if isinstance(error, sqlite3.Error):
                raise disk_problem(error, self.path) from error
            raise

    def seal(self) -> None:
        """Commits: with its return the group is on the disk. Raises DiskError; then nothing has happened."""
        try:
            self.connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.roll_back()
            raise disk_problem(error, self.path) from error

    def roll_back(self) -> None:
        self._outdated = False
        if self.connection.in_transaction:
            with suppress(sqlite3.Error):  # a disk that fails has rolled it back already
                self.connection.execute("ROLLBACK")

    def try_together(self, calls: Sequence[Callable[[], Any]]) -> list[Outcome] | None:
        """``begin``, with patience, and ``apply``."""
        until = time.monotonic() + PATIENCE
        while not self.begin():
            if time.monotonic() > until:
                raise busy(self.path)
            time.sleep(GLANCE)
        return self.apply(calls)

    def _alone(self, call: Callable[[], Any]) -> Outcome:
        problems: list[Exception] = []

        def heard() -> Any:
            try:
                return call()
            except Exception as error:
                problems.append(error)
                raise

        try:
            outcomes = self.try_together([heard])
            if outcomes is not None:
                self.seal()
        except DiskError as error:
            return False, error
        return (False, problems[0]) if outcomes is None else outcomes[0]

    def be_in_place(self) -> None:
        """For what must not be paid for otherwise: SQLite goes on writing to a file that has no name any more."""
        if not self._in_place:
            raise sqlite3.OperationalError("it was removed or replaced while the run was going")


def _is_busy(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def _is_the_disks(error: Exception) -> bool:
    """Whether everybody's work is in danger, and not only that of one call that broke a rule of the tables."""
    ours = sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError
    return isinstance(error, sqlite3.Error) and not isinstance(error, ours)


def busy(path: Path) -> DiskError:
    return DiskError(
        f"the state file {path} has been locked by another program for {PATIENCE:.0f} s",
        hint="Close the program that writes to it, then run the same command again.",
    )


def disk_problem(error: Exception, path: Path) -> DiskError:
    """SQLite's word for what the disk did, as ours."""
    return DiskError(
        f"the state file {path} can't be written: {error}",
        hint="Everything so far is kept. Free some space or fix the permissions, then run the same command again.",
    )
