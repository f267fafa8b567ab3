"""Rows of a table that are no prompts: failed formulas, words for "no value", and sums below the rows. Each would be
paid for as a prompt.
"""

import re
from collections.abc import Iterator

from batcher.core.suggest import fold_name
from batcher.manifest.readers.reading import Reading
from batcher.manifest.readers.rows import Row
from batcher.manifest.schema.words import shown

FORMATS = frozenset({"csv", "tsv", "tsv-quoted", "xlsx", "parquet", "json", "jsonl"})
_SHOWN = 3
_LONGEST = 20  # characters of such a prompt
_MOST_DIGITS = 40
_FAILED = re.compile(r"#(N/A|REF!|VALUE!|NAME\?|DIV/0!|NUM!|NULL!|SPILL!|CALC!|ERROR!|GETTING_DATA|#+)|[-=_:*|~.]+")
_NOTHING = frozenset({"nan", "null", "none", "na", "n/a", "<na>", "nil", "\u2013", "\u2014"})
_SUMS = re.compile(
    r"(grand|sub)?totals?|sum|average|mean|count|(zwischen|gesamt)?summe|gesamt|mittelwert|anzahl|somm[ae]|moyenne|totale"
    r"|suma|promedio|soma"
)
_FEW = 5  # rows with more than a prompt, after which a last row without more is odd
Place = tuple[str, int, int]
_NUMBER = re.compile(r"[^\w]*[0-9][0-9.,' ]*[^\w]*")


class Leftovers:
    """Looks for such rows among those of a reader. They are an error for a run and a warning for a plan.

    form: the format, for messages. reading: gets the problems and warnings.
    """

    def __init__(self, form: str, reading: Reading) -> None:
        self._form, self._reading = form, reading
        self._first: list[tuple[Place, str]] = []
        self._many = 0
        self._sums: list[tuple[Place, str]] = []  # the last rows, if they are sums

    def among(self, rows: Iterator[Row]) -> Iterator[Row]:
        """The rows, unchanged."""
        number, row, all_have_more, is_warned = 0, None, True, False
        try:
            for number, row in enumerate(rows, 1):
                prompt = row.inputs.get("prompt")
                if type(prompt) is str and len(prompt) <= _LONGEST:
                    self._check_prompt(row, prompt.strip())
                elif self._sums:
                    self._sums.clear()
                if number <= _FEW:
                    all_have_more &= self._has_more(row)
                negative = row.inputs.get("negative_prompt")
                if not is_warned and type(negative) is str and negative.strip().lower() in _NOTHING:
                    is_warned, sent = True, f"`negative_prompt` is {shown(negative)}, and is sent as that text"
                    self._warn(row, f"{sent}: leave the cell empty for none")
                yield row
            for place, what in self._sums:
                self._see(place, what)
            if row is not None and number > _FEW and all_have_more and not self._has_more(row):
                self._warn(row, "the last row has only its prompt, and those above it have more")
        finally:  # also where the caller stops early
            mend = f"remove the row, or write its prompt; --format {self._form} sends such prompts unchanged"
            for at, (place, what) in enumerate(self._first, 1):
                more = self._many - at if at == _SHOWN else 0
                self._reading.problems.doubt(*place, f"{what} (and {more:,} more rows like it)" if more else what, mend)

    def _check_prompt(self, row: Row, text: str) -> None:
        if _FAILED.fullmatch(text) or text.lower() in _NOTHING:
            self._see(row.place("prompt"), f"the prompt of this row is {shown(text)}, which is not a prompt")
        if _is_sum(text, row):
            what = f"the last row is {shown(text)} and a number, and is read as a prompt"
            self._sums.append((row.place("prompt"), what))
        else:
            self._sums.clear()

    def _has_more(self, row: Row) -> bool:
        """Whether a row has more than its prompt and what the manifest gives to every row of the file."""
        return len(row.inputs) > len(self._reading.carried.inputs) + 1 or any(row.meta.values())

    def _warn(self, row: Row, what: str) -> None:
        self._reading.model_inputs.warn(f"{row.source}:{row.line}: {what}")

    def _see(self, place: Place, what: str) -> None:
        self._many += 1
        if len(self._first) < _SHOWN:
            self._first.append((place, what))


def _is_sum(text: str, row: Row) -> bool:
    """Whether a row is a word for a sum and numbers."""
    if not _SUMS.fullmatch(fold_name(text.rstrip(":"))):
        return False
    others = [
        value for name, value in {**row.inputs, **row.meta}.items() if name != "prompt" and value not in (None, "")
    ]
    return bool(others) and all(_NUMBER.fullmatch(str(value)[:_MOST_DIGITS]) for value in others)
