"""What all readers of prompt files share: how to read a file, and the place of each value."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batcher.manifest.problems import Problems
from batcher.manifest.readers.columns import Layout, layout
from batcher.manifest.readers.rows import Carried, Row
from batcher.manifest.readers.source import Source
from batcher.manifest.readers.special_columns import SpecialColumns
from batcher.manifest.schema.inputs import ModelInputs
from batcher.manifest.schema.words import DEEPEST, described, is_deep


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read one file.

    model_inputs: inputs of the model. problems: gets what is wrong. carried: what the manifest gives to each prompt.
    prompt_column: name of the column of prompts, None for ``prompt`` in any letter case. is_named: whether the user
    named the format; the reader then does not look for another one. special: carries out special columns, None where
    there are none.
    """

    model_inputs: ModelInputs
    problems: Problems
    carried: Carried
    prompt_column: str | None = None
    is_named: bool = False
    special: SpecialColumns | None = None

    @property
    def needs_prompt(self) -> bool:
        return self.model_inputs.prompt is not None

    def layout(self, names: Sequence[str]) -> Layout:
        return layout(names, self.model_inputs, self.prompt_column, self.carried.aside)


class FileReader(ABC):
    """Reads the prompts of one file in order. What is wrong with a prompt goes to the problems.

    source: the file. form: its format. reading: how to read it.
    """

    def __init__(self, source: Source, form: str, reading: Reading) -> None:
        self._source, self._form, self._reading = source, form, reading

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """Raises ManifestError where reading ends."""

    def place(self, row: Row, name: str) -> tuple[str, int, int]:
        """File, line and column of a value: in the file, else in the manifest, else those of the row."""
        at = self._at(row, name)
        return self._reading.carried.places.get(name, (row.source, row.line, 1)) if at is None else (row.source, *at)

    def _row_of(
        self,
        line: int,
        own: Mapping[str, Any],
        raw: Any = None,
        *,
        label: str | None = None,
        ident: str | None = None,
        meta: dict[str, Any] | None = None,
    ) -> Row:
        """A row of these inputs and those that the manifest gives. meta: of both; None for that of the manifest."""
        carried = self._reading.carried
        meta = dict(carried.meta) if meta is None else meta
        inputs = {**carried.inputs, **own}
        return Row(label or self._source.label, line, inputs, ident, meta, carried.vars, self, raw, carried.repeat)

    def _at(self, row: Row, name: str) -> tuple[int, int] | None:  # noqa: ARG002  subclasses use them
        """Line and column in the file, None for a value that does not stand there."""
        return None

    def _wrong(self, place: tuple[int, int], what: str, mend: str, kind: str = "") -> None:
        self._reading.problems.add(self._source.label, *place, what, mend, kind=kind)

    def _warn(self, what: str, line: int | None = None) -> None:
        """Warns of the file, or of a line of it."""
        self._reading.model_inputs.warn(f"{self._source.label}:{f'{line}:' if line else ''} {what}")

    def _ident(self, value: Any, place: Callable[[], tuple[int, int]], mend: str) -> str | None:
        """The id of a row as text; None for none, and with a problem for what is none. place: of that value."""
        if value is None or isinstance(value, str):
            return value or None
        if type(value) is int and abs(value) < 10**40:
            return str(value)
        self._wrong(place(), f"`id` must be text, not {described(value)}", mend)
        return None

    def _is_deep(self, *values: Any, place: tuple[int, int]) -> bool:
        """Whether a value is nested so deep that it is refused, with a problem."""
        deep = any(map(is_deep, values))
        if deep:
            self._wrong(place, f"is nested more than {DEEPEST} deep", "flatten it: no tool reads such data back")
        return deep

    def _carry_out(
        self, row: Row, given: Mapping[str, tuple[str, Any]], place: Callable[[str], tuple[int, int]]
    ) -> None:
        """``SpecialColumns.apply``, where there may be such columns. place: of the value of a column."""
        for name, what, mend in self._reading.special.apply(given, row) if self._reading.special else ():
            self._wrong(place(name), what, mend, f"column {name}")
