"""Many rows in one statement.

Each statement that SQLite runs for us is two hand-overs of the interpreter's lock, to its thread and back, which costs
more than what it does to one row. So the calls of a group only say which rows they want changed and how; then all rows
of one shape go in together.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

from batcher.core.errors import Defect

MOST_ROWS = 64  # of one statement
SIZES = (MOST_ROWS, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1)  # a few, so that few texts are ever compiled

Row = tuple[Any, ...]
Told = tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """One of each kind: they are told apart by which they are.

    sql: with ``{rows}`` where the rows go, each ``(?, ?, ...)``, and its verb first: only then are rows counted.

    each_counts: every row must change one in the file.
    """

    sql: str
    each_counts: bool = False


class Batch:
    """The changes of one transaction, by statement, in the order in which the statements first came."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._rows: dict[Statement, list[Row]] = {}
        self._told: dict[Statement, list[Told]] = {}

    def add(self, statement: Statement, row: Row, told: Told = ()) -> None:
        """told: a text and what goes in its braces, for the message should the row not fit what the file says."""
        self._rows.setdefault(statement, []).append(row)
        if statement.each_counts:
            self._told.setdefault(statement, []).append(told)

    def write(self) -> None:
        """Raises Defect when a row that must be there is not."""
        staged, told = self._rows, self._told
        self.clear()
        for statement, rows in staged.items():
            changed = write_rows(self._connection, statement.sql, rows)
            if statement.each_counts and changed != len(rows):
                text, *words = told[statement][0]
                beside = f"; or one of the {len(rows) - 1} moves beside it" if len(rows) > 1 else ""
                raise Defect(text.format(*words) + beside)

    def clear(self) -> None:
        self._rows, self._told = {}, {}


def write_rows(connection: sqlite3.Connection, sql: str, rows: Sequence[Row]) -> int:
    """How many rows of the file were changed."""
    changed = at = 0
    for size in SIZES:
        while len(rows) - at >= size:
            chunk = rows[at : at + size]
            changed += connection.execute(_text(sql, len(chunk[0]), size), list(chain.from_iterable(chunk))).rowcount
            at += size
    return changed


@lru_cache(maxsize=1024)
def _text(sql: str, columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return sql.replace("{rows}", ", ".join([row] * rows))
