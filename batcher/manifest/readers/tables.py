"""CSV and TSV: one record one prompt.

CSV by the rules of Python's csv module (quotes, cells of several lines), separator told from the header. TSV has
no quoting: a prompt that begins with a quote keeps it; ``tsv-quoted`` is for the other kind. Every cell stays text
except those of model inputs, which the schema gives a type.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from typing import Any

from batcher.core.errors import ManifestError
from batcher.manifest.problems import MOST, failure
from batcher.manifest.readers.columns import Layout, layout, warn_of_near_misses, word
from batcher.manifest.readers.rows import Reading, Row
from batcher.manifest.readers.source import LONGEST_LINE, Source

_MOST_LINES = 20_000  # of one record: beyond it, a quote was never closed
_LONGEST_RECORD = 4 * LONGEST_LINE  # characters of one record, which is held whole
_MOST_COLUMNS = 16_384  # as spreadsheets have them
_LONGEST_HEADER = 2**18
_MOST_KEPT, _LONGEST_KEPT = 1_000, 1_000  # texts whose values are known, and characters of one
_END = "\x00end of file\n"  # no text file has a zero byte, so this is nobody's record

# The limit is the csv module's own, for the whole process; its default of 131,072 is less than a long prompt.
csv.field_size_limit(LONGEST_LINE)


class Table:
    """A reader of one table. ``style`` is csv, tsv or tsv-quoted."""

    def __init__(self, source: Source, style: str, reading: Reading) -> None:
        self._source = source
        self._style = style
        self._reading = reading
        self._lines: list[str] = []  # of the record at hand, as they stand in the file
        self._held = 0  # characters of them
        self._ended = False
        self._separator = ","

    def rows(self) -> Iterator[Row]:
        with self._source.text() as stream:
            first = next(stream, "")
            self._separator = _separator(first) if self._style == "csv" else "\t"
            records = csv.reader(self._fed(first, stream), **self._dialect())
            try:
                yield from self._read(records)
            except csv.Error as error:
                raise self._broken(records.line_num, str(error)) from None

    def _dialect(self) -> dict[str, Any]:
        if self._style == "tsv":
            return {"delimiter": "\t", "quoting": csv.QUOTE_NONE, "quotechar": None}
        return {"delimiter": self._separator}

    def _fed(self, first: str, stream: Iterator[str]) -> Iterator[str]:
        lines, self._ended = self._lines, False
        lines[:] = [first]
        yield first
        for line in stream:
            lines.append(line)
            self._held += len(line)
            if len(lines) > _MOST_LINES or self._held > _LONGEST_RECORD:
                raise csv.Error("too many lines")
            yield line
        self._ended = True
        yield _END

    def _read(self, records: Any) -> Iterator[Row]:
        header: list[str] = next(records, [])
        plan = self._plan(header)
        lines, line_num = self._lines, records.line_num
        lines.clear()
        self._held = 0
        end = [_END.rstrip("\n")]
        for cells in records:
            line, line_num = line_num + 1, records.line_num
            if self._ended:
                if cells == end:
                    return
                raise failure(self._source.label, *self._cell_place(line, len(cells) - 1), *_UNCLOSED)
            if cells and any(cells):
                row = self._row(cells, line, plan)
                if row is not None:
                    yield row
            lines.clear()
            self._held = 0
        raise failure(self._source.label, 1, 1, *_UNCLOSED)  # the header itself went on to the end

    def _plan(self, header: list[str]) -> "_Plan":
        """What each column is for; raises ManifestError when the prompts can't be found."""
        label, reading = self._source.label, self._reading
        if not any(header) or header == [_END.rstrip("\n")]:
            raise failure(label, 0, 0, "is empty", "give a header line and a line for each prompt")
        if len(header) > _MOST_COLUMNS or sum(map(len, header)) > _LONGEST_HEADER:
            what = f"a header of {len(header):,} columns and {sum(map(len, header)):,} characters"
            raise failure(label, 1, 1, what, f"the most is {_MOST_COLUMNS:,} columns; is its first line a header?")
        names = [name if name.strip() else f"column {at + 1}" for at, name in enumerate(header)]
        repeated = [name for name, times in Counter(names).items() if times > 1]
        found = layout(names, reading.model_inputs, reading.prompt_column)
        for name in repeated[:MOST]:
            column = self._cell_place(1, names.index(name))[1]
            reading.problems.add(label, 1, column, f"two columns are called `{word(name)}`", "rename one of them")
        for name, what, mend in found.wrong[:MOST]:
            reading.problems.add(label, *self._cell_place(1, names.index(name)), what, mend)
        if found.prompt is None:
            wanted = "prompt" if reading.prompt_column is None else word(reading.prompt_column)
            columns = ", ".join(f"`{word(name)}`" for name in names[:20])
            mend = f"name the column with --prompt-column (or prompt_column:); the columns are {columns}"
            raise failure(label, 1, 1, f"no column is called `{wanted}`", mend)
        warn_of_near_misses(label, found.meta, reading.model_inputs)
        return _Plan(names, found)

    def _row(self, cells: list[str], line: int, plan: "_Plan") -> Row | None:
        if len(cells) != plan.width:
            if len(cells) > plan.width:
                self._too_many(cells, line, plan.width)
                return None
            plan = plan.short(len(cells))
        carried = self._reading.carried
        inputs: dict[str, Any] = dict(carried.inputs)
        if plan.prompt is not None:
            inputs["prompt"] = cells[plan.prompt]
        for name, at, known in plan.inputs:
            text = cells[at]
            if text in known:
                inputs[name] = known[text]
            elif text:
                try:
                    inputs[name] = value = self._reading.model_inputs.convert(name, text)
                    if type(value) is str and len(known) < _MOST_KEPT and len(text) <= _LONGEST_KEPT:
                        known[text] = value
                except ValueError as error:
                    place = self._cell_place(line, at)
                    self._reading.problems.add(
                        self._source.label, *place, f"`{name}` {error}", self._reading.model_inputs.mend(name)
                    )
        meta = carried.with_meta({name: cells[at] for name, at in plan.meta})
        ident = cells[plan.id] or None if plan.id is not None else None
        return Row(self._source.label, line, inputs, ident, meta, carried.vars, self, plan, carried.repeat)

    def _too_many(self, cells: list[str], line: int, width: int) -> None:
        what = f"{len(cells)} cells, and the header has {width}"
        mend = "put cells with the separator in them in quotes" if self._style != "tsv" else "remove the extra tabs"
        self._reading.problems.add(self._source.label, *self._cell_place(line, width), what, mend)

    def place(self, row: Row, name: str) -> tuple[str, int, int]:
        plan: _Plan = row.raw
        inputs = {known: at for known, at, _ in plan.inputs}
        at = plan.prompt if name == "prompt" else plan.id if name == "id" else inputs.get(name)
        if at is None:
            return self._reading.carried.places.get(name, (row.source, row.line, 1))
        return (row.source, *self._cell_place(row.line, at))

    def _cell_place(self, line: int, wanted: int) -> tuple[int, int]:
        """Line and column where a cell of the record at hand begins."""
        cell, column, quoted = 0, 1, False
        quote = None if self._style == "tsv" else '"'
        for char in "".join(self._lines):
            if cell == wanted:
                break
            column += 1
            if char == quote:
                quoted = not quoted
            elif char == self._separator and not quoted:
                cell += 1
            elif char == "\n":
                line, column = line + 1, 1
        return line, column

    def _broken(self, line: int, error: str) -> ManifestError:
        start = max(1, line - len(self._lines) + 1)
        if "field larger" in error or "too many lines" in error:
            what = "a cell without end begins here: a quote was opened and not closed, it seems"
            return failure(self._source.label, start, 1, what, _UNCLOSED[1])
        return failure(self._source.label, start, 1, f"not readable as {self._style} ({error})", "check the quotes")


_UNCLOSED = (
    "a quote is opened here and never closed",
    'close it; write a quote inside of a quoted cell as ""; files without quoting rules are --format tsv',
)


class _Plan:
    """Which cell is what. A record with fewer cells than the header gets a plan of its own."""

    def __init__(self, names: list[str], found: Layout, width: int | None = None) -> None:
        self._names, self._found = names, found
        self.width = len(names) if width is None else width
        at = {name: place for place, name in enumerate(names[: self.width])}
        self.prompt = at.get(found.prompt) if found.prompt is not None else None
        self.id = at.get(found.id) if found.id is not None else None
        self.inputs: tuple[tuple[str, int, dict[str, str]], ...] = tuple(  # with texts whose values are known
            (name, at[column], {}) for name, column in found.inputs if column in at
        )
        self.meta = tuple((name, at[name]) for name in found.meta if name in at)
        self._short: dict[int, _Plan] = {}

    def short(self, width: int) -> "_Plan":
        if width not in self._short:
            self._short[width] = _Plan(self._names, self._found, width)
        return self._short[width]


def _separator(header: str) -> str:
    """The one of ``,``, ``;`` and tab that the header has most of, outside of quotes."""
    outside = "".join(header.split('"')[::2])
    return max(",;\t", key=outside.count)
