"""One prompt as it stands in a file, and what its file gives to each of its prompts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

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
            **{name: value for name, value in own.items() if name not in self.meta or is_given(value)},
        }


def with_line_ends_alike(text: str) -> str:
    """One form of line ends, so that Git or a spreadsheet program can't make another job of a text."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def is_given(value: Any) -> bool:
    """An empty cell, or null, is a value that is not given."""
    return value is not None and value != ""
