"""One prompt as it stands in a file, and what its file gives to each of its prompts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any, Protocol

from batcher.manifest.sweep.repeats import Repeat


@dataclass(slots=True)
class Row:
    """One prompt, before the sweep.

    source, line: the file as messages name it, and a line from 1. inputs: as they are sent, but for vars; the prompt is
    one of them. id: as given, None to make one from the prompt. meta: carried along, not sent. vars: by name, the texts
    that it stands for. repeat: its copies, None for one. variants: of a prompt that is a template. reader, raw: give
    the place of a value when a message needs it.
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
        """File, line and column of the value called ``name``, or of the row."""
        return self.reader.place(self, name)


class Variants(Protocol):
    """Pairs of a prompt and the texts that were chosen in it. bound: the most pairs there can be."""

    bound: int

    def __iter__(self) -> Iterator[tuple[str, str]]: ...


class Places(Protocol):
    """Finds values in a file. ``place``: file, line and column, from 1, of a value of a row; of the row for another
    name.
    """

    def place(self, row: Row, name: str) -> tuple[str, int, int]: ...


@dataclass(frozen=True, slots=True)
class Carried:
    """What the manifest gives to each prompt of a file, unless a row has its own.

    inputs, meta, vars: by name; repeat: None for one copy. aside: columns that are declared to be metadata. places: by
    name of a value, its file, line and column.
    """

    inputs: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    vars: dict[str, tuple[str, ...]] = field(default_factory=dict)
    repeat: Repeat | None = None
    aside: frozenset[str] = frozenset()
    places: dict[str, tuple[str, int, int]] = field(default_factory=dict)

    @property
    def most_of_a_row(self) -> int:
        """The most prompts that one row makes with these vars and copies."""
        return prod(map(len, self.vars.values())) * (1 if self.repeat is None else self.repeat.times)

    def with_meta(self, own: dict[str, Any]) -> dict[str, Any]:
        """The metadata of a row: its own over this one, where its own is neither empty nor null."""
        if not self.meta:
            return own
        return {
            **self.meta,
            **{name: value for name, value in own.items() if name not in self.meta or is_given(value)},
        }


def with_line_ends_alike(text: str) -> str:
    """The text with LF as line ends. Git or a spreadsheet program may change them, which must make no new job."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def is_given(value: Any) -> bool:
    """Whether a cell has a value: it is neither null nor empty."""
    return value is not None and value != ""
