"""CSV and TSV: one record one prompt.

CSV by the rules of Python's csv module, strictly (quotes, cells of several lines); the separator is told from the
header. TSV has no quoting unless its cells are plainly quoted (``dialects.py``). Every cell stays text except those of
model inputs, which the schema gives a type.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any, TextIO

from batcher.manifest.problems import MOST, failure
from batcher.manifest.readers.columns import Layout, no_prompt, note_columns, word
from batcher.manifest.readers.leftovers import header_again, written
from batcher.manifest.readers.rows import Reading, Row
from batcher.manifest.readers.source import LONGEST_LINE, Source
from batcher.manifest.readers.tables.dialects import Dialect, dialect_of, first_lines, quote_fault
from batcher.manifest.schema.inputs import ModelInputs

_MOST_LINES = 20_000  # of one record: beyond it, a quote was never closed
_LONGEST_RECORD = 4 * LONGEST_LINE  # characters of one record, which is held whole
_MOST_COLUMNS = 16_384  # as spreadsheets have them
_LONGEST_HEADER = 2**18
_LONGEST_INTEGER = 19  # digits
_AT_ONCE = 2**14  # characters, or a few more
_MOST_KEPT, _LONGEST_KEPT = 1_000, 1_000  # texts whose values are known, and characters of one
_CURLY = "\u201c\u201d\u201e\u2018\u2019"


class Table:
    """A reader of one table. ``style`` is csv, tsv or tsv-quoted."""

    def __init__(self, source: Source, style: str, reading: Reading) -> None:
        self._source = source
        self._style = style
        self._reading = reading
        self._begin = self._end = 0  # of the record at hand: how many lines are before it, and up to its end
        self._lines: list[str] = []  # as they stand in the file, from the first _dropped lines on
        self._dropped = 0
        self._dialect = Dialect(",")
        self._warned: set[str] = set()  # kinds of quotes

    def rows(self) -> Iterator[Row]:
        # The limit is the csv module's own, for the whole process; its default is less than a long prompt.
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))
        with self._source.text() as stream:
            first = first_lines(stream)
            column = self._reading.prompt_column
            self._dialect = dialect_of(self._style, first, column, is_named=self._reading.is_named)
            if self._dialect.said:
                self._reading.model_inputs.warn(f"{self._source.label}: {self._dialect.said}")
            lines = chain.from_iterable(self._kept(first[self._dialect.skipped :], stream))
            yield from self._read(csv.reader(lines, **self._dialect.options()))

    def _kept(self, first: list[str], stream: TextIO) -> Iterator[list[str]]:
        """The lines, some at a time. Those from the beginning of the record at hand on are kept for messages."""
        lines = first
        while lines:
            self._lines += lines
            yield lines
            lines = stream.readlines(_AT_ONCE)
            del self._lines[: self._begin - self._dropped]
            self._dropped = self._begin
            if len(self._lines) > _MOST_LINES or sum(map(len, self._lines)) > _LONGEST_RECORD:
                raise csv.Error("too many lines")

    def _text(self) -> str:
        """The record at hand, as it stands in the file."""
        return "".join(self._lines[self._begin - self._dropped : self._end - self._dropped])

    def _read(self, records: Any) -> Iterator[Row]:
        skipped = self._dialect.skipped
        header = self._next(records) or []
        plan = self._plan(header, 1 + skipped)
        while (cells := self._next(records)) is not None:
            line = self._begin + 1 + skipped
            if not any(cells) or self._is_header(cells, line, plan):
                continue
            if (row := self._row(cells, line, plan)) is not None:
                yield row

    def _next(self, records: Any) -> list[str] | None:
        """The cells of the next record, none for one that is wrong; None at the end."""
        self._begin = self._end
        try:
            cells: list[str] | None = next(records, None)
        except csv.Error as error:
            self._end = records.line_num
            self._broken(self._begin + 1 + self._dialect.skipped, str(error))
            return []
        self._end = records.line_num
        return cells

    def _plan(self, header: list[str], line: int) -> "_Plan":
        """What each column is for; raises ManifestError when the prompts can't be found."""
        label, reading = self._source.label, self._reading
        if not any(header):
            reading.problems.raise_if_any()
            raise failure(label, 0, 0, "is empty", "give a header line and a line for each prompt")
        if len(header) > _MOST_COLUMNS or sum(map(len, header)) > _LONGEST_HEADER:
            what = f"a header of {len(header):,} columns and {sum(map(len, header)):,} characters"
            raise failure(label, line, 1, what, f"the most is {_MOST_COLUMNS:,} columns; is its first line a header?")
        names = [name if name.strip() else f"column {at + 1}" for at, name in enumerate(header)]
        repeated = [name for name, times in Counter(names).items() if times > 1]
        columns = reading.layout(names)
        for name in repeated[:MOST]:
            place = self._cell_place(line, names.index(name))
            reading.problems.add(label, *place, f"two columns are called `{word(name)}`", "rename one of them")
        for name, what, mend in columns.wrong[:MOST]:
            reading.problems.add(label, *self._cell_place(line, names.index(name)), what, mend)
        if columns.prompt is None and reading.needs_prompt:
            raise failure(label, line, 1, *no_prompt(names, reading.prompt_column, reading.model_inputs.prompt))
        note_columns(label, columns, reading.model_inputs)
        return _Plan(names, columns, reading.model_inputs)

    def _row(self, cells: list[str], line: int, plan: "_Plan") -> Row | None:
        if len(cells) != plan.width:
            if len(cells) > plan.width and (any(cells[plan.width :]) or len(cells) > _MOST_COLUMNS):
                self._too_many(cells, line, plan)
                return None
            plan = plan.short(len(cells)) if len(cells) < plan.width else plan
        carried = self._reading.carried
        inputs: dict[str, Any] = dict(carried.inputs)
        if plan.prompt is not None:
            inputs["prompt"] = cells[plan.prompt]
            if self._style == "csv" and not inputs["prompt"][:1].isalnum():
                self._look_at(inputs["prompt"], line, plan.prompt)
        self._convert(cells, line, plan, inputs)
        meta = carried.with_meta({name: cells[at] for name, at in plan.meta})
        ident = cells[plan.id] or None if plan.id is not None else None
        row = Row(self._source.label, line, inputs, ident, meta, carried.vars, self, plan, carried.repeat)
        if plan.special:
            given = {kind: (name, cells[at]) for kind, name, at in plan.special if cells[at].strip()}
            for column, what, mend in self._reading.carry_out(row, given):
                self._wrong(self._cell_place(line, plan.names.index(column)), what, mend, f"column {column}")
        return row

    def _is_header(self, cells: list[str], line: int, plan: "_Plan") -> bool:
        """Whether a row is the header once more, as in files that were put together; it is left out, and said."""
        at = plan.prompt or 0
        if at >= len(cells) or (names := header_again(cells, at, plan.header)) is None:
            return False
        label = self._source.label
        if names == list(plan.header):
            self._reading.model_inputs.warn(f"{label}:{line}: the header stands here once more, and is left out")
        else:
            what = "another header: its columns stand in another order"
            self._wrong((line, 1), what, "keep the tables in files of their own", "another header")
        return True

    def _convert(self, cells: list[str], line: int, plan: "_Plan", inputs: dict[str, Any]) -> None:
        model_inputs = self._reading.model_inputs
        for name, at, column, is_integer in plan.inputs:
            text = cells[at]
            if is_integer and text.isdecimal() and text.isascii() and len(text) < _LONGEST_INTEGER:
                inputs[name] = int(text)
            elif text in column:
                inputs[name] = column[text]
            elif text:
                try:
                    inputs[name] = value = model_inputs.convert(name, text)
                    if type(value) is str and len(column) < _MOST_KEPT and len(text) <= _LONGEST_KEPT:
                        column[text] = value
                except ValueError as error:
                    place = self._cell_place(line, at)
                    self._wrong(place, f"`{name}` {error}", model_inputs.mend(name), f"type of {name}")

    def _wrong(self, place: tuple[int, int], what: str, mend: str, kind: str) -> None:
        self._reading.problems.add(self._source.label, *place, what, mend, kind=kind)

    def _look_at(self, prompt: str, line: int, at: int) -> None:
        """Whether a prompt begins and ends with signs that were meant to quote it, and do not."""
        stripped = prompt.strip()
        first, last = stripped[:1], stripped[-1:]
        if first == '"' and prompt[:1] == " ":  # the first rows had none, else it would be left out
            self._wrong(self._cell_place(line, at), *_BLANK, "blank before a quote")
        elif first and (first in _CURLY or first == "'") and (last in _CURLY or last == "'") and len(stripped) > 1:
            kind = "single" if first == "'" else "curly"
            what = f"prompts begin and end with {kind} quotes, and are sent with them"
            if kind not in self._warned:
                self._warned.add(kind)
                warn = self._reading.model_inputs.warn
                warn(f'{self._source.label}:{line}: {what}; in a CSV file only " quotes a cell')

    def _too_many(self, cells: list[str], line: int, plan: "_Plan") -> None:
        text = self._text()
        what = f"{len(cells)} cells, and the header has {plan.width}"
        mend = "put cells with the separator in them in quotes" if self._dialect.quoted else "remove the extra tabs"
        if any(char in text for char in _CURLY[:3]) and '"' not in text:
            mend = 'its quotes are curly, and quote nothing: replace them by plain ones (")'
        elif "'" in text and '"' not in text and self._dialect.quoted:
            mend = 'put cells with the separator in them in double quotes (")'
        elif '"' in text and not self._spilled(plan):
            mend = "the header is older or shorter than this row: add names for its other columns to the header"
        self._wrong(self._cell_place(line, plan.width), what, mend, "too many cells")

    def _spilled(self, plan: "_Plan") -> bool:
        """Whether a prompt without quotes may have been cut at a separator in it."""
        if plan.prompt is None:
            return False
        at = self._cell_offset(plan.prompt)
        return self._text()[at : at + 1] != '"'

    def place(self, row: Row, name: str) -> tuple[str, int, int]:
        plan: _Plan = row.raw
        inputs = {name: at for name, at, _, _ in plan.inputs} | {kind: at for kind, _, at in plan.special}
        at = plan.prompt if name == "prompt" else plan.id if name == "id" else inputs.get(name)
        if at is None:
            return self._reading.carried.places.get(name, (row.source, row.line, 1))
        return (row.source, *self._cell_place(row.line, at))

    def _cell_place(self, line: int, wanted: int) -> tuple[int, int]:
        """Line and column where a cell of the record at hand begins."""
        return _place(self._text(), self._cell_offset(wanted), line)

    def _cell_offset(self, wanted: int) -> int:
        cell, quoted = 0, False
        quote = '"' if self._dialect.quoted else None
        text = self._text()
        for at, char in enumerate(text):
            if cell == wanted:
                return at
            if char == quote:
                quoted = not quoted
            elif char == self._dialect.separator and not quoted:
                cell += 1
        return len(text.rstrip("\r\n"))

    def _broken(self, line: int, error: str) -> None:
        text = self._text()
        if "field larger" in error or "too many lines" in error:
            what = "a cell without end begins here: a quote was opened and not closed, it seems"
            raise failure(self._source.label, line, 1, what, _UNCLOSED[1])
        fault = quote_fault(text, self._dialect.separator)
        if fault is None:
            raise failure(self._source.label, line, 1, f"not readable as {self._style} ({error})", "check the quotes")
        at, kind = fault
        if kind == "open":
            raise failure(self._source.label, *_place(text, at, line), *_UNCLOSED)
        self._wrong(_place(text, at, line), *_STRAY, "stray quote")


def _place(text: str, offset: int, line: int) -> tuple[int, int]:
    before = text[:offset]
    return line + before.count("\n"), offset - before.rfind("\n")


_UNCLOSED = (
    "a quote is opened here and never closed",
    'close it; write a quote inside of a quoted cell as ""; files without quoting rules are --format tsv',
)
_BLANK = ("a blank before the quote, which then quotes nothing", "take out the blanks between separators and quotes")
_STRAY = (
    "the quotes of this cell end before the cell does",
    'quote the whole cell, and double the quotes in it: "a ""red"" kite"',
)


class _Plan:
    """Which cell is what. A record with fewer cells than the header gets a plan of its own."""

    def __init__(self, names: list[str], columns: Layout, model_inputs: ModelInputs, width: int | None = None) -> None:
        self.names, self._columns, self._model_inputs = names, columns, model_inputs
        self.width = len(names) if width is None else width
        at = {name: place for place, name in enumerate(names[: self.width])}
        self.header = written(names)
        self.prompt = at.get(columns.prompt) if columns.prompt is not None else None
        self.id = at.get(columns.id) if columns.id is not None else None
        # Name, cell, texts whose values are known, whether its digits are an integer.
        self.inputs: tuple[tuple[str, int, dict[str, str], bool], ...] = tuple(
            (name, at[column], {}, model_inputs.takes_only_integers(name))
            for name, column in columns.inputs
            if column in at
        )
        self.special = tuple((kind, name, at[name]) for kind, name in columns.special if name in at)
        self.meta = tuple((name, at[name]) for name in columns.meta if name in at)
        self._short: dict[int, _Plan] = {}

    def short(self, width: int) -> "_Plan":
        if width not in self._short:
            self._short[width] = _Plan(self.names, self._columns, self._model_inputs, width)
        return self._short[width]
