"""What is to change in a file, and the cut that does it."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypedDict

from batcher.core.job import CARRIES_C2PA

Edit = tuple[int, int, bytes]  # start and end of what goes, and what comes there; an empty span is an insertion


class Spot(NamedTuple):
    """A piece that matters here: its slot (``infotext``, ``xmp``, ``c2pa``), its span, and that of its text."""

    slot: str
    start: int
    end: int
    body: int
    last: int


class NotEmbedded(Exception):
    """Nothing was written into this file; the text says why, in one line that is safe to print."""


class Signed(NotEmbedded):
    """The file carries a C2PA manifest, which holds for these very bytes and no others."""

    def __init__(self) -> None:
        super().__init__(f"{CARRIES_C2PA}, which would no longer hold")


class Changes(TypedDict, total=False):
    """What is not named stays as it is, to the byte; None: it is to go."""

    infotext: str | None
    xmp: bytes | None


def single(spots: Iterator[Spot], slot: str) -> Spot | None:
    """The spot of that slot. Raises NotEmbedded for two."""
    there = (spot for spot in spots if spot.slot == slot)
    first = next(there, None)
    if next(there, None) is not None:
        raise NotEmbedded(f"it has two {'EXIF blocks' if slot == 'infotext' else 'XMP packets'}")
    return first


def splice(content: bytes, edits: Iterable[Edit]) -> bytes:
    """``content`` with each span (ascending, apart from each other) replaced."""
    result, done = bytearray(), 0
    with memoryview(content) as view:
        for start, end, new in edits:
            result += view[done:start]
            result += new
            done = end
        result += view[done:]
    return bytes(result)
