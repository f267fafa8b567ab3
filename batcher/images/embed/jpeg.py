"""JPEG: segments of at most 64 KiB up to the picture itself. New ones go behind the leading JFIF segments.

Sources: JPEG T.81 annex B; Exif 2.32, 4.5.4; XMP specification part 3, 1.1.3; C2PA 2.1, A.3.2 and ISO 19566-5 D.2 (a
manifest in ``APP11`` segments, whose box has the type ``c2pa``).
"""

from collections.abc import Iterator
from itertools import takewhile
from operator import itemgetter
from struct import pack

from batcher.images.containers import Segment, jpeg_segments
from batcher.images.embed import exif
from batcher.images.embed.splice import Changes, NotEmbedded, splice

_APP0, _APP1, _APP11 = 0xE0, 0xE1, 0xEB
_START_OF_SCAN = 0xDA
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_MOST = 65_533  # bytes of content that a segment can say it has


def c2pa(content: bytes) -> bool:
    return any(_is_c2pa(content, segment) for segment in _segments(content))


def xmp(content: bytes) -> bytes | None:
    """Raises NotEmbedded for two."""
    return _only(content, "xmp")


def write(content: bytes, changes: Changes) -> bytes:
    """Raises NotEmbedded for what does not fit into a segment."""
    edits = []
    if "infotext" in changes:
        block = exif.changed(_only(content, "infotext") or b"", changes["infotext"])
        new = _segment("the infotext", exif.PREFIX + block) if block else b""
        edits.append((*_place(content, "infotext"), new))
    if "xmp" in changes:
        packet = changes["xmp"]
        edits.append((*_place(content, "xmp"), b"" if packet is None else _segment("the XMP packet", _XMP + packet)))
    return splice(content, sorted(edits, key=itemgetter(0)))


def _place(content: bytes, slot: str) -> tuple[int, int]:
    """Where it is; else behind the segments that come first by rule."""
    at = 2
    for segment in _segments(content):
        marker, start, _, end = segment
        other = _slot(content, segment)
        if other == slot:
            return start, end
        if at == start and (marker == _APP0 or other == "infotext"):
            at = end
    return at, at


def _segments(content: bytes) -> Iterator[Segment]:
    """Those before the picture."""
    return takewhile(lambda segment: segment.marker != _START_OF_SCAN, jpeg_segments(content))


def _slot(content: bytes, segment: Segment) -> str | None:
    marker, _, body, end = segment
    if marker != _APP1:
        return None
    if content.startswith(exif.PREFIX, body, end):
        return "infotext"
    return "xmp" if content.startswith(_XMP, body, end) else None


def _only(content: bytes, slot: str) -> bytes | None:
    segments = (segment for segment in _segments(content) if _slot(content, segment) == slot)
    first, second = next(segments, None), next(segments, None)
    if second is not None:
        raise NotEmbedded(f"it has two {'EXIF blocks' if slot == 'infotext' else 'XMP packets'}")
    prefix = exif.PREFIX if slot == "infotext" else _XMP
    return first and content[first[2] + len(prefix) : first[3]]


def _is_c2pa(content: bytes, segment: Segment) -> bool:
    marker, _, body, end = segment
    return marker == _APP11 and content.startswith(b"JP", body) and content.find(b"jumdc2pa", body, end) >= 0


def _segment(what: str, content: bytes) -> bytes:
    if len(content) > _MOST:
        raise NotEmbedded(f"{what} takes {len(content):,} bytes, and a JPEG has room for {_MOST:,}")
    return pack(">BBH", 0xFF, _APP1, len(content) + 2) + content
