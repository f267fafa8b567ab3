"""How a table was written: its separator, its quotes, and the lines that spreadsheet programs put above it.

Told from its first lines. Whatever can't be told is read as it stands, and a fault in it is an error with its place.
"""

import csv
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from batcher.core.suggest import fold_name

_MOST_LINES, _MOST_CHARACTERS = 50, 2**18  # that are looked at
_SEPARATORS = ",;\t|"
_EMPTY = ' ,;\t|"\r\n'  # signs of a line that holds no text
_MOST_TITLES = 10
_HINT = re.compile(r'\s*"?sep=(.)"?\s*\Z', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Dialect:
    """separator: of cells. quoted: whether ``"`` quotes. blanks: whether blanks after a separator are left out.
    skipped: lines above the header. note: what the user may not expect, None for nothing.
    """

    separator: str
    quoted: bool = True
    blanks: bool = False
    skipped: int = 0
    note: str | None = None

    def options(self) -> dict[str, Any]:
        """For ``csv.reader``."""
        if not self.quoted:
            return {"delimiter": self.separator, "quoting": csv.QUOTE_NONE, "quotechar": None}
        return {"delimiter": self.separator, "strict": True, "skipinitialspace": self.blanks}


def first_lines(stream: Iterator[str]) -> list[str]:
    """The lines of a text that its dialect is told from."""
    first: list[str] = []
    size = 0
    for line in stream:
        first.append(line)
        size += len(line)
        if len(first) == _MOST_LINES or size > _MOST_CHARACTERS:
            break
    return first


def dialect_of(style: str, lines: Sequence[str], prompt_column: str | None, *, is_named: bool) -> Dialect:
    """style: csv, tsv or tsv-quoted. lines: the first ones. is_named: a ``tsv`` that the user named is never quoted."""
    hint = _HINT.fullmatch(lines[0]) if style == "csv" and lines else None
    hinted = 1 if hint else 0
    wanted = {fold_name(prompt_column)} if prompt_column is not None else {"prompt", "prompts"}
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
    """How many lines stand above the header: empty ones, and titles, which are one cell, where a header that names the
    prompt follows.
    """
    empty = next((at for at, line in enumerate(lines) if line.strip(_EMPTY)), 0)
    for at, line in enumerate(lines[empty : empty + _MOST_TITLES], empty):
        for separator in separators:
            cells = [cell.strip().strip('"') for cell in line.rstrip("\r\n").split(separator)]
            if any(fold_name(cell) in wanted for cell in cells):
                return at
        if max(sum(bool(cell.strip(_EMPTY)) for cell in _outside(line).split(sign)) for sign in separators) > 1:
            break
    return empty


def _separator(lines: Sequence[str], wanted: Collection[str]) -> str:
    """Of those that the header has: one that makes a cell ``prompt`` of it, and the first rows as wide as it is; of
    several the most frequent one.
    """
    header = _outside(lines[0]) if lines else ""

    def merit(separator: str) -> tuple[bool, int, int]:
        cells = [cell.strip().strip('"') for cell in lines[0].rstrip("\r\n").split(separator)]
        named = any(fold_name(cell) in wanted for cell in cells)
        alike = sum(_outside(line).count(separator) == header.count(separator) for line in lines[1:6])
        return named, alike if not named else 0, header.count(separator)

    candidates = [separator for separator in _SEPARATORS if separator in header]
    return max(candidates, key=merit) if candidates else ","


def _outside(line: str) -> str:
    return "".join(line.split('"')[::2])


def _has_blank_quotes(line: str, separator: str) -> bool:
    """Whether a cell of a line begins with blanks and a quote; in quotes, a separator separates nothing."""
    if not re.search(re.escape(separator) + r'[ \t]+"', line):
        return False
    quoted, start, blank = False, True, False
    for at, char in enumerate(line):
        if char == '"' and start and blank and at:
            return True
        if char == '"' and (quoted or (start and not blank)):
            quoted = not quoted
        if char == separator and not quoted:
            start, blank = True, False
        elif start and char in " \t":
            blank = True
        else:
            start = False
    return False


def _is_quoted(lines: Sequence[str], *, is_cut: bool) -> bool:
    """Whether the cells of a TSV are plainly in quotes, as Excel and pandas write them, and all rows as wide as the
    header: with quotes doubled, commas or lines inside of them, or all names of the header in quotes.

    is_cut: whether there are more lines than these.
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


def quote_fault(text: str, separator: str) -> tuple[int, str] | None:
    """Where a record's quotes go wrong (offset), and how: ``open`` for one that is never closed, ``stray`` for one that
    ends before its cell does; None when nothing is wrong.
    """
    at, start = 0, True
    opened = -1
    while at < len(text):
        char = text[at]
        if opened >= 0:
            if char == '"':
                if text[at + 1 : at + 2] == '"':
                    at += 1
                elif text[at + 1 : at + 2] in {"", separator, "\r", "\n"}:
                    opened = -1
                else:
                    return at + 1, "stray"
        elif char == '"' and start:
            opened = at
        start = char == separator or char in "\r\n"
        at += 1
    return (opened, "open") if opened >= 0 else None
