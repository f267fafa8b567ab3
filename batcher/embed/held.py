"""What is to change in a file, and the cut that does it."""

from collections.abc import Iterable
from typing import TypedDict

Span = tuple[int, int]


class NotEmbedded(Exception):  # noqa: N818  an outcome, and it reads as one
    """Nothing was written into this file; the text says why, in one line that is safe to print."""


class Signed(NotEmbedded):
    """The file carries a C2PA manifest, which holds for these very bytes and no others."""

    def __init__(self) -> None:
        super().__init__("it carries a C2PA manifest, which would no longer hold")


class Changes(TypedDict, total=False):
    """What is not named stays as it is, to the byte; None: it is to go."""

    infotext: str | None
    xmp: bytes | None


def splice(content: bytes, dropped: Iterable[Span], at: int, new: bytes) -> bytearray:
    """``content`` without the spans (ascending), and with ``new`` at ``at``, which lies in none of them."""
    result, done = bytearray(), 0
    with memoryview(content) as view:
        for start, end in dropped:
            if done <= at <= start:
                result += view[done:at]
                result += new
                done, at = at, -1
            result += view[done:start]
            done = end
        if at >= 0:
            result += view[done:at]
            result += new
            done = at
        result += view[done:]
    return result
