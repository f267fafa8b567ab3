"""Sets of very many file names in little memory."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise
from unicodedata import normalize


class Names:
    """A set of names, eight bytes each, in which two are one when some system takes them for one.

    Its numbers mean something in this process only: Python salts them.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._folds = array("q", map(number, names))
        self._sorted = False
        self._sort()

    def add(self, name: str) -> None:
        self._folds.append(number(name))
        self._sorted = False

    def __contains__(self, name: str) -> bool:
        self._sort()
        value = number(name)
        at = bisect_left(self._folds, value)
        return at < len(self._folds) and self._folds[at] == value

    def __len__(self) -> int:
        return len(self._folds)

    def twice(self) -> set[int]:
        """The numbers that are there more than once."""
        self._sort()
        folds = self._folds
        return {one for one, after in pairwise(folds) if one == after}

    def _sort(self) -> None:
        if not self._sorted:
            self._folds = array("q", sorted(self._folds))
            self._sorted = True


def number(name: str) -> int:
    """A number that two names share when some system takes them for one name."""
    if name.isascii():
        return hash(name.lower())
    return hash(normalize("NFC", normalize("NFD", name).casefold()))
