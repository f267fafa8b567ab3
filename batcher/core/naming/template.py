"""The template for paths of images in a manifest: ``{prompt_id}/{aspect_ratio}_s{seed}``.

A template is parsed once, with errors that name the column, and rendered for every job. Each part of the path is made
safe after its values are filled in, so a value can't add a folder.
"""

import re
from collections.abc import Mapping
from typing import Any

from batcher.core.naming.fields import Field, TemplateError, not_a_name, pieces
from batcher.core.naming.names import PART_BYTES, RATIO, as_text, safe_part, short, short_text

PATH_BYTES = 700  # of 1,024 on macOS and 4,096 on Linux, so that a run directory fits before it
MOST_PARTS = 16

_EXTENSIONS = (".json", ".jsonl", ".part", ".png", ".jpg", ".webp", ".gif", ".avif", ".mp4", ".webm", ".mp3", ".wav")


class Template:
    """The path of a job's image, relative to ``images/``: ``{prompt_id}/{aspect_ratio}_s{seed}``.

    ``{name}`` stands for a value, ``{name:spec}`` for a value put through Python's format specification
    (``{seed:04d}``), ``{meta.category}`` for a value carried along; ``{{`` and ``}}`` are braces.

    text: the template as typed. levels: names of the fields in each part of the path; fields: all of them. Raises
    TemplateError for a text that is no template, or could lead out of the folder.

    >>> Template("{prompt_id}/{seed:04d}").render({"prompt_id": "a-kite", "seed": 7})
    'a-kite/0007'
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts = _parse(text)
        self.levels = tuple(  # the fields of each part of the path
            frozenset(piece.name for piece in part if isinstance(piece, Field)) for part in self._parts
        )
        self.fields = frozenset[str]().union(*self.levels)

    def render(self, values: Mapping[str, Any]) -> str:
        """The path, without extension. A value that is None or absent becomes ``default``.

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
        # A folder named x.png would take the place of the image of a job named x.
        if folder.lower().endswith(_EXTENSIONS):
            stem, _, extension = folder.rpartition(".")
            parts[at] = f"{stem}-{extension}"
    return parts


def _piece(piece: str | Field, values: Mapping[str, Any]) -> str:
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


def _formatted(field: Field, value: Any) -> str:
    if isinstance(value, str):
        value = RATIO.sub(r"\1x\2", value) if RATIO.fullmatch(value) else value
    elif not isinstance(value, int | float):
        value = as_text(value)
    return field.format(value)


def _parse(text: str) -> list[list[str | Field]]:
    """The parts of the path, each a list of literal text and fields."""
    if text.startswith("/") or re.match(r"[A-Za-z]:", text):
        raise TemplateError(1, "an absolute path", "name a place inside the folder of images")
    parts: list[list[str | Field]] = [[]]
    for column, piece in pieces(text):
        if isinstance(piece, Field):
            if re.search(r"[.!\[\]/\\]", piece.name.removeprefix("meta.")):
                raise not_a_name(column, piece.name)
            parts[-1].append(piece)
            continue
        for at, char in enumerate(piece, column):
            if char == "/":
                _close_part(parts[-1], at)
                parts.append([])
            elif char == "\\":
                raise TemplateError(at, "a backslash", "write '/' between folders, on every system")
            else:
                parts[-1].append(char)
    _close_part(parts[-1], len(text) + 1)
    if len(parts) > MOST_PARTS:
        raise TemplateError(1, f"{len(parts)} folders deep", f"use at most {MOST_PARTS} parts")
    return parts


def _close_part(part: list[str | Field], end: int) -> None:
    """Raises TemplateError if a part of the path is no name. end: the column after it."""
    if not part:
        raise TemplateError(end, "an empty part", "put a name before and after every '/'")
    if all(isinstance(piece, str) for piece in part) and "".join(map(str, part)).strip() in {"", ".", ".."}:
        raise TemplateError(
            max(1, end - len(part)), "a part that is not a name", "'.' and '..' and spaces can't be folders"
        )
