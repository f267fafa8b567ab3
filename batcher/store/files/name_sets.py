"""Sets of millions of file names in little memory: an eight-byte hash of each is kept, not the text.

The hashes are valid in this process only, because Python salts them. The chance that two of a million names share a
hash is one in tens of millions.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise

from batcher.core.naming import folded

_PARTS = 64  # sorted one by one, so that few numbers at a time are Python objects


class Names:
    """A set of file names. Names that some file system treats as one (``A``, ``a``) are equal. names: to begin with."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._parts = [array("q") for _ in range(_PARTS)]
        self._sorted = True
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        hashed = number(name)
        self._parts[hashed % _PARTS].append(hashed)
        self._sorted = False

    def __contains__(self, name: str) -> bool:
        self._sort()
        hashed = number(name)
        part = self._parts[hashed % _PARTS]
        at = bisect_left(part, hashed)
        return at < len(part) and part[at] == hashed

    def __len__(self) -> int:
        """How many were added."""
        return sum(map(len, self._parts))

    def repeated(self) -> set[int]:
        """The ``number`` of each name that was added more than once."""
        self._sort()
        return {one for part in self._parts for one, after in pairwise(part) if one == after}

    def _sort(self) -> None:
        if not self._sorted:
            self._parts = [array("q", sorted(part)) for part in self._parts]
            self._sorted = True


def number(name: str) -> int:
    """A hash, valid in this process, that is equal for names that some file system treats as one."""
    return hash(folded(name))
