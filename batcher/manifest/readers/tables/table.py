"""What all tables share: a header, whose names say what each cell of a row is, and rows."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from batcher.manifest.problems import MOST, failure
from batcher.manifest.readers.columns import Layout, no_prompt, note_columns, word
from batcher.manifest.readers.leftovers import header_again, written
from batcher.manifest.readers.reading import FileReader, Reading
from batcher.manifest.readers.rows import Row, is_given
from batcher.manifest.readers.source import Source
from batcher.manifest.schema.inputs import ModelInputs
from batcher.manifest.schema.words import DEEPEST, described, is_deep

_MARGIN = 20  # blanks and marks about a name, where a header stands in a file once more


class Header:
    """Which cell is what, from 0. A record with fewer cells than there are names has a header of its own.

    inputs: the input's name, its cell, texts of the column whose values are known, whether digits are an integer.
    """

    def __init__(self, names: list[str], columns: Layout, model_inputs: ModelInputs, width: int | None = None) -> None:
        self.names, self._columns, self._model_inputs = names, columns, model_inputs
        self.width = len(names) if width is None else width
        self.written = written(names)
        self.longest = max(map(len, names), default=0) + _MARGIN
        at = {name: place for place, name in enumerate(names[: self.width])}
        self.prompt = at.get(columns.prompt) if columns.prompt is not None else None
        self.id = at.get(columns.id) if columns.id is not None else None
        self.inputs: tuple[tuple[str, int, dict[str, str], bool], ...] = tuple(
            (name, at[column], {}, model_inputs.takes_only_integers(name))
            for name, column in columns.inputs
            if column in at
        )
        self.special = tuple((kind, name, at[name]) for kind, name in columns.special if name in at)
        self.meta = tuple((name, at[name]) for name in columns.meta if name in at)
        self._short: dict[int, Header] = {}

    def short(self, width: int) -> "Header":
        if width not in self._short:
            self._short[width] = Header(self.names, self._columns, self._model_inputs, width)
        return self._short[width]

    def cell_of(self, name: str) -> int | None:
        """Where an input, the prompt (``prompt``) or the id (``id``) is."""
        inputs = {kind: at for kind, _, at in self.special} | {name: at for name, at, _, _ in self.inputs}
        return self.prompt if name == "prompt" else self.id if name == "id" else inputs.get(name)


class Table(FileReader):
    """A reader of rows. ``rows`` and ``_place`` are those of the file format."""

    def _place(self, line: int, at: int) -> tuple[int, int]:
        """Line and column of a cell of the row at hand."""
        return line, at + 1

    def _at(self, row: Row, name: str) -> tuple[int, int] | None:
        at = row.raw.cell_of(name)
        return None if at is None else self._place(row.line, at)

    def _named(self, names: list[str], line: int, none: tuple[int, int]) -> Header:
        """The header of these names. Raises ManifestError when the prompts can't be found. none: where that is said."""
        label, reading = self._source.label, self._reading
        columns = reading.layout(names)
        for name in [name for name, times in Counter(names).items() if times > 1][:MOST]:
            what = f"two columns are called `{word(name)}`"
            self._wrong(self._place(line, names.index(name)), what, "rename one of them")
        for name, what, mend in columns.wrong[:MOST]:
            self._wrong(self._place(line, names.index(name)), what, mend)
        if columns.prompt is None and reading.needs_prompt:
            raise failure(label, *none, *no_prompt(names, reading.prompt_column, reading.model_inputs.prompt))
        note_columns(label, columns, reading.model_inputs, reading.carried.aside)
        return Header(names, columns, reading.model_inputs)

    def _is_header(self, cells: Sequence[Any], line: int, header: Header) -> bool:
        """Whether a row is the header once more, as in files that were put together; it is left out, and said."""
        at = header.prompt or 0
        if at >= len(cells) or (type(cells[at]) is str and len(cells[at]) > header.longest):
            return False
        if (names := header_again(cells, at, header.written)) is None:
            return False
        if names == list(header.written):
            label = self._source.label
            self._reading.model_inputs.warn(f"{label}:{line}: the header is repeated here, and is left out")
        else:
            what = "another header, with its columns in another order"
            self._wrong((line, 1), what, "put each table into a file of its own", "another header")
        return True

    def _mean(self, row: Row, given: dict[str, tuple[str, Any]], header: Header) -> None:
        """What the columns with a meaning say is done to the row."""
        for column, what, mend in self._carry_out(row, given):
            self._wrong(self._place(row.line, header.names.index(column)), what, mend, f"column {column}")


class CellTable(Table):
    """A table whose cells have types already (Parquet, spreadsheets); ``_opened`` is the file format's.

    Null, and an empty text, is a value that is not given; texts for an input are read as in CSV. A "line" is the row's
    number, from 1. _first: number of the first row. _nested: whether any column holds lists or structs.
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
            if any(is_given(cell) for cell in cells) and not self._is_header(cells, number, header):
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
            given = {kind: (name, cells[at]) for kind, name, at in header.special if is_given(cells[at])}
            self._mean(row, given, header)
        return row if self._reading.problems.added == before else None

    def _into(self, inputs: dict[str, Any], name: str, value: Any, number: int, at: int) -> None:
        model_inputs = self._reading.model_inputs
        if not is_given(value):
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
