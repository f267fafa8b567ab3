"""Values in the words of messages; the text is printable whatever the value is."""

import json
from typing import Any

_KINDS = {
    "string": "text", "integer": "an integer", "number": "a number", "boolean": "true or false", "array": "a list",
    "object": "a mapping", "null": "null",
}  # fmt: skip

DEEPEST = 60  # levels of lists and mappings: Python's own writers of JSON give up not far beyond


def is_deep(value: Any) -> bool:
    """Whether lists and mappings are nested beyond DEEPEST. It must not recurse itself."""
    level = [value]
    for _ in range(DEEPEST + 1):
        inside = [part.values() if isinstance(part, dict) else part for part in level if isinstance(part, (dict, list))]
        if not inside:
            return False
        level = [part for parts in inside for part in parts]
    return True


def is_one_of(value: Any, types: frozenset[str]) -> bool:
    """Whether a value is of one of these JSON types; 1.0 is an integer, too."""
    kind = _kind(value)
    whole = isinstance(value, float) and value.is_integer()
    return kind in types or (kind == "integer" and "number" in types) or (whole and "integer" in types)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    by_type = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
    return by_type.get(type(value), "object")


def kinds(types: frozenset[str]) -> str:
    """Types in words: ``text or an integer``."""
    return " or ".join(words for kind, words in _KINDS.items() if kind in types)


def described(value: Any) -> str:
    """A value with its type, for messages: ``the text "abc"``, ``true``, ``the list [1, 2]``."""
    kind = _kind(value)
    if kind == "string":
        return f"the text {shown(value)}"
    if kind == "integer" and abs(value) > 10**40:
        return "an enormous number"
    text = plain(value)
    return f"the list {text}" if kind == "array" else f"the mapping {text}" if kind == "object" else text


def plain(value: Any) -> str:
    """A value as JSON, or as it is if it is a short printable text."""
    if isinstance(value, str) and value and value.isprintable() and len(value) <= 60:
        return value
    return _shorten(json.dumps(value, ensure_ascii=True, default=str), 60)


def shown(text: str, longest: int = 60) -> str:
    """Text from outside as it may be printed: in quotes, with escapes, cut to ``longest`` characters."""
    escaped = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: longest + 1])
    return f'"{_shorten(escaped, longest)}"'


def _shorten(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 3] + "..."
