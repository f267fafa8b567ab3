"""The one writer of a state file: groups of calls become transactions. What the calls are is ``statefile.py``.

Nothing commits by itself: ``commit`` runs a group of calls in one transaction with one fsync (``queue.py`` collects the
groups), and the rows that they change go in together at its end (``batch.py``).
"""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from batcher.core.errors import DiskError
from batcher.store.batch import Batch
from batcher.store.opening import connect, identity

Outcome = tuple[bool, Any]  # (True, value) or (False, exception)


class Ledger:
    """The one writer. Open it only while holding the run lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = connect(path)
        self._identity = identity(path)
        self._in_place = False  # whether this group has looked
        self._batch = Batch(self.connection)
        self._moving: set[int] = set()  # jobs whose rows are in the batch
        self._learn_words()

    def close(self) -> None:
        self.connection.close()

    def commit(self, calls: Sequence[Callable[[], Any]]) -> list[Outcome]:
        """Runs the calls in one transaction. If one fails, each is run again in a transaction of its own, so that one
        bad call can't take its neighbours with it. Raises DiskError when the disk can't take it; then nothing of the
        group has happened.
        """
        try:
            return [(True, value) for value in self._together(calls)]
        except Exception as error:
            if _is_the_disks(error):
                raise disk_problem(error, self.path) from error
            return [self._alone(call) for call in calls]

    def must_commit(self, calls: Sequence[Callable[[], Any]]) -> None:
        """``commit`` for whoever wants all or an exception."""
        for fine, value in self.commit(calls):
            if not fine:
                raise value

    def _together(self, calls: Sequence[Callable[[], Any]]) -> list[Any]:
        self._in_place = False
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            values = [call() for call in calls]
            self._write()
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            self._batch.clear()
            self._moving.clear()
            self.forget()
            self._learn_words()  # without those of this group
            raise
        return values

    def _write(self) -> None:
        """The rows that calls of this group have asked for, so far."""
        self._batch.write()
        self._moving.clear()
        self.before_commit()

    def _be_in_place(self) -> None:
        """Looked at once in a group, for what must not be paid for otherwise."""
        if not self._in_place and identity(self.path) != self._identity:
            # SQLite would go on writing to a file without a name: good for what is paid for, not for paying more.
            raise sqlite3.OperationalError("it was removed or replaced while the run was going")
        self._in_place = True

    def _learn_words(self) -> None:
        self._words: dict[str, int] = dict(self.connection.execute("SELECT word, id FROM words"))
        self._heads = sum(word.endswith("/") for word in self._words)

    def _alone(self, call: Callable[[], Any]) -> Outcome:
        try:
            return True, self._together([call])[0]
        except Exception as error:  # noqa: BLE001  it belongs to whoever made this call
            return False, disk_problem(error, self.path) if _is_the_disks(error) else error

    def before_commit(self) -> None:
        """What is left to do once the rows of the group are in."""

    def forget(self) -> None:
        """The group is not written after all."""

    def _word(self, word: str) -> int:
        number = self._words.get(word)
        if number is None:
            row = self.connection.execute("INSERT INTO words (word) VALUES (?) RETURNING id", (word,)).fetchone()
            number = self._words[word] = int(row[0])
        return number


def _is_the_disks(error: Exception) -> bool:
    """Whether everybody's work is in danger, and not only that of one call that broke a rule of the tables."""
    ours = sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError
    return isinstance(error, sqlite3.Error) and not isinstance(error, ours)


def disk_problem(error: Exception, path: Path) -> DiskError:
    """SQLite's word for what the disk did, as ours."""
    return DiskError(
        f"the state file {path} can't be written: {error}",
        hint="Everything so far is kept. Make room or give rights there, then run the same command again.",
    )
