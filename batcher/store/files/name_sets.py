"""Sets of millions of file names in little memory."""

from collections.abc import Iterable

from batcher.core.hashes import Hashes
from batcher.core.naming import folded


class Names:
    """A set of file names. Names that some file system treats as one (``A``, ``a``) are equal."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._numbers = Hashes(map(number, names))

    def add(self, name: str) -> None:
        self._numbers.add(number(name))

    def __contains__(self, name: str) -> bool:
        return number(name) in self._numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def repeated(self) -> set[int]:
        """The ``number`` of each name that was added more than once."""
        return self._numbers.repeated()


def number(name: str) -> int:
    """A hash, valid in this process, that is equal for names that some file system treats as one."""
    return hash(folded(name))
