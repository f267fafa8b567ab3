"""Axes that go together: the first values of all of them, then the second ones, as in Python's ``zip``.

A name that a prompt pins has the prompt's value in every row; the other names keep theirs. Rows that this makes the
same are one row, as each prompt gets each combination once.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from batcher.manifest.sweep.axes import Axis, identity


class Zip:
    """columns: name to its values, all of one length; a value may come more than once."""

    def __init__(self, columns: Mapping[str, Sequence[Any]]) -> None:
        self._columns = {name: tuple(values) for name, values in columns.items()}
        self._open: dict[frozenset[str], list[dict[str, Any]]] = {}
        self.axes = {name: Axis(values) for name, values in self._columns.items()}

    def rows(self, pins: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The different rows in order, without the pinned names; a single empty row when all are pinned."""
        pinned = frozenset(self._columns.keys() & pins.keys())
        if pinned not in self._open:
            names = [name for name in self._columns if name not in pinned]
            rows: dict[Any, dict[str, Any]] = {}
            for values in zip(*(self._columns[name] for name in names), strict=True):
                rows.setdefault(tuple(map(identity, values)), dict(zip(names, values, strict=True)))
            self._open[pinned] = list(rows.values()) if names else [{}]
        return self._open[pinned]

    def has(self, values: Mapping[str, Any], pins: Mapping[str, Any]) -> bool:
        """Whether some row, less what is pinned, has these values."""
        return any(all(identity(values[name]) == identity(row[name]) for name in row) for row in self.rows(pins))
