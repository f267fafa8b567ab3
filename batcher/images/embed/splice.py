"""What is to change in a file, and the cut that does it."""

from collections.abc import Iterable
from typing import TypedDict

from batcher.core.job import CARRIES_C2PA

Edit = tuple[int, int, bytes]  # start and end of what goes, and what comes there; an empty span is an insertion


class NotEmbedded(Exception):  # noqa: N818  an outcome, and it reads as one
    """Nothing was written into this file; the text says why, in one line that is safe to print."""


class Signed(NotEmbedded):
    """The file carries a C2PA manifest, which holds for these very bytes and no others."""

    def __init__(self) -> None:
        super().__init__(f"{CARRIES_C2PA}, which would no longer hold")


class Changes(TypedDict, total=False):
    """What is not named stays as it is, to the byte; None: it is to go."""

    infotext: str | None
    xmp: bytes | None


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
