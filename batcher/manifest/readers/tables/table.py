"""What all tables share: a header whose names say what each cell of a row is, and rows below it."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Any

from batcher.core.suggest import quoted
from batcher.manifest.problems import MOST
from batcher.manifest.readers.columns import Layout, no_prompt, note_columns
from batcher.manifest.readers.reading import FileReader
from batcher.manifest.readers.rows import Row, is_given
from batcher.manifest.readers.special_columns import PROMPTS
from batcher.manifest.schema.inputs import ModelInputs

_MARKS = ' \t"\ufeff'  # around a name, where files were put together
_MARGIN = 20  # most characters of such marks
_LONGEST_INTEGER = 19  # digits
_MOST_KEPT, _LONGEST_KEPT = 1_000, 1_000  # converted texts to remember for a column, and characters of one


def filled(names: Sequence[str]) -> list[str]:
    """The names of a header; ``column 3`` for an empty one."""
    return [name if name.strip() else f"column {at}" for at, name in enumerate(names, 1)]


class Header:
    """Which cell of a row holds what, as indices from 0.

    names: of the columns. columns: what each of them stands for. model_inputs: which inputs take integers alone.

    inputs: of each input its name, its cell, the texts of the column whose values are known, and whether digits can
    only be an integer. special: of each special column its kind, its name and its cell.
    """

    def __init__(self, names: list[str], columns: Layout, model_inputs: ModelInputs) -> None:
        self.names = names
        made_up = set(filled([""] * len(names)))
        self.written = {name.strip(_MARKS): None for name in names if name not in made_up}
        self.longest = max(map(len, names), default=0) + _MARGIN
        self._named = columns.named()
        self._at = at = {name: place for place, name in enumerate(names)}
        self.prompt = None if columns.prompt is None else at[columns.prompt]
        self.id = None if columns.id is None else at[columns.id]
        self.inputs: tuple[tuple[str, int, dict[str, str], bool], ...] = tuple(
            (name, at[column], {}, model_inputs.of(name).takes_only_integers) for name, column in columns.inputs
        )
        self.special = tuple((kind, name, at[name]) for kind, name in columns.special)
        self.meta = tuple((name, at[name]) for name in columns.meta)

    def cell_of(self, name: str) -> int | None:
        """The cell of an input, of the prompt (``prompt``) or of the id (``id``)."""
        column = self._named.get(name)
        return None if column is None else self._at[column]


class Table(FileReader):
    """A reader of rows below a header. A subclass finds them in its file format."""

    def _place(self, line: int, at: int) -> tuple[int, int]:
        """Line and column of a cell of the current row."""
        return line, at + 1

    def _at(self, row: Row, name: str) -> tuple[int, int] | None:
        at = row.raw.cell_of(name)
        return None if at is None else self._place(row.line, at)

    def _named(self, names: list[str], line: int, none: tuple[int, int]) -> Header:
        """The header of these columns.

        none: line and column for the message that no column holds the prompts. Raises ManifestError in that case.
        """
        label, reading = self._source.label, self._reading
        columns = reading.layout(names)
        for name in [name for name, times in Counter(names).items() if times > 1][:MOST]:
            what = f"two columns are called {quoted(name)}"
            self._wrong(self._place(line, names.index(name)), what, "rename one of them")
        for name, what, mend in columns.wrong[:MOST]:
            self._wrong(self._place(line, names.index(name)), what, mend)
        if columns.prompt is None and reading.needs_prompt:
            raise self._source.failure(*no_prompt(names, reading.prompt_column, reading.model_inputs.prompt), *none)
        note_columns(label, columns, reading.model_inputs, reading.carried.aside)
        return Header(names, columns, reading.model_inputs)

    def _is_header(self, cells: Sequence[Any], line: int, header: Header) -> bool:
        """Whether a row repeats the header, as where files were put together. Such a row is left out with a warning."""
        first = cells[header.prompt or 0]
        if type(first) is str and len(first) > header.longest:
            return False
        if str(first).strip(_MARKS) not in header.written:  # nearly all rows
            return False
        names = [name for cell in cells if cell is not None and (name := str(cell).strip(_MARKS))]
        is_certain = len(names) > 1 or names[0].lower() in PROMPTS
        if not is_certain or set(names) != header.written.keys():
            return False
        if names == list(header.written):
            self._warn("the header is repeated here, and is left out", line)
        else:
            what = "another header, with its columns in another order"
            self._wrong((line, 1), what, "put each table into a file of its own", "another header")
        return True

    def _row(self, cells: Sequence[Any], line: int, header: Header) -> Row:
        """One row. cells: as many as the header has or more; None where the file gives no value."""
        carried = self._reading.carried
        inputs: dict[str, Any] = dict(carried.inputs)
        if header.prompt is not None and cells[header.prompt] is not None:
            inputs["prompt"] = cells[header.prompt]
        self._convert(cells, line, header, inputs)
        meta = carried.with_meta({name: cells[at] for name, at in header.meta if cells[at] is not None})
        ident = None
        if header.id is not None:
            ident = self._ident(cells[header.id], partial(self._place, line, header.id), "write it as text")
        row = Row(self._source.label, line, inputs, ident, meta, carried.vars, self, header, carried.repeat)
        if header.special:
            given = {kind: (name, cells[at]) for kind, name, at in header.special if _says_something(cells[at])}
            self._carry_out(row, given, lambda name: self._place(line, header.names.index(name)))
        return row

    def _convert(self, cells: Sequence[Any], line: int, header: Header, inputs: dict[str, Any]) -> None:
        """Add the inputs that the cells give."""
        model_inputs = self._reading.model_inputs
        for name, at, values, is_integer in header.inputs:
            cell = cells[at]
            if cell is None or cell == "":
                continue
            try:
                if type(cell) is not str:
                    inputs[name] = model_inputs.of(name).normal(cell)
                elif is_integer and cell.isdecimal() and cell.isascii() and len(cell) < _LONGEST_INTEGER:
                    inputs[name] = int(cell)
                elif cell in values:
                    inputs[name] = values[cell]
                else:
                    inputs[name] = value = model_inputs.of(name).convert(cell)
                    if type(value) is str and len(values) < _MOST_KEPT and len(cell) <= _LONGEST_KEPT:
                        values[cell] = value
            except ValueError as error:
                self._wrong(self._place(line, at), f"`{name}` {error}", model_inputs.mend(name), f"type of {name}")


class CellTable(Table):
    """A table whose cells have types (Parquet, spreadsheets). A "line" is the number of a row, from 1.

    Null and an empty text mean that no value is given. Texts for an input are converted as in CSV.

    _first: number of the first row below the header. _nested: whether any column holds lists or structs.
    """

    _first = 1
    _nested = False

    @abstractmethod
    def _opened(self) -> tuple[list[str], Iterator[Iterator[tuple[Any, ...]]]]:
        """Names of the columns that can be read, and the rows in batches. Raises ManifestError."""

    def rows(self) -> Iterator[Row]:
        names, batches = self._opened()
        header = self._named(names, 1, (0, 0))
        problems = self._reading.problems
        for number, cells in enumerate(chain.from_iterable(batches), self._first):
            if not any(map(is_given, cells)) or self._is_header(cells, number, header):
                continue
            before = problems.added
            row = self._row(cells, number, header)
            if self._nested:
                self._is_deep(row.meta, row.inputs, place=(number, 1))
            if problems.added == before:
                yield row


def _says_something(cell: Any) -> bool:
    return is_given(cell) and bool(str(cell).strip())
