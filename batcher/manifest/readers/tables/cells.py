"""Tables whose cells have types already (Parquet, spreadsheets): one row one prompt, columns as in CSV.

Null, and an empty text, is a value that is not given; texts for an input are read as in CSV. A "line" is the row's
number, from 1.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from batcher.manifest.problems import MOST, failure
from batcher.manifest.readers.columns import Layout, no_prompt, note_columns, word
from batcher.manifest.readers.leftovers import header_again, written
from batcher.manifest.readers.rows import Reading, Row
from batcher.manifest.readers.source import Source
from batcher.manifest.schema.words import DEEPEST, described, is_deep


class CellTable:
    """Reads rows; ``_opened`` is the file format's. _first: number of the first row. _nested: whether any column holds
    lists or structs.
    """

    def __init__(self, source: Source, reading: Reading) -> None:
        self._source = source
        self._reading = reading
        self._first = 1
        self._nested = False

    def _opened(self) -> tuple[list[str], Iterator[Iterator[tuple[Any, ...]]]]:
        """Names of the columns that can be read, and batches of their cells, row by row."""
        raise NotImplementedError

    def rows(self) -> Iterator[Row]:
        names, batches = self._opened()
        plan = self._plan(names)
        number = self._first - 1
        for batch in batches:
            for cells in batch:
                number += 1
                if any(_is_given(cell) for cell in cells) and not self._is_header(cells, number, plan):
                    row = self._row(cells, number, plan)
                    if row is not None:
                        yield row

    def _is_header(self, cells: tuple[Any, ...], number: int, plan: "_Plan") -> bool:
        """Whether a row is the header once more; it is left out, and said."""
        if header_again(cells, plan.prompt or 0, plan.header) is None:
            return False
        self._reading.model_inputs.warn(
            f"{self._source.label}:{number}: the header stands here once more, and is left out"
        )
        return True

    def _plan(self, names: list[str]) -> "_Plan":
        label, reading = self._source.label, self._reading
        columns = reading.layout(names)
        for name in [name for name, times in Counter(names).items() if times > 1][:MOST]:
            what = f"two columns are called `{word(name)}`"
            reading.problems.add(label, 1, names.index(name) + 1, what, "rename one of them")
        for name, what, mend in columns.wrong[:MOST]:
            reading.problems.add(label, 1, names.index(name) + 1, what, mend)
        if columns.prompt is None and reading.needs_prompt:
            raise failure(label, 0, 0, *no_prompt(names, reading.prompt_column, reading.model_inputs.prompt))
        note_columns(label, columns, reading.model_inputs)
        return _Plan(names, columns)

    def _row(self, cells: tuple[Any, ...], number: int, plan: "_Plan") -> Row | None:
        carried = self._reading.carried
        inputs = dict(carried.inputs)
        before = self._reading.problems.added
        if plan.prompt is not None and cells[plan.prompt] is not None:
            inputs["prompt"] = cells[plan.prompt]
        for name, at in plan.inputs:
            self._into(inputs, name, cells[at], number, at)
        meta = carried.with_meta({name: cells[at] for name, at in plan.meta if cells[at] is not None})
        ident = None if plan.id is None else self._ident(cells[plan.id], number, plan.id)
        if self._nested and (is_deep(meta) or is_deep(inputs)):
            what = f"is nested more than {DEEPEST} deep"
            self._reading.problems.add(self._source.label, number, 1, what, "flatten it: no tool reads such data back")
        row = Row(self._source.label, number, inputs, ident, meta, carried.vars, self, plan, carried.repeat)
        if plan.special:
            given = {kind: (name, cells[at]) for kind, name, at in plan.special if _is_given(cells[at])}
            for column, what, mend in self._reading.carry_out(row, given):
                place = plan.names.index(column) + 1
                self._reading.problems.add(self._source.label, number, place, what, mend, kind=f"column {column}")
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
            what, mend = f"`{name}` {error}", model_inputs.mend(name)
            self._reading.problems.add(self._source.label, number, at + 1, what, mend, kind=f"type of {name}")

    def _ident(self, value: Any, number: int, at: int) -> str | None:
        if value is None or isinstance(value, str):
            return value or None
        if type(value) is int:
            return str(value)
        what = f"`id` must be text, not {described(value)}"
        self._reading.problems.add(self._source.label, number, at + 1, what, "write it as text")
        return None

    def place(self, row: Row, name: str) -> tuple[str, int, int]:
        plan: _Plan = row.raw
        own = {kind: at for kind, _, at in plan.special}
        at = {**own, "prompt": plan.prompt, "id": plan.id, **dict(plan.inputs)}.get(name)
        if at is None:
            return self._reading.carried.places.get(name, (row.source, row.line, 1))
        return row.source, row.line, at + 1


class _Plan:
    """Which cell is what, from 0."""

    def __init__(self, names: list[str], columns: Layout) -> None:
        self.names = names
        self.header = written(names)
        self.prompt = names.index(columns.prompt) if columns.prompt is not None else None
        self.id = names.index(columns.id) if columns.id is not None else None
        self.inputs = tuple((name, names.index(column)) for name, column in columns.inputs)
        self.special = tuple((kind, name, names.index(name)) for kind, name in columns.special)
        self.meta = tuple((name, names.index(name)) for name in columns.meta)


def _is_given(cell: Any) -> bool:
    return cell is not None and cell != ""
