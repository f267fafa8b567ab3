"""Sets of millions of texts in little memory: an eight-byte hash of each is kept, not the text.

The hashes are valid in this process only, because Python salts them. The chance that two of a million texts share a
hash is one in tens of millions.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise

_PARTS = 64  # sorted one by one, so that few numbers at a time are Python objects


class Hashes:
    """A set of results of ``hash`` that also knows which were added more than once."""

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._parts = [array("q") for _ in range(_PARTS)]
        self._sorted = True
        for number in numbers:
            self.add(number)

    def add(self, number: int) -> None:
        self._parts[number % _PARTS].append(number)
        self._sorted = False

    def __contains__(self, number: int) -> bool:
        self._sort()
        part = self._parts[number % _PARTS]
        at = bisect_left(part, number)
        return at < len(part) and part[at] == number

    def __len__(self) -> int:
        """How many were added."""
        return sum(map(len, self._parts))

    def repeated(self) -> set[int]:
        """Those that were added more than once."""
        self._sort()
        return {one for part in self._parts for one, after in pairwise(part) if one == after}

    def _sort(self) -> None:
        if not self._sorted:
            self._parts = [array("q", sorted(part)) for part in self._parts]
            self._sorted = True
