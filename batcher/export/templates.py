"""``{prompt}, {meta.style}``: text with fields, for captions and for names of files.

``{name}`` stands for a value, ``{name:05d}`` for a number put through Python's format specification, ``{{`` and
``}}`` for braces. A name is an input, ``meta.NAME``, or one of the facts that the template's owner has.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from batcher.core.errors import UsageError
from batcher.core.suggest import nearest
from batcher.export.columns import as_text

_PIECE = re.compile(r"\{\{|\}\}|\{(?P<name>[A-Za-z_][\w-]*|meta\.[^{}:!]+)(?::(?P<spec>[^{}]*))?\}|(?P<brace>[{}])")
_WIDTH = re.compile(r"[0-9]{3,}")


class Template:
    """flag: how the option is called in errors. Raises UsageError."""

    def __init__(self, text: str, flag: str) -> None:
        self.text = text
        self._flag = flag
        self._parts: list[str | tuple[str, str, int]] = []
        at = 0
        for match in _PIECE.finditer(text):
            self._parts.append(text[at : match.start()])
            at = match.end()
            if match["brace"]:
                raise self._wrong(
                    match.start(), f"a {match['brace']!r} by itself", "write {prompt}, or '{{' for a brace"
                )
            if match["name"] is None:
                self._parts.append(match[0][0])
                continue
            spec = match["spec"] or ""
            if _WIDTH.search(spec):
                raise self._wrong(match.start(), f"the format {spec!r} is too wide", "use two digits at most")
            self._parts.append((match["name"], spec, match.start()))
        self._parts.append(text[at:])

    @property
    def names(self) -> list[str]:
        return [part[0] for part in self._parts if isinstance(part, tuple)]

    def require(self, known: Collection[str]) -> None:
        """Raises UsageError when it asks for a name that nothing has."""
        for part in self._parts:
            if isinstance(part, tuple) and part[0] not in known:
                near = nearest(part[0], known, cutoff=0.5)
                mend = f"did you mean {{{near}}}?" if near else f"there are {', '.join(sorted(known)[:20])}"
                raise self._wrong(part[2], f"there is no {{{part[0]}}}", mend)

    def render(self, values: Mapping[str, Any]) -> str:
        """A value that is not there is nothing. Raises UsageError when a format does not fit."""
        return "".join([part if isinstance(part, str) else self._value(part, values) for part in self._parts])

    def _value(self, part: tuple[str, str, int], values: Mapping[str, Any]) -> str:
        name, spec, at = part
        value = values.get(name)
        if value is None:
            return ""
        if not spec:
            return as_text(value)
        try:
            return format(value, spec)
        except (ValueError, TypeError, OverflowError):
            raise self._wrong(
                at, f"the format {spec!r} does not fit {name} = {value!r:.40}", f"write {{{name}}}"
            ) from None

    def _wrong(self, at: int, what: str, mend: str) -> UsageError:
        return UsageError(f"{self._flag}: column {at + 1}, at {self.text[at : at + 24]!r}: {what}", hint=mend)
