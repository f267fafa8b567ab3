"""Whether a file is whole by its structure, without decoding it; and width and height of an image.

A walk takes microseconds where decoding takes milliseconds, and notices a PNG without its end chunk, which decoders
accept. ``kinds`` has the walk of each kind, and turns the errors of a short header into Damaged.

Sources: those of ``containers``; GIF89a 2-27; RFC 8118 (PDF), APPNOTE 4.3.16 (ZIP), RFC 3533 (Ogg), RFC 9639 (FLAC),
RFC 8794 (EBML), glTF 2.0 4.4.1 (GLB), TIFF 6.0 section 2, BITMAPINFOHEADER (BMP).
"""

import json
import zlib
from collections.abc import Callable
from struct import unpack_from

from batcher.images.containers import Buffer, Damaged, boxes, jpeg_segments, pieces, png_chunks, riff_end, shown

Size = tuple[int, int]
Measure = Callable[[Buffer], Size | None]  # width and height from the header, None where it has none
Walk = Callable[[Buffer], object]  # raises Damaged for a file that is not whole

_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_MOST_JSON = 64 << 20  # bytes that are parsed to see whether they are whole
_TAIL = 65_600  # bytes at the end of a file in which its last mark stands


def png_size(data: Buffer) -> Size:
    """From the header chunk, which is the first."""
    width, height = unpack_from(">II", data, 16)
    return int(width), int(height)


def walk_png(data: Buffer) -> None:
    """Requires the header chunk, pixels and the end chunk, and that every checksum is right."""
    pixels, ended = False, False
    if data[12:16] != b"IHDR":
        raise Damaged("its header chunk is missing")
    with memoryview(data) as view:
        for name, start, end in png_chunks(data):
            if zlib.crc32(view[start - 4 : end]) != unpack_from(">I", data, end)[0]:
                raise Damaged(f"wrong checksum in a {shown(name)} chunk")
            pixels = pixels or name == b"IDAT"
            ended = name == b"IEND"
    if not (pixels and ended):
        raise Damaged("cut short before its end chunk" if pixels else "it has no pixels")


def jpeg_size(data: Buffer) -> Size:
    """From the frame header, before the first scan."""
    for segment in jpeg_segments(data):
        if segment.marker in _FRAME_HEADERS:
            height, width = unpack_from(">HH", data, segment.body + 1)
            return int(width), int(height)
        if segment.marker == 0xDA:
            break
    raise Damaged("it has no frame header")


def walk_jpeg(data: Buffer) -> None:
    """Requires a scan, and whole segments."""
    if not [segment for segment in jpeg_segments(data) if segment.marker == 0xDA]:
        raise Damaged("it has no pixels")


def gif_size(data: Buffer) -> Size:
    """Of the canvas; a frame may be smaller."""
    width, height = unpack_from("<HH", data, 6)
    return int(width), int(height)


def walk_gif(data: Buffer) -> None:
    """Requires a frame, and the trailer behind the last block."""
    at, frames, steps = 13 + _colours(data[10]), 0, pieces()
    while data[at] != 0x3B:
        if data[at] == 0x2C:
            frames += 1
            at += 11 + _colours(data[at + 9])
        elif data[at] == 0x21:
            at += 2
        else:
            raise Damaged("garbled between its blocks")
        while data[at]:
            next(steps)
            at += data[at] + 1
        at += 1
        next(steps)
    if not frames:
        raise Damaged("it has no pixels")


def _colours(flags: int) -> int:
    """Size in bytes of the colour table that ``flags`` announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def webp_size(data: Buffer) -> Size:
    """Of the canvas of an extended file, else of the one image."""
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


def walk_riff(data: Buffer) -> None:
    """Requires the length that the header announces. A file written as a stream announces none and passes."""
    if unpack_from("<I", data, 4)[0] in {0, 0xFFFF_FFFF}:  # written as a stream, without a length
        return
    riff_end(data)


def boxed_size(data: Buffer) -> Size | None:
    """The largest size among the properties: the tiles of a grid have properties too."""
    sizes = []
    at = data.find(b"ispe", 0, 65_536)
    while at >= 0:
        width, height = unpack_from(">II", data, at + 8)
        sizes.append((int(width), int(height)))
        at = data.find(b"ispe", at + 4, 65_536)
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def walk_boxes(data: Buffer) -> None:
    """Requires whole boxes at the top level. A JPEG XL file without boxes passes."""
    if data[:2] == b"\xff\x0a":  # JPEG XL without boxes
        return
    for _ in boxes(data):
        pass


def bmp_size(data: Buffer) -> Size:
    """The height is negative in a file whose first row is at the top."""
    if data[14] == 12:
        width, height = unpack_from("<HH", data, 18)
    else:
        width, height = unpack_from("<ii", data, 18)
    return abs(int(width)), abs(int(height))


def tiff_size(data: Buffer) -> Size | None:
    """Of the first directory; None if it gives no width or height."""
    order = "<" if data[:2] == b"II" else ">"
    (at,) = unpack_from(f"{order}I", data, 4)
    (count,) = unpack_from(f"{order}H", data, at)
    sides = {}
    for number in range(min(count, 4_096)):
        tag, form, _ = unpack_from(f"{order}HHI", data, at + 2 + 12 * number)
        if tag in {256, 257}:
            sides[tag] = int(unpack_from(f"{order}{'H' if form == 3 else 'I'}", data, at + 10 + 12 * number)[0])
    return (sides[256], sides[257]) if len(sides) == 2 else None


def walk_tiff(data: Buffer) -> None:
    """Requires the first directory. The pixels may be anywhere, so a file that is cut in them passes."""
    if tiff_size(data) is None:
        raise Damaged("its directory has no size")


def walk_ogg(data: Buffer) -> None:
    """Requires whole pages up to the end of the file."""
    at, steps = 0, pieces()
    while at < len(data):
        next(steps)
        if data[at : at + 4] != b"OggS":
            raise Damaged("garbled between its pages")
        lengths = bytes(data[at + 27 : at + 27 + data[at + 26]])
        at += 27 + data[at + 26] + sum(lengths)
    if at > len(data):
        raise Damaged("cut short in a page")


def walk_flac(data: Buffer) -> None:
    """Requires whole metadata blocks and a byte after them. Frames announce no length, so a cut in them passes."""
    at = 4
    for _ in pieces():
        header = int(unpack_from(">I", data, at)[0])
        at += 4 + (header & 0xFF_FFFF)
        if header >> 31:
            break
    if at >= len(data):
        raise Damaged("cut short before its sound")


def walk_ebml(data: Buffer) -> None:
    """Walks the header and the segment. An element of unknown length goes to the end of the file."""
    at, steps = 0, pieces()
    while at < len(data):
        next(steps)
        at += _vint_bytes(data[at])
        width = _vint_bytes(data[at])
        size = int.from_bytes(data[at : at + width], "big") & (1 << 7 * width) - 1
        if size == (1 << 7 * width) - 1:
            return
        at += width + size
    if at > len(data):
        raise Damaged("cut short in an element")


def _vint_bytes(first: int) -> int:
    if not first:
        raise Damaged("garbled between its elements")
    return 9 - first.bit_length()


def walk_zip(data: Buffer) -> None:
    """Requires the end record of the directory. The entries are not read."""
    tail = bytes(data[-_TAIL:])
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + 22 > len(tail):
        raise Damaged("cut short before its directory")


def ends_with(*marks: bytes) -> Walk:
    """The walk of a kind that has one of ``marks`` at its end."""

    def walk(data: Buffer) -> None:
        if not any(mark in bytes(data[-_TAIL:]) for mark in marks):
            raise Damaged("cut short before its end mark")

    return walk


def announced_at(place: int) -> Walk:
    """The walk of a kind that has its length in bytes at ``place``."""

    def walk(data: Buffer) -> None:
        if unpack_from("<I", data, place)[0] > len(data):
            raise Damaged("shorter than its header says")

    return walk


def walk_json(data: Buffer) -> None:
    """Parses the whole text. A longer one than 64 MiB passes."""
    if len(data) > _MOST_JSON:
        return
    try:
        json.loads(bytes(data).removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError) as error:
        raise Damaged(f"not JSON: {error}") from None
