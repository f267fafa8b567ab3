"""``{prompt}, {meta.style}``: text with fields, for captions and for names of files.

``{name}`` stands for a value, ``{name:05d}`` for a number put through Python's format specification, ``{{`` and
``}}`` for braces. A name is an input, ``meta.NAME``, or one of the facts that the template's owner has.
"""

from collections.abc import Callable, Collection
from typing import Any

from batcher.core.errors import UsageError
from batcher.core.naming import TemplateError
from batcher.core.naming.fields import Field, pieces
from batcher.core.suggest import nearest
from batcher.export.columns import as_text


class Template:
    """flag: how the option is called in errors. Raises UsageError."""

    def __init__(self, text: str, flag: str) -> None:
        self.text = text
        self._flag = flag
        try:
            self._pieces = [piece for _, piece in pieces(text)]
        except TemplateError as error:
            raise self._wrong(error) from None
        self._fields = [piece for piece in self._pieces if isinstance(piece, Field)]

    @property
    def names(self) -> list[str]:
        return [field.name for field in self._fields]

    def require(self, names: Collection[str]) -> None:
        """Raises UsageError when it asks for a name that nothing has."""
        for field in self._fields:
            if field.name not in names:
                near = nearest(field.name, names, cutoff=0.5)
                mend = f"did you mean {{{near}}}?" if near else f"there are {', '.join(sorted(names)[:20])}"
                raise self._wrong(TemplateError(field.column, f"there is no {{{field.name}}}", mend))

    def render(self, value: Callable[[str], Any]) -> str:
        """value: gives that of a name; None is written as nothing. Raises UsageError when a format does not fit."""
        try:
            return "".join([p if isinstance(p, str) else _written(p, value(p.name)) for p in self._pieces])
        except TemplateError as error:
            raise self._wrong(error) from None

    def _wrong(self, error: TemplateError) -> UsageError:
        at = error.column - 1
        where = f"{self._flag}: column {error.column}, at {self.text[at : at + 24]!r}"
        return UsageError(f"{where}: {error.what}", hint=error.mend)


def _written(field: Field, value: Any) -> str:
    if value is None:
        return ""
    return field.format(value) if field.spec else as_text(value)
