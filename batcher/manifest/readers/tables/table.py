"""What all tables share: a header, whose names say what each cell of a row is, and rows."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from batcher.manifest.problems import MOST, failure
from batcher.manifest.readers.columns import Layout, no_prompt, note_columns, word
from batcher.manifest.readers.leftovers import header_again, written
from batcher.manifest.readers.rows import Reading, Row
from batcher.manifest.readers.source import Source
from batcher.manifest.schema.inputs import ModelInputs

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


class Table(ABC):
    """A reader of rows. ``rows`` and ``_place`` are those of the file format."""

    def __init__(self, source: Source, reading: Reading) -> None:
        self._source = source
        self._reading = reading

    @abstractmethod
    def rows(self) -> Iterator[Row]: ...

    def _place(self, line: int, at: int) -> tuple[int, int]:
        """Line and column of a cell of the row at hand."""
        return line, at + 1

    def place(self, row: Row, name: str) -> tuple[str, int, int]:
        header: Header = row.raw
        at = header.cell_of(name)
        if at is None:
            return self._reading.carried.places.get(name, (row.source, row.line, 1))
        return (row.source, *self._place(row.line, at))

    def _wrong(self, place: tuple[int, int], what: str, mend: str, kind: str = "") -> None:
        self._reading.problems.add(self._source.label, *place, what, mend, kind=kind)

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

    def _carry_out(self, row: Row, given: dict[str, tuple[str, Any]], header: Header) -> None:
        for column, what, mend in self._reading.carry_out(row, given):
            self._wrong(self._place(row.line, header.names.index(column)), what, mend, f"column {column}")
