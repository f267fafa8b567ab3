"""CSV and TSV: one prompt a record.

CSV follows the strict rules of Python's csv module for quotes and cells of several lines. TSV has no quotes unless its
cells are plainly quoted (``dialects.py``). Every cell is text, except those of inputs that the schema gives a type.
"""

import csv
from collections.abc import Iterator
from itertools import chain
from typing import Any, TextIO

from batcher.manifest.problems import position
from batcher.manifest.readers.reading import Reading
from batcher.manifest.readers.rows import Row
from batcher.manifest.readers.source import LONGEST_LINE, Source
from batcher.manifest.readers.tables.dialects import Dialect, dialect_of, first_lines
from batcher.manifest.readers.tables.table import Header, Table, filled

_MOST_LINES = 20_000  # of one record: beyond it, a quote was never closed
_LONGEST_RECORD = 4 * LONGEST_LINE  # characters of one record, which is held whole
_MOST_COLUMNS = 16_384  # as spreadsheets have them
_LONGEST_HEADER = 2**18
_AT_ONCE = 2**14  # characters, or a few more
_CURLY = "\u201c\u201d\u201e\u2018\u2019"


class TextTable(Table):
    """A reader of one file. form: csv, tsv or tsv-quoted. source, reading: as of ``FileReader``."""

    def __init__(self, source: Source, form: str, reading: Reading) -> None:
        super().__init__(source, form, reading)
        self._begin = self._end = 0  # lines below the skipped ones, before the current record and up to its end
        self._lines: list[str] = []  # as they stand in the file, without the first _dropped lines
        self._dropped = 0
        self._dialect = Dialect(",")
        self._warned: set[str] = set()  # kinds of quotes that were warned of

    def rows(self) -> Iterator[Row]:
        # The limit is the csv module's own, for the whole process; its default is less than a long prompt.
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))
        with self._source.text() as stream:
            first = first_lines(stream)
            self._dialect = dialect_of(self._form, first, self._reading.prompt_column, is_named=self._reading.is_named)
            if self._dialect.note:
                self._warn(self._dialect.note)
            lines = chain.from_iterable(self._kept(first[self._dialect.skipped :], stream))
            yield from self._read(csv.reader(lines, **self._dialect.options()))

    def _kept(self, first: list[str], stream: TextIO) -> Iterator[list[str]]:
        """The lines, some at a time. Those of the current record are kept for messages."""
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
        """The current record, as it stands in the file."""
        return "".join(self._lines[self._begin - self._dropped : self._end - self._dropped])

    def _read(self, records: Any) -> Iterator[Row]:
        skipped = self._dialect.skipped
        header = self._first_record(self._next(records) or [], 1 + skipped)
        width = len(header.names)
        while (cells := self._next(records)) is not None:
            line = self._begin + 1 + skipped
            if not any(cells):
                continue
            if len(cells) > width and (any(cells[width:]) or len(cells) > _MOST_COLUMNS):
                self._too_many(cells, line, header)
                continue
            cells += [None] * (width - len(cells))
            if self._is_header(cells, line, header):
                continue
            if self._form == "csv" and header.prompt is not None and (prompt := cells[header.prompt]):
                self._check_prompt(prompt, line, header.prompt)
            yield self._row(cells, line, header)

    def _next(self, records: Any) -> list[Any] | None:
        """The cells of the next record. No cells for a record that is wrong, None at the end."""
        self._begin = self._end
        try:
            cells: list[Any] | None = next(records, None)
            self._end = records.line_num
        except csv.Error as error:
            cells, self._end = [], records.line_num
            self._broken(self._begin + 1 + self._dialect.skipped, str(error))
        return cells

    def _first_record(self, cells: list[str], line: int) -> Header:
        """The header. Raises ManifestError for a file without one, or without a column of prompts."""
        if not any(cells):
            self._reading.problems.raise_if_any()
            raise self._source.failure("is empty", "give a header line and a line for each prompt")
        if len(cells) > _MOST_COLUMNS or sum(map(len, cells)) > _LONGEST_HEADER:
            what = f"a header of {len(cells):,} columns and {sum(map(len, cells)):,} characters"
            mend = f"the maximum is {_MOST_COLUMNS:,} columns; is its first line a header?"
            raise self._source.failure(what, mend, line, 1)
        return self._named(filled(cells), line, (line, 1))

    def _check_prompt(self, prompt: str, line: int, at: int) -> None:
        """Warn of a prompt between signs that quote nothing in CSV; a space before a quote is a problem."""
        if prompt[0].isalnum():  # nearly all prompts
            return
        stripped = prompt.strip()
        first, last = stripped[:1], stripped[-1:]
        if first == '"' and prompt[:1] == " ":  # in the first lines of the file it would be left out
            self._wrong(self._place(line, at), *_BLANK, "space before a quote")
        elif first and (first in _CURLY or first == "'") and (last in _CURLY or last == "'") and len(stripped) > 1:
            kind = "single" if first == "'" else "curly"
            if kind not in self._warned:
                self._warned.add(kind)
                what = f"prompts begin and end with {kind} quotes, and are sent with them"
                self._warn(f'{what}; in a CSV file only " quotes a cell', line)

    def _too_many(self, cells: list[str], line: int, header: Header) -> None:
        text = self._text()
        # A prompt without quotes may have been cut at a separator in it.
        may_be_cut = header.prompt is not None and text[self._cell_offset(header.prompt) :][:1] != '"'
        what = f"{len(cells)} cells, and the header has {len(header.names)}"
        mend = "put cells with the separator in them in quotes" if self._dialect.quoted else "remove the extra tabs"
        if any(char in text for char in _CURLY[:3]) and '"' not in text:
            mend = 'its quotes are curly, and quote nothing: replace them by plain ones (")'
        elif "'" in text and '"' not in text and self._dialect.quoted:
            mend = 'put cells with the separator in them in double quotes (")'
        elif '"' in text and not may_be_cut:
            mend = "the header is older or shorter than this row: add names for its other columns to the header"
        self._wrong(self._place(line, len(header.names)), what, mend, "too many cells")

    def _place(self, line: int, at: int) -> tuple[int, int]:
        """Line and column where a cell of the current record begins."""
        return position(self._text(), self._cell_offset(at), line)

    def _cell_offset(self, at: int) -> int:
        text = self._text()
        starts = [cell.end(1) for cell in self._dialect.cells(text)]
        return starts[at] if at < len(starts) else len(text.rstrip("\r\n"))

    def _broken(self, line: int, error: str) -> None:
        text = self._text()
        if "field larger" in error or "too many lines" in error:
            what = "this cell does not end: it seems that a quote was opened and not closed"
            raise self._source.failure(what, _UNCLOSED[1], line, 1)
        fault = self._dialect.quote_fault(text)
        if fault is None:
            raise self._source.failure(f"not readable as {self._form} ({error})", "check the quotes", line, 1)
        at, is_closed = fault
        if not is_closed:
            raise self._source.failure(*_UNCLOSED, *position(text, at, line))
        self._wrong(position(text, at, line), *_STRAY, "stray quote")


_UNCLOSED = (
    "a quote is opened here and never closed",
    'close it; write a quote inside of a quoted cell as ""; files without quoting rules are --format tsv',
)
_BLANK = ("a space before the quote, so the quote is read as text", "remove the spaces between separators and quotes")
_STRAY = (
    "the quotes of this cell end before the cell does",
    'quote the whole cell, and double the quotes in it: "a ""red"" kite"',
)
