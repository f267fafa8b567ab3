"""Did you mean: compares an unknown name with the known ones."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST = 80  # characters to compare: more only cost time
_MOST_NAMED = 20


def fold_name(name: str) -> str:
    """The name without differences of letter case, blanks, ``_`` and ``-``."""
    return name.casefold().replace("_", "").replace(" ", "").replace("-", "")


def nearest(name: str, names: Iterable[str], *, cutoff: float = 0.7) -> str | None:
    """The name that was probably meant, None if none is similar.

    Equal spelling wins over similarity, the whole name over its last part (``style`` of ``meta.style``), and that over
    any word of it (``id`` of ``prompt_id``). cutoff: least similarity, from 0 to 1.
    """
    candidates = sorted(names, key=len)
    whole = {fold_name(candidate): candidate for candidate in reversed(candidates)}
    last = {fold_name(candidate.rpartition(".")[2]): candidate for candidate in reversed(candidates)}
    for asked, by_spelling in ((name, whole), (name.rpartition(".")[2], last)):
        if (folded := fold_name(asked[:_LONGEST])) in by_spelling:
            return by_spelling[folded]
    word = name.rpartition(".")[2].casefold()
    for candidate in candidates:
        if word in re.split(r"[\W_]+", candidate.casefold()):
            return candidate
    for asked, by_spelling in ((name, whole), (name.rpartition(".")[2], last)):
        if near := get_close_matches(fold_name(asked[:_LONGEST]), by_spelling, n=1, cutoff=cutoff):
            return by_spelling[near[0]]
    return None


def suggestion(name: str, names: Iterable[str], *, quote: str = "`{}`") -> str:
    """How to fix an unknown name: the near one, else what there is. quote: how a name stands in the message."""
    candidates = list(names)
    if (near := nearest(name, candidates)) is not None:
        return f"did you mean {quote.format(printable(near))}?"
    if not candidates:
        return "remove it"
    return f"use one of {', '.join(printable(candidate) for candidate in candidates[:_MOST_NAMED])}"


def printable(name: str, longest: int = 60) -> str:
    """A name from outside as it may be printed: escaped where it must be, shortened."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name[: longest + 1])
    return text if len(text) <= longest else text[: longest - 3] + "..."


def quoted(name: str) -> str:
    """A name from outside as messages have it: printable, between backticks."""
    return f"`{printable(name)}`"


def listed(names: Iterable[str]) -> str:
    """Names from outside as messages list them."""
    return ", ".join(map(quoted, names))
