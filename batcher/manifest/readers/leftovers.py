"""Rows of a table that are no prompts: what a spreadsheet program writes for a failed formula, what other programs
write for nothing, and sums below the rows. Each would be paid for as a prompt.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from batcher.core.suggest import fold_name
from batcher.manifest.readers.rows import Reading, Row
from batcher.manifest.schema.words import shown

FORMATS = frozenset({"csv", "tsv", "tsv-quoted", "xlsx", "parquet", "json", "jsonl"})
_MARKS = ' \t"\ufeff'  # about a name, where files were put together
_SHOWN = 3
_LONGEST = 20  # characters of such a text
_FAILED = re.compile(r"#(N/A|REF!|VALUE!|NAME\?|DIV/0!|NUM!|NULL!|SPILL!|CALC!|ERROR!|GETTING_DATA|[#]+)")
_NOTHING = frozenset({"nan", "null", "none", "na", "n/a", "<na>", "nil", "-", "--", "\u2013", "\u2014"})
_SUMS = frozenset(
    [
        "total",
        "totals",
        "grandtotal",
        "subtotal",
        "sum",
        "average",
        "mean",
        "count",
        "summe",
        "gesamt",
        "gesamtsumme",
        "zwischensumme",
        "mittelwert",
        "anzahl",
        "somme",
        "moyenne",
        "totale",
        "somma",
        "media",
        "suma",
        "promedio",
        "soma",
    ]
)
Place = tuple[str, int, int]
_NUMBER = re.compile(r"[^\w]*[0-9][0-9.,' ]*[^\w]*")


def written(names: Sequence[str]) -> dict[str, None]:
    """Names of a header, in order, without those that were made up for empty cells."""
    return dict.fromkeys(name.strip(_MARKS) for at, name in enumerate(names, 1) if name != f"column {at}")


def header_again(cells: Sequence[Any], at: int, header: Mapping[str, None]) -> list[str] | None:
    """The names in the cells of a row that holds those of the header and nothing else; None for any other row.

    at: of the cell that is looked at first, as most rows end there.
    """
    if str(cells[at]).strip(_MARKS) not in header:
        return None
    names = [name for cell in cells if cell is not None and (name := str(cell).strip(_MARKS))]
    is_certain = len(names) > 1 or "".join(names).lower() in {"prompt", "prompts"}
    return names if is_certain and set(names) == header.keys() else None


class LeftoversSeen:
    """The rows of another reader, looked at. Rows that are no prompts are an error for a run and a warning for a plan,
    unless the user names the format.
    """

    def __init__(self, rows: Iterator[Row], form: str, reading: Reading) -> None:
        self._rows, self._form, self._reading = rows, form, reading
        self._first: list[tuple[Place, str]] = []
        self._many = 0

    def rows(self) -> Iterator[Row]:
        sums: list[tuple[Place, str]] = []  # the rows before this one, as long as they are sums
        try:
            for row in self._rows:
                prompt = row.inputs.get("prompt")
                text = prompt.strip() if type(prompt) is str and len(prompt) <= _LONGEST else ""
                if not text:
                    sums.clear()
                    yield row
                    continue
                if _FAILED.fullmatch(text) or text.lower() in _NOTHING:
                    self._see(
                        row.place("prompt"),
                        f"the prompt of this row is {shown(text)}, which programs write for no value",
                    )
                elif _is_sum(text, row):
                    sums.append(
                        (row.place("prompt"), f"the last row is {shown(text)} and a number, and is read as a prompt")
                    )
                    yield row
                    continue
                sums.clear()
                yield row
            for place, what in sums:
                self._see(place, what)
        finally:  # also when no more rows are wanted
            self._say()

    def _see(self, place: Place, what: str) -> None:
        self._many += 1
        if len(self._first) < _SHOWN:
            self._first.append((place, what))

    def _say(self) -> None:
        mend = f"remove the row, or write its prompt; --format {self._form} sends such prompts as they stand"
        for number, (place, what) in enumerate(self._first, 1):
            more = self._many - number if number == _SHOWN else 0
            self._reading.problems.doubt(*place, f"{what} (and {more:,} more rows like it)" if more else what, mend)


def _is_sum(text: str, row: Row) -> bool:
    """Whether a row is a word for a sum, and numbers."""
    if fold_name(text.rstrip(":")) not in _SUMS:
        return False
    others = [
        value for name, value in {**row.inputs, **row.meta}.items() if name != "prompt" and value not in (None, "")
    ]
    return bool(others) and all(_NUMBER.fullmatch(str(value)) for value in others)
