"""Items in lists of a fixed size (``itertools.batched`` of Python 3.12, with lists)."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """``batched("abc", 2)`` gives ``["a", "b"]`` and ``["c"]``. Reads ``size`` items ahead and no more."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
