"""One prompt as it stands in a file, and what a reader of such files needs to know."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from batcher.manifest.inputs import ModelInputs
from batcher.manifest.problems import Problems
from batcher.manifest.sweep.repeats import Repeat


@dataclass(slots=True)
class Row:
    """One prompt, before the sweep.

    inputs: its own keys and those its file entry carries, ``prompt`` among them, as they will be sent (but for vars).
    vars: name to the texts it stands for. variants: of a prompt that is a template, what it becomes.
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
    """What a file entry gives to each of its prompts, and where (file, line, column) it says so."""

    inputs: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    vars: dict[str, tuple[str, ...]] = field(default_factory=dict)
    repeat: Repeat | None = None
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
    """How to read one file. ``prompt_column`` is None for "called prompt, in any letter case"."""

    model_inputs: ModelInputs
    problems: Problems
    carried: Carried
    prompt_column: str | None = None


def _is_given(value: Any) -> bool:
    return value is not None and value != ""
