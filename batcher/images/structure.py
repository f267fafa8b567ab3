"""Whether a file is whole, told from its own skeleton, without decoding a pixel.

Every format says how long its pieces are; a file that was cut short has a piece that runs past its end, or lacks its
end mark. This costs microseconds where decoding costs milliseconds, and catches one thing that decoders let pass: a
PNG without its end chunk.

Sources: PNG (W3C, third edition) 5.3; JPEG T.81 annex B; GIF89a 2-27; RFC 9649 (WebP); ISO 14496-12 4.2 (boxes).
"""

import re
import zlib
from collections.abc import Callable, Iterator
from itertools import repeat
from struct import error as StructError  # noqa: N812  an exception, and it reads as one
from struct import unpack_from

from batcher.images.kinds import AVIF, GIF, JPEG, MOV, MP4, PNG, WEBP, Buffer, Kind

Size = tuple[int, int]

_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE_MARKERS = frozenset([0x01, *range(0xD0, 0xD8)])
_MOST_FILL = 65_536  # bytes between a JPEG's segments: Pillow reads them one by one, 200 MB of them in minutes
_FILL = re.compile(rb"\xff+")
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


_MOST_PIECES = 1_100_000  # of a file: the smallest that encoders make, 255 bytes in a GIF, fill 256 MB with so many


class Damaged(Exception):  # noqa: N818  a finding, and it reads as one
    """The file is not whole; the text says where, in a few words."""


def dimensions(data: Buffer, kind: Kind) -> Size | None:
    """Width and height from the header; None for what has none that we read. Raises Damaged."""
    return _ask(_DIMENSIONS.get(kind), data)


def walk(data: Buffer, kind: Kind) -> None:
    """Raises Damaged if the file is not whole. Kinds without a walk pass."""
    _ask(_WALKS.get(kind), data)


def _ask(reader: Callable[[Buffer], Size | None] | None, data: Buffer) -> Size | None:
    try:
        return reader(data) if reader else None
    except (StructError, IndexError):
        raise Damaged("it ends in the middle of its header") from None


def _pieces() -> Iterator[None]:
    """One for each step of a walk: a file of millions of tiny pieces would take the processor for minutes."""
    yield from repeat(None, _MOST_PIECES)
    raise Damaged("it is made of more pieces than any encoder makes")


def _png_size(data: Buffer) -> Size:
    width, height = unpack_from(">II", data, 16)
    return int(width), int(height)


def _walk_png(data: Buffer) -> None:
    at, pixels, end = 8, False, len(data)
    if data[12:16] != b"IHDR":
        raise Damaged("its header chunk is missing")
    with memoryview(data) as view:
        for _ in _pieces():
            if at + 12 > end:
                break
            length, name = unpack_from(">I4s", data, at)
            if at + 12 + length > end:
                raise Damaged(f"cut short in a {_chunk(name)} chunk")
            if zlib.crc32(view[at + 4 : at + 8 + length]) != unpack_from(">I", data, at + 8 + length)[0]:
                raise Damaged(f"wrong checksum in a {_chunk(name)} chunk")
            if name == b"IEND" and pixels:
                return
            pixels = pixels or name == b"IDAT"
            at += 12 + length
    raise Damaged("cut short before its end chunk" if pixels else "it has no pixels")


def _chunk(name: bytes) -> str:
    return name.decode() if name.isalpha() and name.isascii() else "garbled"


def _jpeg_size(data: Buffer) -> Size:
    at = 2
    for _ in _pieces():
        marker, at = _jpeg_marker(data, at)
        if marker in _FRAME_HEADERS:
            height, width = unpack_from(">HH", data, at + 3)
            return int(width), int(height)
        if marker in {0xD9, 0xDA}:
            raise Damaged("it has no frame header")
        at += 0 if marker in _BARE_MARKERS else _jpeg_length(data, at)
    raise AssertionError("unreachable")


def _walk_jpeg(data: Buffer) -> None:
    at, scans, fill = 2, 0, 0
    for _ in _pieces():
        marker, after = _jpeg_marker(data, at)
        fill += after - at - 2
        at = after
        if fill > _MOST_FILL:
            raise Damaged("it is padded beyond reason")
        if marker == 0xD9:
            break
        at += 0 if marker in _BARE_MARKERS else _jpeg_length(data, at)
        if marker == 0xDA:
            scans += 1
            found = _AFTER_SCAN.search(data, at)
            if found is None:
                raise Damaged("cut short before its end mark")
            at = found.start()
    if not scans:
        raise Damaged("it has no pixels")


def _jpeg_marker(data: Buffer, at: int) -> tuple[int, int]:
    """The marker at ``at`` and where what follows it begins; fill bytes are skipped."""
    if data[at] != 0xFF:
        raise Damaged("garbled between its segments")
    at = _FILL.match(data, at).end()  # type: ignore[union-attr]  # one byte of it was seen above
    return data[at], at + 1


def _jpeg_length(data: Buffer, at: int) -> int:
    length = int(unpack_from(">H", data, at)[0])
    if length < 2 or at + length > len(data):
        raise Damaged("cut short in a segment")
    return length


def _gif_size(data: Buffer) -> Size:
    width, height = unpack_from("<HH", data, 6)
    return int(width), int(height)


def _walk_gif(data: Buffer) -> None:
    at, frames, pieces = 13 + _colours(data[10]), 0, _pieces()
    while data[at] != 0x3B:
        if data[at] == 0x2C:
            frames += 1
            at += 11 + _colours(data[at + 9])
        elif data[at] == 0x21:
            at += 2
        else:
            raise Damaged("garbled between its blocks")
        while data[at]:
            next(pieces)
            at += data[at] + 1
        at += 1
        next(pieces)
    if not frames:
        raise Damaged("it has no pixels")


def _colours(flags: int) -> int:
    """Bytes of the colour table that ``flags`` announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _webp_size(data: Buffer) -> Size:
    name = data[12:16]
    if name == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if name == b"VP8L":
        (bits,) = unpack_from("<I", data, 21)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if name == b"VP8 ":
        width, height = unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise Damaged("its header chunk is missing")


def _walk_webp(data: Buffer) -> None:
    if unpack_from("<I", data, 4)[0] + 8 > len(data):
        raise Damaged("shorter than its header says")


def _avif_size(data: Buffer) -> Size | None:
    """The largest image that the properties announce: the tiles of a grid have sizes too, smaller ones."""
    sizes = []
    at = data.find(b"ispe", 0, 65_536)
    while at >= 0:
        width, height = unpack_from(">II", data, at + 8)
        sizes.append((int(width), int(height)))
        at = data.find(b"ispe", at + 4, 65_536)
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def _walk_boxes(data: Buffer) -> None:
    at, end = 0, len(data)
    for _ in _pieces():
        if at >= end:
            return
        size = int(unpack_from(">I", data, at)[0])
        if size == 0:  # to the end of the file
            return
        if size == 1:
            size = int(unpack_from(">Q", data, at + 8)[0])
        if size < 8 or at + size > end:
            raise Damaged("cut short in a box")
        at += size


_DIMENSIONS: dict[Kind, Callable[[Buffer], Size | None]] = {
    PNG: _png_size,
    JPEG: _jpeg_size,
    GIF: _gif_size,
    WEBP: _webp_size,
    AVIF: _avif_size,
}
_WALKS: dict[Kind, Callable[[Buffer], None]] = {
    PNG: _walk_png,
    JPEG: _walk_jpeg,
    GIF: _walk_gif,
    WEBP: _walk_webp,
    AVIF: _walk_boxes,
    MP4: _walk_boxes,
    MOV: _walk_boxes,
}
