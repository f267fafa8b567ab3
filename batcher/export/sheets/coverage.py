"""Which characters a font file has, read from its ``cmap`` table.

A renderer draws a box for what a font lacks and tells nobody; this is how it is known before. Only what is needed of
the format (OpenType 1.9, ``cmap``): subtables 4 (the basic plane) and 12 (all of Unicode), in files and collections.
"""

import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

_MOST = 8 << 20  # bytes of a table; the largest known are a tenth of it
_OUTLINES = frozenset({b"glyf", b"CFF ", b"CFF2"})
_BITMAPS = frozenset({b"CBDT", b"sbix"})  # beside which outlines are empty
Range = tuple[int, int]


class Coverage:
    """A set of characters, as ranges."""

    def __init__(self, ranges: Iterable[Range]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(ranges):
            if self._ends and start <= self._ends[-1] + 1:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def __contains__(self, char: str) -> bool:
        at = bisect_right(self._starts, ord(char)) - 1
        return at >= 0 and ord(char) <= self._ends[at]


def coverage(path: Path) -> Coverage:
    """Empty for what is not a font, is damaged, or has no outlines to draw (emoji as bitmaps or colour layers)."""
    try:
        with path.open("rb") as file:
            return Coverage(_ranges(file))
    except (OSError, struct.error, ValueError, IndexError):
        return Coverage(())


def _ranges(file: BinaryIO) -> Iterator[Range]:
    tables = _tables(file)
    if not _OUTLINES & tables.keys() or _BITMAPS & tables.keys() or _has_paint_layers(file, tables):
        return
    cmap = _read(file, *tables[b"cmap"]) if b"cmap" in tables else b"\0\0\0\0"
    (count,) = struct.unpack_from(">H", cmap, 2)
    records = [struct.unpack_from(">HHI", cmap, 4 + 8 * index) for index in range(count)]
    unicode = [offset for platform, encoding, offset in records if platform == 0 or (platform, encoding) in _WINDOWS]
    for offset in unicode:
        (form,) = struct.unpack_from(">H", cmap, offset)
        if form == 12:
            yield from _groups(cmap, offset)
        elif form == 4:
            yield from _segments(cmap, offset)


_WINDOWS = {(3, 1), (3, 10)}


def _tables(file: BinaryIO) -> dict[bytes, tuple[int, int]]:
    """Tag to offset and length, of the first font in the file."""
    start = 0
    if file.read(4) == b"ttcf":
        file.seek(12)
        (start,) = struct.unpack(">I", file.read(4))
    file.seek(start + 4)
    (count,) = struct.unpack(">H", file.read(2))
    file.seek(start + 12)
    records = file.read(16 * count)
    found = (struct.unpack_from(">4sIII", records, 16 * index) for index in range(count))
    return {tag: (offset, length) for tag, _, offset, length in found}


def _has_paint_layers(file: BinaryIO, tables: dict[bytes, tuple[int, int]]) -> bool:
    """Version 1 of COLR keeps a glyph's shape outside of its outline, which is empty."""
    return b"COLR" in tables and _read(file, tables[b"COLR"][0], 2) == b"\0\1"


def _read(file: BinaryIO, offset: int, length: int) -> bytes:
    if length > _MOST:
        raise ValueError("a table of that size")
    file.seek(offset)
    return file.read(length)


def _groups(cmap: bytes, offset: int) -> Iterator[Range]:
    (count,) = struct.unpack_from(">I", cmap, offset + 12)
    for index in range(min(count, len(cmap) // 12)):
        start, end, glyph = struct.unpack_from(">III", cmap, offset + 16 + 12 * index)
        if end >= start + (not glyph):
            yield start + (not glyph), end  # glyph 0 is the box for what is missing


def _segments(cmap: bytes, offset: int) -> Iterator[Range]:
    length, _, twice = struct.unpack_from(">HHH", cmap, offset + 2)
    count = twice // 2
    words = struct.unpack_from(f">{(min(length, len(cmap) - offset) - 14) // 2}H", cmap, offset + 14)
    ends, starts = words[:count], words[count + 1 : 2 * count + 1]
    deltas, jumps = words[2 * count + 1 : 3 * count + 1], words[3 * count + 1 : 4 * count + 1]
    for index in range(count):
        if not jumps[index]:
            yield starts[index], ends[index]
            continue
        at = 3 * count + 1 + index + jumps[index] // 2  # an offset from its own place, in bytes
        for char in range(starts[index], ends[index] + 1):
            glyph = words[at + char - starts[index]] if at + char - starts[index] < len(words) else 0
            if glyph and (glyph + deltas[index]) & 0xFFFF:
                yield char, char
