"""Templates such as ``{prompt}, {meta.style}``, for captions and file names.

``{name}`` is replaced by a value, ``{name:05d}`` by a number in one of Python's formats, ``{{`` and ``}}`` by braces. A
name is an input, ``meta.NAME``, or a name that the caller of ``require`` adds.
"""

from collections.abc import Callable, Collection
from typing import Any

from batcher.core.errors import UsageError
from batcher.core.naming import TemplateError
from batcher.core.naming.fields import Field, pieces
from batcher.core.suggest import suggestion
from batcher.export.columns import as_text


class Template:
    """A parsed template. text: the template. flag: the option's name, for messages. Raises UsageError."""

    def __init__(self, text: str, flag: str) -> None:
        self.text = text
        self._flag = flag
        try:
            self._pieces = [piece for _, piece in pieces(text)]
        except TemplateError as error:
            raise self._wrong(error) from None

    def require(self, names: Collection[str]) -> None:
        """Raises UsageError if a field is not one of ``names``."""
        for field in self._pieces:
            if isinstance(field, Field) and field.name not in names:
                mend = suggestion(field.name, sorted(names), quote="{{{}}}")
                raise self._wrong(TemplateError(field.column, f"there is no {{{field.name}}}", mend))

    def render(self, value: Callable[[str], Any]) -> str:
        """The text with values in place of the fields.

        value: gives the value of a name; None becomes "". Raises UsageError if a value does not fit its format.
        """
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
