"""The pieces of image files: one walk for each container, used by checks and by embedding.

Every format says how long its pieces are. A file that was cut short has a piece that runs past its end, or no end mark;
a walk raises Damaged there; struct.error or IndexError where a number is missing, which ``kinds`` turns into Damaged.

Sources: PNG (W3C, third edition) 5.3; JPEG T.81 annex B; RFC 9649 (WebP); ISO 14496-12 4.2 (boxes).
"""

import mmap
import re
from collections.abc import Iterator
from itertools import repeat
from struct import unpack_from
from typing import NamedTuple

Buffer = bytes | mmap.mmap

BARE_MARKERS = frozenset([0x01, *range(0xD0, 0xD8)])  # JPEG markers without a length
_MOST_FILL = 65_536  # bytes between the segments of a JPEG: Pillow takes minutes for 200 MB of them
_FILL = re.compile(rb"\xff+")
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_MOST_CHUNKS = 65_536  # of a RIFF file; a frame of an animation is one
_MOST_PIECES = 1_100_000  # of a file: enough for 256 MB of the smallest that encoders make, 255 bytes in a GIF


class Damaged(Exception):
    """The file is not whole; the text says why, in a few words."""


class Piece(NamedTuple):
    """A chunk or box. name: of its kind. start, end: of its content, without header, checksum and padding."""

    name: bytes
    start: int
    end: int


class Segment(NamedTuple):
    """A segment of a JPEG.

    marker: its second byte, such as 0xDA. start: of it, fill bytes included. body: of its content. end: of it and its
    scan, if any. All three are offsets in the file.
    """

    marker: int
    start: int
    body: int
    end: int


def pieces(most: int = _MOST_PIECES) -> Iterator[None]:
    """Bounds a walk: a file of millions of tiny pieces would take minutes. Raises Damaged after ``most`` steps."""
    yield from repeat(None, most)
    raise Damaged("it is made of more pieces than any encoder makes")


def png_chunks(data: Buffer) -> Iterator[Piece]:
    """The chunks of a PNG, with the end chunk. Without one, the walk ends with the file."""
    at, end = 8, len(data)
    for _ in pieces():
        if at + 12 > end:
            return
        length, name = unpack_from(">I4s", data, at)
        if at + 12 + length > end:
            raise Damaged(f"cut short in a {shown(name)} chunk")
        yield Piece(name, at + 8, at + 8 + length)
        if name == b"IEND":
            return
        at += 12 + length


def shown(name: bytes) -> str:
    """The name of a chunk for a message."""
    return name.decode() if name.isalpha() and name.isascii() else "garbled"


def jpeg_segments(data: Buffer) -> Iterator[Segment]:
    """The segments of a JPEG up to the end mark; the pixels of a scan belong to the segment of its header."""
    at, fill = 2, 0
    for _ in pieces():
        start = at
        marker, body = _marker(data, at)
        fill += body - start - 2
        if fill > _MOST_FILL:
            raise Damaged("it has far too much padding")
        if marker == 0xD9:
            return
        at = body
        if marker not in BARE_MARKERS:
            (length,) = unpack_from(">H", data, body)
            if length < 2 or body + length > len(data):
                raise Damaged("cut short in a segment")
            at, body = body + length, body + 2
        if marker == 0xDA:
            after = _AFTER_SCAN.search(data, at)
            if after is None:
                raise Damaged("cut short before its end mark")
            at = after.start()
        yield Segment(marker, start, body, at)


def _marker(data: Buffer, at: int) -> tuple[int, int]:
    """The marker at ``at`` behind any fill bytes, and the position after it."""
    if data[at] != 0xFF:
        raise Damaged("garbled between its segments")
    at = _FILL.match(data, at).end()  # type: ignore[union-attr]  # one byte of it was seen above
    return data[at], at + 1


def riff_chunks(data: Buffer) -> Iterator[Piece]:
    """The chunks of a RIFF file, up to the end that its header gives."""
    end = riff_end(data)
    at = 12
    for _ in pieces(_MOST_CHUNKS):
        if at + 8 > end:
            return
        name, length = unpack_from("<4sI", data, at)
        if at + 8 + length > end:
            raise Damaged(f"cut short in a {shown(name.strip())} chunk")
        yield Piece(name, at + 8, at + 8 + length)
        at += 8 + length + length % 2


def riff_end(data: Buffer) -> int:
    """The end of a RIFF file by its header, in bytes. Raises Damaged if the file is shorter."""
    end = int(unpack_from("<I", data, 4)[0]) + 8
    if end > len(data):
        raise Damaged("shorter than its header says")
    return end


def boxes(data: Buffer, start: int = 0) -> Iterator[Piece]:
    """The boxes of a file such as AVIF or MP4."""
    at, end = start, len(data)
    for _ in pieces():
        if at >= end:
            return
        (size, name), head = unpack_from(">I4s", data, at), 8
        if size == 1:
            (size,), head = unpack_from(">Q", data, at + 8), 16
        elif size == 0:  # to the end of the file
            size = end - at
        if size < head or at + size > end:
            raise Damaged("cut short in a box")
        yield Piece(name, at + head, at + size)
        at += size
