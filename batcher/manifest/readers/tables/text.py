"""CSV and TSV: one record one prompt.

CSV by the rules of Python's csv module, strictly (quotes, cells of several lines); the separator is told from the
header. TSV has no quoting unless its cells are plainly quoted (``dialects.py``). Every cell stays text except those of
model inputs, which the schema gives a type.
"""

import csv
from collections.abc import Iterator
from itertools import chain
from typing import Any, TextIO

from batcher.manifest.problems import failure
from batcher.manifest.readers.reading import Reading
from batcher.manifest.readers.rows import Row
from batcher.manifest.readers.source import LONGEST_LINE, Source
from batcher.manifest.readers.tables.dialects import Dialect, dialect_of, first_lines, quote_fault
from batcher.manifest.readers.tables.table import Header, Table

_MOST_LINES = 20_000  # of one record: beyond it, a quote was never closed
_LONGEST_RECORD = 4 * LONGEST_LINE  # characters of one record, which is held whole
_MOST_COLUMNS = 16_384  # as spreadsheets have them
_LONGEST_HEADER = 2**18
_LONGEST_INTEGER = 19  # digits
_AT_ONCE = 2**14  # characters, or a few more
_MOST_KEPT, _LONGEST_KEPT = 1_000, 1_000  # texts whose values are known, and characters of one
_CURLY = "\u201c\u201d\u201e\u2018\u2019"


class TextTable(Table):
    """A reader of one table. ``style`` is csv, tsv or tsv-quoted."""

    def __init__(self, source: Source, style: str, reading: Reading) -> None:
        super().__init__(source, reading)
        self._style = style
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
            if self._dialect.note:
                self._reading.model_inputs.warn(f"{self._source.label}: {self._dialect.note}")
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
        header = self._first_record(self._next(records) or [], 1 + skipped)
        while (cells := self._next(records)) is not None:
            line = self._begin + 1 + skipped
            if not any(cells) or self._is_header(cells, line, header):
                continue
            if (row := self._row(cells, line, header)) is not None:
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

    def _first_record(self, cells: list[str], line: int) -> Header:
        """What each column is for; raises ManifestError when the prompts can't be found."""
        if not any(cells):
            self._reading.problems.raise_if_any()
            raise failure(self._source.label, 0, 0, "is empty", "give a header line and a line for each prompt")
        if len(cells) > _MOST_COLUMNS or sum(map(len, cells)) > _LONGEST_HEADER:
            what = f"a header of {len(cells):,} columns and {sum(map(len, cells)):,} characters"
            mend = f"the maximum is {_MOST_COLUMNS:,} columns; is its first line a header?"
            raise failure(self._source.label, line, 1, what, mend)
        names = [name if name.strip() else f"column {at}" for at, name in enumerate(cells, 1)]
        return self._named(names, line, (line, 1))

    def _row(self, cells: list[str], line: int, header: Header) -> Row | None:
        if len(cells) != header.width:
            if len(cells) > header.width and (any(cells[header.width :]) or len(cells) > _MOST_COLUMNS):
                self._too_many(cells, line, header)
                return None
            header = header.short(len(cells)) if len(cells) < header.width else header
        carried = self._reading.carried
        inputs: dict[str, Any] = dict(carried.inputs)
        if header.prompt is not None:
            inputs["prompt"] = cells[header.prompt]
            if self._style == "csv" and not inputs["prompt"][:1].isalnum():
                self._look_at(inputs["prompt"], line, header.prompt)
        self._convert(cells, line, header, inputs)
        meta = carried.with_meta({name: cells[at] for name, at in header.meta})
        ident = cells[header.id] or None if header.id is not None else None
        row = Row(self._source.label, line, inputs, ident, meta, carried.vars, self, header, carried.repeat)
        if header.special:
            given = {kind: (name, cells[at]) for kind, name, at in header.special if cells[at].strip()}
            self._mean(row, given, header)
        return row

    def _convert(self, cells: list[str], line: int, header: Header, inputs: dict[str, Any]) -> None:
        model_inputs = self._reading.model_inputs
        for name, at, column, is_integer in header.inputs:
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
                    place = self._place(line, at)
                    self._wrong(place, f"`{name}` {error}", model_inputs.mend(name), f"type of {name}")

    def _look_at(self, prompt: str, line: int, at: int) -> None:
        """Whether a prompt begins and ends with signs that were meant to quote it, and do not."""
        stripped = prompt.strip()
        first, last = stripped[:1], stripped[-1:]
        if first == '"' and prompt[:1] == " ":  # the first rows had none, else it would be left out
            self._wrong(self._place(line, at), *_BLANK, "space before a quote")
        elif first and (first in _CURLY or first == "'") and (last in _CURLY or last == "'") and len(stripped) > 1:
            kind = "single" if first == "'" else "curly"
            what = f"prompts begin and end with {kind} quotes, and are sent with them"
            if kind not in self._warned:
                self._warned.add(kind)
                warn = self._reading.model_inputs.warn
                warn(f'{self._source.label}:{line}: {what}; in a CSV file only " quotes a cell')

    def _too_many(self, cells: list[str], line: int, header: Header) -> None:
        text = self._text()
        what = f"{len(cells)} cells, and the header has {header.width}"
        mend = "put cells with the separator in them in quotes" if self._dialect.quoted else "remove the extra tabs"
        if any(char in text for char in _CURLY[:3]) and '"' not in text:
            mend = 'its quotes are curly, and quote nothing: replace them by plain ones (")'
        elif "'" in text and '"' not in text and self._dialect.quoted:
            mend = 'put cells with the separator in them in double quotes (")'
        elif '"' in text and not self._spilled(header):
            mend = "the header is older or shorter than this row: add names for its other columns to the header"
        self._wrong(self._place(line, header.width), what, mend, "too many cells")

    def _spilled(self, header: Header) -> bool:
        """Whether a prompt without quotes may have been cut at a separator in it."""
        if header.prompt is None:
            return False
        at = self._cell_offset(header.prompt)
        return self._text()[at : at + 1] != '"'

    def _place(self, line: int, at: int) -> tuple[int, int]:
        """Line and column where a cell of the record at hand begins."""
        return _place(self._text(), self._cell_offset(at), line)

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
            what = "this cell does not end: it seems that a quote was opened and not closed"
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
_BLANK = ("a space before the quote, so the quote is read as text", "remove the spaces between separators and quotes")
_STRAY = (
    "the quotes of this cell end before the cell does",
    'quote the whole cell, and double the quotes in it: "a ""red"" kite"',
)
