"""How a table of text was written: its separator, its quotes, and the lines that spreadsheet programs put above it.

The first lines show it. What they do not show is read as it stands, and a fault in it is an error with its place.
"""

import csv
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from batcher.core.suggest import fold_name
from batcher.manifest.readers.special_columns import prompt_names

_MOST_LINES, _MOST_CHARACTERS = 50, 2**18  # that are looked at
_SEPARATORS = ",;\t|"
_EMPTY = ' ,;\t|"\r\n'  # signs of a line that holds no text
_MOST_TITLES = 10
_HINT = re.compile(r'\s*"?sep=(.)"?\s*\Z', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Dialect:
    """separator: stands between cells. quoted: whether ``"`` quotes a cell. blanks: whether spaces between a separator
    and a quote are left out. skipped: number of lines above the header. note: a warning for the user, None for none.
    """

    separator: str
    quoted: bool = True
    blanks: bool = False
    skipped: int = 0
    note: str | None = None

    def options(self) -> dict[str, Any]:
        """Keyword arguments of ``csv.reader``."""
        if not self.quoted:
            return {"delimiter": self.separator, "quoting": csv.QUOTE_NONE, "quotechar": None}
        return {"delimiter": self.separator, "strict": True, "skipinitialspace": self.blanks}

    def cells(self, text: str) -> Iterator[re.Match[str]]:
        """A match for each cell of a record, as far as its quotes are right.

        Group 1 ends where the cell begins. Group 2 is its quoted part, None without one. Group 3 is the closing quote.
        """
        part = rf'{" *" if self.blanks else ""}"(?:[^"]++|"")*+("?)' if self.quoted else "(?!)()"
        return re.finditer(rf"(\A|{re.escape(self.separator)})({part})?", text)

    def quote_fault(self, text: str) -> tuple[int, bool] | None:
        """Offset of the first wrong quote of a record, and whether it closes its cell; None without one.

        A closing quote is wrong if more text of its cell follows. An opening quote is wrong if no quote closes it.
        """
        for cell in self.cells(text):
            if cell[2] and not cell[3]:
                return text.index('"', cell.end(1)), False
            if cell[2] and text[cell.end() : cell.end() + 1] not in {"", self.separator, "\r", "\n"}:
                return cell.end(), True
        return None


def first_lines(stream: Iterator[str]) -> list[str]:
    """The lines of a text that show its dialect."""
    first: list[str] = []
    size = 0
    for line in stream:
        first.append(line)
        size += len(line)
        if len(first) == _MOST_LINES or size > _MOST_CHARACTERS:
            break
    return first


def dialect_of(style: str, lines: Sequence[str], prompt_column: str | None, *, is_named: bool) -> Dialect:
    """The dialect of a table.

    style: csv, tsv or tsv-quoted. lines: the first lines of the file. prompt_column: the name of that column, None for
    ``prompt``. is_named: whether the user named the format. A ``tsv`` that the user named is never quoted.
    """
    hint = _HINT.fullmatch(lines[0]) if style == "csv" and lines else None
    hinted = 1 if hint else 0
    wanted = prompt_names(prompt_column)
    above = _above(lines[hinted:], hint[1] if hint else "\t" if style != "csv" else _SEPARATORS, wanted)
    titles = sum(bool(line.strip(_EMPTY)) for line in lines[hinted : hinted + above])
    notes = ["the lines above its header are left out"] if titles else []
    lines, skipped, quoted = lines[hinted + above :], hinted + above, True
    separator = "\t" if style != "csv" else hint[1] if hint else _separator(lines, wanted)
    if style == "tsv":
        is_cut = len(lines) + skipped >= _MOST_LINES or sum(map(len, lines)) > _MOST_CHARACTERS
        quoted = not is_named and _is_quoted(lines, is_cut=is_cut)
        notes += ["its cells are in quotes, and are read without them; --format tsv keeps them"] if quoted else []
    blanks = style == "csv" and any(_has_blank_quotes(line, separator) for line in lines[1:])
    notes += ["spaces between a separator and a quote are left out"] if blanks else []
    return Dialect(separator, quoted=quoted, blanks=blanks, skipped=skipped, note="; ".join(notes) or None)


def _above(lines: Sequence[str], separators: str, wanted: Collection[str]) -> int:
    """Number of lines above the header: empty lines, and titles of one cell if a header with the prompt follows."""
    empty = next((at for at, line in enumerate(lines) if line.strip(_EMPTY)), 0)
    for at, line in enumerate(lines[empty : empty + _MOST_TITLES], empty):
        if any(_names_prompt(line, separator, wanted) for separator in separators):
            return at
        if max(sum(bool(cell.strip(_EMPTY)) for cell in _outside(line).split(sign)) for sign in separators) > 1:
            break
    return empty


def _separator(lines: Sequence[str], wanted: Collection[str]) -> str:
    """The separator in the header that gives it a cell ``prompt``, else the one that gives most of the first rows as
    many cells as the header has; of several the most frequent one.
    """
    header = _outside(lines[0]) if lines else ""

    def merit(separator: str) -> tuple[bool, int, int]:
        named = _names_prompt(lines[0], separator, wanted)
        alike = sum(_outside(line).count(separator) == header.count(separator) for line in lines[1:6])
        return named, alike if not named else 0, header.count(separator)

    candidates = [separator for separator in _SEPARATORS if separator in header]
    return max(candidates, key=merit) if candidates else ","


def _names_prompt(line: str, separator: str, wanted: Collection[str]) -> bool:
    cells = (cell.strip().strip('"') for cell in line.rstrip("\r\n").split(separator))
    return any(fold_name(cell) in wanted for cell in cells)


def _outside(line: str) -> str:
    """The line without what is in quotes."""
    return "".join(line.split('"')[::2])


def _has_blank_quotes(line: str, separator: str) -> bool:
    """Whether a cell of a line begins with spaces and a quote."""
    return any((cell[2] or "").startswith(" ") for cell in Dialect(separator, blanks=True).cells(line))


def _is_quoted(lines: Sequence[str], *, is_cut: bool) -> bool:
    """Whether the cells of a TSV are plainly in quotes, as Excel and pandas write them, and all rows as wide as the
    header. Doubled quotes, commas or lines in quotes show it, and so does a header with every name in quotes.

    is_cut: whether the file has more lines than these.
    """
    text = "".join(lines)
    if not text.startswith('"') and '\t"' not in text and '\n"' not in text:
        return False
    records: list[list[str]] = []
    try:
        for record in csv.reader(text.splitlines(keepends=True), delimiter="\t", strict=True):
            records.append(record)  # noqa: PERF402  those before an error count
    except csv.Error as error:
        if not is_cut or "unexpected end" not in str(error):  # a cell goes on behind the lines that are looked at
            return False
    raw = [cell for line in lines[1:] for cell in line.rstrip("\r\n").split("\t")]
    plain = [cell for cell in raw if cell.startswith('"')]
    evident = any(re.search(r'.""|,|"[^"]*\Z', cell[1:-1]) or not cell.endswith('"') for cell in plain)
    evident = evident or all(re.fullmatch(r'"[^"]*"', cell) for cell in lines[0].rstrip("\r\n").split("\t"))
    return evident and all(len(record) in {0, len(records[0])} for record in records)
