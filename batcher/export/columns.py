"""The columns of a dataset: which there are, of what type, and how each value is written so that every reader agrees.

Readers guess a column's type from its first rows and fail, or round, when a later row does not fit. So the types are
settled here, over all rows, before any is written:

- whole numbers beyond 64 bits make their whole column text (Arrow would turn it into floats and round the seeds);
- whole numbers among fractions are written as fractions; anything else mixed is text for all; lists and objects are
  their JSON text, because no two rows need have the same shape;
- a column that is empty everywhere is left out.

The inputs come first, under their own names, the prompt before all; then what was carried along, what was chosen, the
verdict (``pick``, ``stars``, ``tags``, where there is any); then the facts. A name that is taken, or that readers take
for something else (``image``, ``..._file_name``), gets ``meta_`` before or ``_text`` behind it. DuckDB does not tell
``Note`` from ``note``, so neither do we.
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
_EXACT = 2**53  # beyond this a fraction no longer holds every whole number
_RESERVED = frozenset(
    {
        "file",
        "file_name",
        "image",
        "images",
        "label",
        "split",
        "__key__",
        "__url__",
        "png",
        "jpg",
        "webp",
        "txt",
        "json",
    }
)
_FILE = re.compile(r"file_names?$", re.IGNORECASE)
# What Arrow reads as a moment in time when a whole column looks so; it has no fractions of a second in JSON.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d(:\d\d(:\d\d)?)?(Z|[+-]\d\d(:?\d\d)?)?)?", re.ASCII)

PLACES = ("inputs", "meta", "chosen", "verdict")
"""Where a column's values are: of a job, of its row, of what ``vars`` and ``repeat`` chose, of its verdict."""
Places = tuple[Mapping[str, Any], ...]  # in this order


class Kind(StrEnum):
    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    BINARY = "binary"  # no column of a job: encoded pictures


@dataclass(slots=True)
class Column:
    """What is known of one column after a look at all rows.

    name: in the dataset. place, key: where the value is, place as a number of PLACES.
    filled: by split, the row at which it first has a value that settles its type. moments: splits in which every text
    looks like a moment in time. seen: rows with a value, where ``see_gaps`` counts. huge, unexact: whole numbers that
    64 bits, or a fraction, can't hold.
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
        if self.kinds == {"bool"}:
            return Kind.BOOLEAN
        if self.kinds == {"int"} and not self.huge:
            return Kind.INTEGER
        if self.kinds <= {"int", "float"} and "float" in self.kinds and not (self.huge or self.unexact):
            return Kind.NUMBER
        return Kind.TEXT

    def see(self, value: Any, split: str, row: int) -> None:
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
        """What turns a value into one of the column's type; None when it is one already."""
        if self.kind is Kind.NUMBER:
            return float if "int" in self.kinds else None
        return as_text if self.kind is Kind.TEXT else None


def is_moment(text: str) -> bool:
    """Whether Arrow reads it as a moment in time; ``0000-00-00`` and ``2024-02-30`` are none."""
    try:
        return _MOMENT.fullmatch(text) is not None and bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def as_text(value: Any) -> str:
    text = value if isinstance(value, str) else canonical_json(value)
    return text if text.isascii() else text.encode(errors="replace").decode()  # halves of surrogate pairs


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
    """``see`` every row, then ``settle``. rows: seen so far, by split."""

    def __init__(self) -> None:
        self._by_place: tuple[dict[str, Column], ...] = tuple({} for _ in PLACES)
        self.rows: dict[str, int] = {}
        self._last: tuple[Any, ...] = (None, *({} for _ in PLACES))
        self.all: tuple[Column, ...] = ()

    def see(self, places: Places, split: str) -> None:
        row = self.rows[split] = self.rows.get(split, -1) + 1
        last_split, *last = self._last
        self._last = (split, *places)
        for place, (columns, values) in enumerate(zip(self._by_place, places, strict=True)):
            if values is last[place] and split == last_split:  # pictures of one prompt share their meta: nothing is new
                continue
            for key, value in values.items():
                if value is not None:
                    column = columns.get(key)
                    if column is None:
                        column = columns[key] = Column(place, key)
                    if type(value) is not str or column.moments.get(split) is not False:  # else nothing is new
                        column.see(value, split, row)

    def see_gaps(self, places: Places) -> None:
        """After ``see`` of the same row, for whoever can't have columns with gaps."""
        for columns, values in zip(self._by_place, places, strict=True):
            for key, value in values.items():
                if value is not None:
                    columns[key].seen += 1

    def settle(self) -> None:
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
        return {column.name: column.kind for column in self.all} | dict(FACTS)

    def reader(self) -> Callable[[Places], dict[str, Any]]:
        """What makes the columns of a row; every row has them all."""
        plan = [(column.name, column.place, column.key, column.writer) for column in self.all]

        def row(places: Places) -> dict[str, Any]:
            values = {}
            for name, place, key, write in plan:
                value = places[place].get(key)
                values[name] = value if value is None or write is None else write(value)
            return values

        return row


def _free(column: Column, taken: set[str]) -> str:
    name = re.sub(r"[\x00-\x1f\x7f]", "_", as_text(column.key)).strip() or "_"
    if _FILE.search(name) and column.key != "prompt":
        name = f"{name}_text"
    if name.lower() in taken:
        name = f"{PLACES[column.place].removesuffix('s')}_{name}"
    while name.lower() in taken:
        name += "_"
    return name
