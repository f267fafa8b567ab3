"""Changes to a file, and the function that makes them."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypedDict

from batcher.core.job import CARRIES_C2PA

Edit = tuple[int, int, bytes]  # start and end of the bytes to be replaced, and the new ones


class Spot(NamedTuple):
    """A piece of a file. slot: ``infotext``, ``xmp`` or ``c2pa``. start, end: of the piece. body, last: of its text."""

    slot: str
    start: int
    end: int
    body: int
    last: int


class NotEmbedded(Exception):
    """Nothing was written into this file; the text says why, in one line that is safe to print."""


class Signed(NotEmbedded):
    """The file has a C2PA manifest, which is valid for these bytes only."""

    def __init__(self) -> None:
        super().__init__(f"{CARRIES_C2PA}, which would no longer hold")


class Changes(TypedDict, total=False):
    """New contents of slots; None to remove one. Slots that are not named stay as they are."""

    infotext: str | None
    xmp: bytes | None


def single(spots: Iterator[Spot], slot: str) -> Spot | None:
    """The spot of a slot, None if there is none. Raises NotEmbedded for two."""
    there = (spot for spot in spots if spot.slot == slot)
    first = next(there, None)
    if next(there, None) is not None:
        raise NotEmbedded(f"it has two {'EXIF blocks' if slot == 'infotext' else 'XMP packets'}")
    return first


def splice(content: bytes, edits: Iterable[Edit]) -> bytes:
    """``content`` with the edits made. They are in order and do not overlap."""
    result, done = bytearray(), 0
    with memoryview(content) as view:
        for start, end, new in edits:
            result += view[done:start]
            result += new
            done = end
        result += view[done:]
    return bytes(result)
