"""Text from a cell or a flag, read as one of the schema's types. Each reader returns None for other text."""

import json
import math
import re
from collections.abc import Callable
from typing import Any

_INTEGER = re.compile(r"[+-]?[0-9]{1,40}(\.0{1,20})?\Z")
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _integer(text: str) -> int | None:
    if text.isdecimal() and text.isascii() and len(text) <= 40:
        return int(text)
    digits = text.strip()
    return int(digits.split(".")[0]) if _INTEGER.match(digits) else None


def _number(text: str) -> float | None:
    try:
        value = float(text) if len(text) <= 60 and "_" not in text else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _boolean(text: str) -> bool | None:
    return _WORDS.get(text.strip().lower())


def _json(kind: type) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, kind) else None

    return read


READERS: dict[str, Callable[[str], Any]] = {
    "boolean": _boolean,
    "integer": _integer,
    "number": _number,
    "array": _json(list),
    "object": _json(dict),
}
