"""One prompt as it stands in a file, and what a reader of such files needs to know."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from batcher.manifest.problems import Problems
from batcher.manifest.terms import Terms


@dataclass(slots=True)
class Row:
    """One prompt, before the sweep.

    inputs: its own keys and those its file entry carries, ``prompt`` among them, as they will be sent (but for vars).
    vars: name to the texts it stands for.
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

    def place(self, name: str) -> tuple[str, int, int]:
        """File, line and column of the value called ``name``, as near as can be told."""
        return self.reader.place(self, name)


class Places(Protocol):
    def place(self, row: Row, name: str) -> tuple[str, int, int]: ...


@dataclass(frozen=True, slots=True)
class Carried:
    """What a file entry gives to each of its prompts, and where (file, line, column) it says so."""

    inputs: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    vars: dict[str, tuple[str, ...]] = field(default_factory=dict)
    places: dict[str, tuple[str, int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read one file. ``prompt_column`` is None for "called prompt, in any letter case"."""

    terms: Terms
    problems: Problems
    carried: Carried
    prompt_column: str | None = None
