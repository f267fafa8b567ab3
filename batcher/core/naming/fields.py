"""A text with fields: ``{name}``, ``{name:04d}``, ``{meta.name}``; ``{{`` and ``}}`` stand for braces."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from batcher.core.errors import Mistake
from batcher.core.naming.names import cut

_WIDEST = 120  # characters that a format specification may ask for
_PIECE = re.compile(r"(?P<text>[^{}]+)|\{\{|\}\}|\{(?P<field>[^{}]*)\}|[{}]")
_NAME = re.compile(r"[A-Za-z_][\w-]*|meta\.[^!]+")


class TemplateError(Mistake):
    """A template that can't be used."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a template.

    name: may begin with ``meta.``. spec: Python's format specification, "" for none. column: where it begins, from 1.
    """

    name: str
    spec: str
    column: int

    def format(self, value: Any) -> str:
        """The value formatted by ``spec``. Raises TemplateError if it does not fit."""
        try:
            return format(value, self.spec)
        except (ValueError, TypeError, OverflowError):
            what = f"the format {cut(repr(self.spec), 60)} does not fit {cut(self.name, 60)} = {cut(repr(value), 60)}"
            mend = f"write {{{self.name}}}, or a format for that kind of value"
            raise TemplateError(self.column, what, mend) from None


def pieces(text: str) -> Iterator[tuple[int, str | Field]]:
    """The literal texts and fields of a template in order, each with its column. Raises TemplateError."""
    for match in _PIECE.finditer(text):
        column, inner = match.start() + 1, match["field"]
        if inner is not None:
            yield column, _field(inner, column)
        elif match[0] == "{":
            raise TemplateError(column, "a '{' without its '}'", "close the field, or write '{{' for a brace")
        elif match[0] == "}":
            raise TemplateError(column, "a '}' without its '{'", "write '}}' for a brace")
        else:
            yield column, match["text"] or match[0][0]


def _field(inner: str, column: int) -> Field:
    name, _, spec = inner.partition(":")
    if not name.strip():
        raise TemplateError(column, "a field without a name", "write {prompt_id}, {seed} or another input")
    if not _NAME.fullmatch(name):
        raise not_a_name(column, name)
    if max((int(digits) for digits in re.findall(r"[0-9]{1,9}", spec)), default=0) > _WIDEST:
        raise TemplateError(column, f"the format {cut(repr(spec), 60)} is too wide", f"use at most {_WIDEST}")
    return Field(name, spec, column)


def not_a_name(column: int, name: str) -> TemplateError:
    """The error for ``{name}`` at a column, from 1, which is not the name of a field."""
    if re.search(r"[!.\[]", name):
        what = f"{{{cut(name, 40)!r}}} asks for more than a name"
        return TemplateError(column, what, "use {name}, {name:04d} or {meta.column}; no '!', '[' or other '.'")
    return TemplateError(column, f"{cut(name, 40)!r} is not a field name", "use letters, digits and '_'")
