"""One prompt as it stands in a file, and what a reader of such files needs to know."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from batcher.manifest.problems import Problems
from batcher.manifest.readers.columns import Layout, layout
from batcher.manifest.readers.meanings import Meanings
from batcher.manifest.schema.inputs import ModelInputs
from batcher.manifest.sweep.repeats import Repeat


@dataclass(slots=True)
class Row:
    """One prompt, before the sweep.

    inputs: its own keys and those its file entry carries, ``prompt`` among them, as they will be sent (but for vars).
    vars: name to the texts it stands for. variants: of a prompt that is a template, what it becomes.
    model: the one that it names itself, None for that of the manifest.
    reader, raw: where a value stands in the file is worked out from these when a message needs it.
    """

    source: str
    line: int
    inputs: dict[str, Any]
    id: str | None
    meta: dict[str, Any]
    vars: dict[str, tuple[str, ...]]
    reader: "Places"
    raw: Any
    repeat: Repeat | None = None
    variants: "Variants | None" = None

    @property
    def is_plain(self) -> bool:
        """Whether it makes one prompt, as it stands."""
        return not self.vars and self.repeat is None and self.variants is None

    def place(self, name: str) -> tuple[str, int, int]:
        """File, line and column of the value called ``name``, as near as can be told."""
        return self.reader.place(self, name)


class Variants(Protocol):
    """Pairs of a prompt and the texts that were chosen in it. bound: no more than so many."""

    bound: int

    def __iter__(self) -> Iterator[tuple[str, str]]: ...


class Places(Protocol):
    def place(self, row: Row, name: str) -> tuple[str, int, int]: ...


@dataclass(frozen=True, slots=True)
class Carried:
    """What a file entry gives to each of its prompts, and where (file, line, column) it says so.

    aside: names of columns that are declared to be plain metadata.
    """

    inputs: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    vars: dict[str, tuple[str, ...]] = field(default_factory=dict)
    repeat: Repeat | None = None
    aside: frozenset[str] = frozenset()
    places: dict[str, tuple[str, int, int]] = field(default_factory=dict)

    def with_meta(self, own: dict[str, Any]) -> dict[str, Any]:
        """A row's own values over these. An empty cell (null in JSON) is a value not given, as it is among inputs."""
        if not self.meta:
            return own
        return {
            **self.meta,
            **{name: value for name, value in own.items() if name not in self.meta or _is_given(value)},
        }


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read one file. prompt_column: None for "called prompt, in any letter case". is_named: whether the user
    named the format, so that the reader does not look whether the file is of another. meanings: carries out columns
    that mean something; None where they mean nothing.
    """

    model_inputs: ModelInputs
    problems: Problems
    carried: Carried
    prompt_column: str | None = None
    is_named: bool = False
    meanings: Meanings | None = None

    @property
    def needs_prompt(self) -> bool:
        return self.model_inputs.prompt is not None

    def row(
        self,
        label: str,
        line: int,
        own: Mapping[str, Any],
        reader: "Places",
        raw: Any = None,
        *,
        ident: str | None = None,
        meta: dict[str, Any] | None = None,
    ) -> Row:
        """A row with these inputs, over what its file carries. meta: of both together; None: it has none itself."""
        carried = self.carried
        meta = dict(carried.meta) if meta is None else meta
        return Row(label, line, {**carried.inputs, **own}, ident, meta, carried.vars, reader, raw, carried.repeat)

    def carry_out(self, row: Row, given: Mapping[str, tuple[str, Any]]) -> list[tuple[str, str, str]]:
        """Does to a row what its columns with a meaning say; returns (column, what, mend) of those that are refused.

        given: by meaning, the column and its value.
        """
        if self.meanings is None:
            row.meta.update(given.values())
            return []
        applied = self.meanings.apply(given, row.inputs)
        row.meta.update((column, value) for column, value in given.values() if column in applied.meta)
        row.repeat = applied.repeat or row.repeat
        return applied.refused

    def layout(self, names: Sequence[str]) -> Layout:
        return layout(names, self.model_inputs, self.prompt_column, self.carried.aside)


def with_line_ends_alike(text: str) -> str:
    """One form of line ends, so that Git or a spreadsheet program can't make another job of a text."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _is_given(value: Any) -> bool:
    return value is not None and value != ""
