"""A value of a YAML file. Apart from its reader, so that other manifests do not import PyYAML."""

from dataclasses import dataclass, field
from typing import Any

WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass(slots=True)
class Node:
    """One value of a YAML file. kind: text, integer, number, boolean, null, date, list or mapping.

    line, column: from 1. text: a scalar as it was written. items: of a list. pairs: of a mapping, by name.
    size: number of values in it, aliases expanded. lines: number of lines of a text without quotes.
    """

    kind: str
    line: int
    column: int
    text: str = ""
    quoted: bool = False
    items: "list[Node]" = field(default_factory=list)
    pairs: "dict[str, tuple[Node, Node]]" = field(default_factory=dict)
    size: int = 1
    lines: int = 1

    @property
    def place(self) -> tuple[int, int]:
        return self.line, self.column

    def get(self, key: str) -> "Node | None":
        pair = self.pairs.get(key)
        return pair[1] if pair else None

    def value(self) -> Any:
        """As JSON data; a date stays the text it was written as."""
        if self.kind == "list":
            return [item.value() for item in self.items]
        if self.kind == "mapping":
            return {key: node.value() for key, (_, node) in self.pairs.items()}
        return _SCALARS[self.kind](self.text)


_SCALARS: dict[str, Any] = {
    "text": str,
    "date": str,
    "integer": int,
    "number": float,
    "boolean": lambda text: WORDS[text.lower()],
    "null": lambda _text: None,
}
