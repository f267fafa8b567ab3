"""Ids of which each may be there once, in files of millions: eight bytes of each are held, not the ids.

Two ids that share a mark by chance are found out by whoever looks where those with a repeated mark stand.
"""

from array import array

_PARTS = 64  # looked through one by one, so that few marks at a time are Python's own objects


def mark_of(key: str) -> int:
    """The same for equal ids, in this process."""
    return hash(key) & 0xFFFFFFFFFFFFFFFF


class Keys:
    def __init__(self) -> None:
        self._parts = [array("Q") for _ in range(_PARTS)]

    def add(self, key: str) -> None:
        mark = mark_of(key)
        self._parts[mark % _PARTS].append(mark)

    def repeated(self) -> set[int]:
        """Marks that were added more than once."""
        found: set[int] = set()
        for part in self._parts:
            seen: set[int] = set()
            found.update(mark for mark in part if mark in seen or seen.add(mark))  # type: ignore[func-returns-value]  # adds
        return found
