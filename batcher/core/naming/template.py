"""Where a job's picture goes, as its manifest says it: ``{prompt_id}/{aspect_ratio}_s{seed}``.

A template is taken apart once, with an error that names the column, and filled in for every job. What a value may be is
not known before: so each part is made safe after it has been put together, and a value can't add a folder.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from batcher.core.naming.names import PART_BYTES, RATIO, as_text, cut, safe_part, short, short_text

PATH_BYTES = 700  # of 1,024 on macOS and 4,096 on Linux, so that a run directory fits before it
MOST_PARTS = 16

_WIDEST_SPEC = 120
_EXTENSIONS = (".json", ".jsonl", ".part", ".png", ".jpg", ".webp", ".gif", ".avif", ".mp4", ".webm", ".mp3", ".wav")


class TemplateError(ValueError):
    """A template that can't be used. ``column`` counts from 1, in the text of the template."""

    def __init__(self, column: int, what: str, mend: str) -> None:
        super().__init__(f"column {column}: {what}: {mend}")
        self.column = column
        self.what = what
        self.mend = mend


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    spec: str
    column: int


class Template:
    """Where a job's picture goes, relative to the folder of images: ``{prompt_id}/{aspect_ratio}_s{seed}``.

    ``{name}`` stands for a value, ``{name:spec}`` for a value put through Python's format specification
    (``{seed:04d}``), ``{meta.category}`` for a value carried along; ``{{`` and ``}}`` are braces.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts = _parse(text)
        self.levels = tuple(  # the fields of each part of the path
            frozenset(piece.name for piece in part if isinstance(piece, _Field)) for part in self._parts
        )
        self.fields = frozenset[str]().union(*self.levels)

    def render(self, values: Mapping[str, Any]) -> str:
        """The path, without extension. A value that is None or absent reads ``default``.

        ``{meta.x}`` is looked up as ``values["meta"]["x"]``. Raises TemplateError when a format specification does
        not fit its value.
        """
        raw = ["".join(_piece(piece, values) for piece in part) for part in self._parts]
        parts = _safe_parts(raw, PART_BYTES)
        if sum(len(part.encode()) + 1 for part in parts) > PATH_BYTES:
            parts = _safe_parts(raw, PATH_BYTES // len(raw) - 1)
        return "/".join(parts)


def _safe_parts(raw: list[str], limit: int) -> list[str]:
    parts = [safe_part(part, limit=limit) for part in raw]
    for at, folder in enumerate(parts[:-1]):
        # A folder called x.png would stand where the picture of a job called x has to go.
        if folder.lower().endswith(_EXTENSIONS):
            stem, _, extension = folder.rpartition(".")
            parts[at] = f"{stem}-{extension}"
    return parts


def _piece(piece: str | _Field, values: Mapping[str, Any]) -> str:
    if isinstance(piece, str):
        return piece
    value = _look_up(piece.name, values)
    if value is None:
        return "default"
    if piece.spec:
        return short_text(_formatted(piece, value))
    if piece.name == "prompt_id":
        return safe_part(str(value))
    return safe_part(short(value))


def _look_up(name: str, values: Mapping[str, Any]) -> Any:
    if not name.startswith("meta."):
        return values.get(name)
    meta = values.get("meta")
    return meta.get(name.removeprefix("meta.")) if isinstance(meta, Mapping) else None


def _formatted(field: _Field, value: Any) -> str:
    if isinstance(value, str):
        value = RATIO.sub(r"\1x\2", value) if RATIO.fullmatch(value) else value
    elif not isinstance(value, int | float):
        value = as_text(value)
    try:
        return format(value, field.spec)
    except (ValueError, TypeError, OverflowError):
        what = f"the format {cut(repr(field.spec), 60)} does not fit {cut(field.name, 60)} = {cut(repr(value), 60)}"
        raise TemplateError(field.column, what, f"write {{{field.name}}}, or a format for that kind of value") from None


def _parse(text: str) -> list[list[str | _Field]]:
    """The parts of the path, each a list of literal text and fields."""
    if text.startswith("/") or re.match(r"[A-Za-z]:", text):
        raise TemplateError(1, "an absolute path", "name a place inside the folder of images")
    parts: list[list[str | _Field]] = [[]]
    at = 0
    while at < len(text):
        char = text[at]
        if char == "/":
            _close_part(parts[-1], at)
            parts.append([])
            at += 1
        elif text.startswith(("{{", "}}"), at):
            parts[-1].append(char)
            at += 2
        elif char == "{":
            field, at = _parse_field(text, at)
            parts[-1].append(field)
        else:
            _refuse_literal(char, at)
            parts[-1].append(char)
            at += 1
    _close_part(parts[-1], len(text))
    if len(parts) > MOST_PARTS:
        raise TemplateError(1, f"{len(parts)} folders deep", f"use at most {MOST_PARTS} parts")
    return parts


def _close_part(part: list[str | _Field], end: int) -> None:
    if not part:
        raise TemplateError(end + 1, "an empty part", "put a name before and after every '/'")
    if all(isinstance(piece, str) for piece in part) and "".join(map(str, part)).strip() in {"", ".", ".."}:
        raise TemplateError(
            max(1, end - len(part) + 1), "a part that is no name", "'.' and '..' and blanks can't be folders"
        )


def _refuse_literal(char: str, at: int) -> None:
    if char == "}":
        raise TemplateError(at + 1, "a '}' without its '{'", "write '}}' for a brace in the name")
    if char == "\\":
        raise TemplateError(at + 1, "a backslash", "write '/' between folders, on every system")


def _parse_field(text: str, start: int) -> tuple[_Field, int]:
    """The field that opens at ``start``, and where the text goes on after it."""
    column = start + 1
    end = text.find("}", start)
    inner = text[start + 1 : end]
    if end < 0 or "{" in inner:
        raise TemplateError(column, "a '{' without its '}'", "close the field, or write '{{' for a brace")
    name, _, spec = inner.partition(":")
    if not name.strip():
        raise TemplateError(column, "a field without a name", "write {prompt_id}, {seed} or another input")
    if not re.fullmatch(r"[A-Za-z_][\w-]*|meta\.[^.!\[\]/\\]+", name):
        _refuse_name(column, name)
    widths = [int(digits) for digits in re.findall(r"[0-9]{1,9}", spec)]
    if max(widths, default=0) > _WIDEST_SPEC:
        raise TemplateError(column, f"the format {cut(repr(spec), 60)} is too wide", f"use at most {_WIDEST_SPEC}")
    return _Field(name, spec, column), end + 1


def _refuse_name(column: int, name: str) -> NoReturn:
    if re.search(r"[!.\[]", name):
        what = f"{{{cut(name, 40)!r}}} asks for more than a name"
        raise TemplateError(column, what, "use {name}, {name:04d} or {meta.column}; no '!', '[' or other '.'")
    raise TemplateError(column, f"{cut(name, 40)!r} is not a field name", "use letters, digits and '_'")
