"""Sets of very many file names in little memory."""

from collections.abc import Iterable

from batcher.core.hashes import Hashes
from batcher.core.naming import folded


class Names:
    """A set of names, in which two are one when some system takes them for one."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._numbers = Hashes(map(number, names))

    def add(self, name: str) -> None:
        self._numbers.add(number(name))

    def __contains__(self, name: str) -> bool:
        return number(name) in self._numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def repeated(self) -> set[int]:
        """The numbers of those that are there more than once."""
        return self._numbers.repeated()


def number(name: str) -> int:
    """The same, in this process, for two names that some system takes for one."""
    return hash(folded(name))
