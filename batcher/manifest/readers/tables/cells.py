"""Tables whose cells have types already (Parquet, spreadsheets): one row one prompt, columns as in CSV.

Null, and an empty text, is a value that is not given; texts for an input are read as in CSV. A "line" is the row's
number, from 1.
"""

from abc import abstractmethod
from collections.abc import Iterator
from itertools import chain
from typing import Any

from batcher.manifest.readers.rows import Reading, Row
from batcher.manifest.readers.source import Source
from batcher.manifest.readers.tables.table import Header, Table
from batcher.manifest.schema.words import DEEPEST, described, is_deep


class CellTable(Table):
    """Reads rows; ``_opened`` is the file format's. _first: number of the first row. _nested: whether any column holds
    lists or structs.
    """

    def __init__(self, source: Source, reading: Reading) -> None:
        super().__init__(source, reading)
        self._first = 1
        self._nested = False

    @abstractmethod
    def _opened(self) -> tuple[list[str], Iterator[Iterator[tuple[Any, ...]]]]:
        """Names of the columns that can be read, and batches of their cells, row by row."""

    def rows(self) -> Iterator[Row]:
        names, batches = self._opened()
        header = self._named(names, 1, (0, 0))
        for number, cells in enumerate(chain.from_iterable(batches), self._first):
            if any(_is_given(cell) for cell in cells) and not self._is_header(cells, number, header):
                row = self._row(cells, number, header)
                if row is not None:
                    yield row

    def _row(self, cells: tuple[Any, ...], number: int, header: Header) -> Row | None:
        inputs: dict[str, Any] = {}
        before = self._reading.problems.added
        if header.prompt is not None and cells[header.prompt] is not None:
            inputs["prompt"] = cells[header.prompt]
        for name, at, _, _ in header.inputs:
            self._into(inputs, name, cells[at], number, at)
        meta = self._reading.carried.with_meta({name: cells[at] for name, at in header.meta if cells[at] is not None})
        ident = None if header.id is None else self._ident(cells[header.id], number, header.id)
        if self._nested and (is_deep(meta) or is_deep(inputs)):
            what = f"is nested more than {DEEPEST} deep"
            self._wrong((number, 1), what, "flatten it: no tool reads such data back")
        row = self._reading.row(self._source.label, number, inputs, self, header, ident=ident, meta=meta)
        if header.special:
            given = {kind: (name, cells[at]) for kind, name, at in header.special if _is_given(cells[at])}
            self._carry_out(row, given, header)
        return row if self._reading.problems.added == before else None

    def _into(self, inputs: dict[str, Any], name: str, value: Any, number: int, at: int) -> None:
        model_inputs = self._reading.model_inputs
        if value is None or value == "":
            return
        try:
            inputs[name] = (
                model_inputs.convert(name, value) if isinstance(value, str) else model_inputs.normal(name, value)
            )
        except ValueError as error:
            self._wrong((number, at + 1), f"`{name}` {error}", model_inputs.mend(name), f"type of {name}")

    def _ident(self, value: Any, number: int, at: int) -> str | None:
        if value is None or isinstance(value, str):
            return value or None
        if type(value) is int:
            return str(value)
        what = f"`id` must be text, not {described(value)}"
        self._wrong((number, at + 1), what, "write it as text")
        return None


def _is_given(cell: Any) -> bool:
    return cell is not None and cell != ""
