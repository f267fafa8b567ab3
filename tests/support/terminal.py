"""What a terminal may be shown."""

from unicodedata import category

_TURNERS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def harmless(text: str) -> bool:
    """Whether a terminal shows it as it stands: no controls, no line or direction marks, no halves of pairs."""
    return not any(category(one) in {"Cc", "Cs", "Zl", "Zp"} or one in _TURNERS for one in text)
