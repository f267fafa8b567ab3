"""How ``--where`` spells a name, and its warning about a column that is compared with a value of another type."""

import json
import keyword
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A column that was compared with a value of another type, which is never equal. Its text is the warning.

    name: the column. value: the one in the column. literal: the one in the expression. op: ``==``, ``!=`` or ``in``.
    """

    name: str
    value: Any
    literal: Any
    op: str

    def __str__(self) -> str:
        name, kind = spelled(self.name), kind_of(self.value)
        is_what = f"{name} is {_KINDS[kind]} (such as {_shown(self.value)})"
        never = f"is never equal to {_KINDS[kind_of(self.literal)]} {_shown(self.literal)}"
        return f"--where: {is_what}, which {never}: {self._way_out(name, kind)}"

    def _way_out(self, name: str, kind: type) -> str:
        if kind is list:
            return f"write {_shown(self.literal)} in {name}"
        if kind is bool:
            return f"write {name} {self.op} true, or false"
        if kind is str:
            as_text = self.value if isinstance(self.literal, bool) else str(self.literal)
            return f"write {name} {self.op} {self._among(_shown(as_text))}"
        try:
            return f"write {name} {self.op} {self._among(f'{float(self.literal):g}')}"
        except (TypeError, ValueError):
            return "compare it with a number"

    def _among(self, text: str) -> str:
        return f"({text}, ...)" if self.op.endswith("in") else text


_KINDS: dict[type, str] = {str: "text", bool: "true or false,", float: "a number", list: "a list"}


def kind_of(value: Any) -> type:
    """``str``, ``bool``, ``float`` for all numbers, or ``list``."""
    if isinstance(value, bool):
        return bool
    return float if isinstance(value, int | float) else list if isinstance(value, list | tuple) else str


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool | list) else str(value)
    return text if len(text) <= 40 else f"{text[:36]}..."


def spelled(name: str) -> str:
    """How an expression asks for a name: ``meta.style``, but ``meta["Price ($)"]`` and ``inputs["600_prompt"]``."""
    place, dot, last = name.partition(".")
    if place not in {"meta", "inputs", "chosen"} or not dot:
        place, last = "", name
    plain = last.isidentifier() and not keyword.iskeyword(last) and normalize("NFKC", last) == last
    if plain and last not in {"true", "false", "null", *(() if place else ("meta", "inputs", "chosen"))}:
        return name
    return f"{place or 'inputs'}[{json.dumps(last, ensure_ascii=False)}]"
