"""Text from outside, made safe to print and to store."""

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")


def one_line(text: str, limit: int = 500) -> str:
    """Text from outside, made safe to print and to store: no control or direction characters, one line, cut."""
    clean = _CONTROL.sub(" ", text.encode("utf-8", "replace").decode()).strip()
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
