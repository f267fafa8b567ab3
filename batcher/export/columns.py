"""The columns of a dataset: their names, their types, and how values are written so that every reader agrees.

Readers guess the type of a column from its first rows, and fail or round values when a later row does not fit. So types
are chosen here, over all rows, before anything is written:

- A column with an integer beyond 64 bits is text (Arrow would turn it into floats and round the seeds).
- Integers in a column with fractions are written as fractions. Any other mix of types makes the column text.
- Lists and objects are written as JSON text, because their shape can differ from row to row.
- A column without any value is left out.

The prompt comes first, then the other inputs, ``meta``, the values that ``vars`` and ``repeat`` chose, the verdict
(``pick``, ``stars``, ``tags``, if any row has one), and the facts. Inputs keep their names. A name that is taken gets a
prefix such as ``meta_``; a name that readers use otherwise (``..._file_name``) gets the suffix ``_text``. Names that
differ only in case count as the same, because DuckDB does not distinguish ``Note`` from ``note``.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import chain
from typing import Any

from batcher.core.job import canonical_json
from batcher.core.suggest import printable
from batcher.core.where import VERDICTS

LARGEST = 2**63 - 1
_EXACT = 2**53  # a float holds every integer up to this
_RESERVED = frozenset({
    "file", "file_name", "image", "images", "label", "split", "__key__", "__url__", "png", "jpg", "webp", "txt", "json",
})  # fmt: skip
_FILE = re.compile(r"file_names?$", re.IGNORECASE)
# Arrow reads a JSON column as timestamps if all its values match; it accepts no fractions of a second.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d(:\d\d(:\d\d)?)?(Z|[+-]\d\d(:?\d\d)?)?)?", re.ASCII)

PLACES = ("inputs", "meta", "chosen", "verdict")
"""Where a column's values come from: inputs, the meta of the manifest row, the choices of ``vars`` and ``repeat``, or
the verdict."""
Places = tuple[Mapping[str, Any], ...]  # the values of one row, one mapping for each of PLACES


class Kind(StrEnum):
    """The type of a column."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    BINARY = "binary"  # encoded images; jobs have no such values


@dataclass(slots=True)
class Column:
    """One column, as learned from all rows.

    place: index into PLACES of where its values come from.
    key: its name there.
    name: its name in the dataset.
    kinds: names of the Python types of its values.
    filled: by split, the first row whose value fixes the type.
    moments: by split, whether every text looks like a moment in time.
    seen: number of rows with a value, if ``see_gaps`` counts them.
    huge: whether an integer does not fit into 64 bits.
    unexact: whether an integer can't be held exactly by a float.
    """

    place: int
    key: str
    name: str = ""
    kinds: set[str] = field(default_factory=set)
    filled: dict[str, int] = field(default_factory=dict)
    moments: dict[str, bool] = field(default_factory=dict)
    seen: int = 0
    huge: bool = False
    unexact: bool = False

    @property
    def kind(self) -> Kind:
        """The type that holds every value seen."""
        if self.kinds == {"bool"}:
            return Kind.BOOLEAN
        if self.kinds == {"int"} and not self.huge:
            return Kind.INTEGER
        if self.kinds <= {"int", "float"} and "float" in self.kinds and not (self.huge or self.unexact):
            return Kind.NUMBER
        return Kind.TEXT

    def see(self, value: Any, split: str, row: int) -> None:
        """Take a value other than None into account. row: its number within the split, from 0."""
        kind = type(value).__name__
        if kind == "str":
            if self.moments.get(split) is not False:
                self.kinds.add(kind)
                moment = self.moments[split] = is_moment(value)
                if not moment or split not in self.filled:
                    self.filled[split] = row
            return
        self.kinds.add(kind)
        self.filled.setdefault(split, row)
        if kind == "int" and not -_EXACT <= value <= _EXACT:
            self.unexact = True
            self.huge = self.huge or not -LARGEST - 1 <= value <= LARGEST

    @property
    def writer(self) -> Callable[[Any], Any] | None:
        """A function that converts values to the column's type; None if they have it already."""
        if self.kind is Kind.NUMBER:
            return float if "int" in self.kinds else None
        return as_text if self.kind is Kind.TEXT else None


def is_moment(text: str) -> bool:
    """Whether Arrow reads the text as a moment in time. ``0000-00-00`` and ``2024-02-30`` are none."""
    try:
        return _MOMENT.fullmatch(text) is not None and bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def as_text(value: Any) -> str:
    """A text as it is, other values as JSON. Lone surrogates become ``?``, so that it can be encoded."""
    text = value if isinstance(value, str) else canonical_json(value)
    return text if text.isascii() else text.encode(errors="replace").decode()


FACTS: Mapping[str, Kind] = {
    "prompt_id": Kind.TEXT,
    "model": Kind.TEXT,
    "width": Kind.INTEGER,
    "height": Kind.INTEGER,
    "source_sha256": Kind.TEXT,
    "job": Kind.TEXT,
    "output_index": Kind.INTEGER,
}


class Columns:
    """All columns of a dataset: ``see`` every row, then ``settle``.

    rows: by split, the number of the last row seen, from 0. all: the columns in order, after ``settle``.
    """

    def __init__(self) -> None:
        self._by_place: tuple[dict[str, Column], ...] = tuple({} for _ in PLACES)
        self.rows: dict[str, int] = {}
        self._last: tuple[Any, ...] = (None, *({} for _ in PLACES))
        self.all: tuple[Column, ...] = ()

    def see(self, places: Places, split: str) -> None:
        """Take the values of the next row of a split into account."""
        row = self.rows[split] = self.rows.get(split, -1) + 1
        last_split, *last = self._last
        self._last = (split, *places)
        for place, (columns, values) in enumerate(zip(self._by_place, places, strict=True)):
            if values is last[place] and split == last_split:  # images of one prompt share the same meta object
                continue
            for key, value in values.items():
                if value is not None:
                    column = columns.get(key)
                    if column is None:
                        column = columns[key] = Column(place, key)
                    if type(value) is not str or column.moments.get(split) is not False:  # else it changes nothing
                        column.see(value, split, row)

    def see_gaps(self, places: Places) -> None:
        """Count the values of a row in ``Column.seen``, after ``see``: for formats that can't have missing values."""
        for columns, values in zip(self._by_place, places, strict=True):
            for key, value in values.items():
                if value is not None:
                    columns[key].seen += 1

    def settle(self) -> None:
        """Fix the names and the order of the columns. All rows were seen."""
        self._by_place[0].setdefault("prompt", Column(0, "prompt"))
        inputs, *others, verdict = (list(columns.values()) for columns in self._by_place)
        inputs.sort(key=lambda column: column.key != "prompt")
        taken = {name.lower() for name in (*FACTS, *_RESERVED, *(VERDICTS if verdict else ()))}
        for column in chain(inputs, *others):
            column.name = _free(column, taken)
            taken.add(column.name.lower())
        for column in verdict:
            column.name = column.key
        self.all = tuple(chain(inputs, *others, verdict))

    def warnings(self) -> Iterable[str]:
        """Sentences for the user on columns that became text or were renamed."""
        for column in self.all:
            if column.huge:
                yield f"{column.name}: some are beyond 2^63-1, so the whole column is written as text"
            elif column.kind is Kind.TEXT and column.kinds - {"str"}:
                what = "lists or objects, as JSON" if column.kinds & {"list", "dict"} else "mixed types"
                yield f"{column.name}: {what}, so the whole column is written as text"
            if column.name != column.key:
                key = printable(column.key)
                yield f"{PLACES[column.place]}.{key} is called {column.name} here: another column has its own name"

    def kinds(self) -> dict[str, Kind]:
        """The types of all columns by name, in order, facts included."""
        return {column.name: column.kind for column in self.all} | dict(FACTS)

    def reader(self) -> Callable[[Places], dict[str, Any]]:
        """A function from the values of a row to its columns by name. Every row has every column; None is no value."""
        plan = [(column.name, column.place, column.key, column.writer) for column in self.all]

        def row(places: Places) -> dict[str, Any]:
            values = {}
            for name, place, key, write in plan:
                value = places[place].get(key)
                values[name] = value if value is None or write is None else write(value)
            return values

        return row


def _free(column: Column, taken: set[str]) -> str:
    """A name for the column that is not in ``taken`` (in lower case)."""
    name = re.sub(r"[\x00-\x1f\x7f]", "_", as_text(column.key)).strip() or "_"
    if _FILE.search(name) and column.key != "prompt":
        name = f"{name}_text"
    if name.lower() in taken:
        name = f"{PLACES[column.place].removesuffix('s')}_{name}"
    while name.lower() in taken:
        name += "_"
    return name
