"""JPEG: segments of at most 64 KiB, then the pixels. New segments go behind the leading JFIF segments.

Sources: JPEG T.81 annex B; Exif 2.32, 4.5.4; XMP specification part 3, 1.1.3; C2PA 2.1, A.3.2 and ISO 19566-5 D.2 (a
manifest in ``APP11`` segments, whose box has the type ``c2pa``).
"""

from collections.abc import Iterator
from itertools import takewhile
from operator import itemgetter
from struct import pack

from batcher.images.containers import Segment, jpeg_segments
from batcher.images.embed import exif
from batcher.images.embed.splice import Changes, NotEmbedded, Spot, single, splice

_APP0, _APP1, _APP11 = 0xE0, 0xE1, 0xEB
_START_OF_SCAN = 0xDA
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_PREFIXES = {"infotext": exif.PREFIX, "xmp": _XMP}
_MOST = 65_533  # bytes of content of a segment


def spots(content: bytes) -> Iterator[Spot]:
    """Where infotext, XMP and C2PA manifests are in a whole file, in its order. A slot may occur twice."""
    for marker, start, body, end in _segments(content):
        if marker == _APP11 and content.startswith(b"JP", body) and content.find(b"jumdc2pa", body, end) >= 0:
            yield Spot("c2pa", start, end, body, end)
        for slot, prefix in _PREFIXES.items():
            if marker == _APP1 and content.startswith(prefix, body, end):
                yield Spot(slot, start, end, body + len(prefix), end)


def packet(content: bytes, spot: Spot) -> bytes:
    """The content of a spot, without its prefix."""
    return content[spot.body : spot.last]


def write(content: bytes, changes: Changes) -> bytes:
    """Raises NotEmbedded for what does not fit into a segment, and for an EXIF block that can't be read."""
    at, exifs = 2, {spot.start for spot in spots(content) if spot.slot == "infotext"}
    for marker, start, _, end in _segments(content):  # those that must come first
        if at == start and (marker == _APP0 or start in exifs):
            at = end
    edits = []
    if "infotext" in changes:
        old = single(spots(content), "infotext")
        block = exif.changed(packet(content, old) if old else b"", changes["infotext"])
        new = _segment("the infotext", exif.PREFIX + block) if block else b""
        edits.append((old.start if old else at, old.end if old else at, new))
    if "xmp" in changes:
        old, xmp = single(spots(content), "xmp"), changes["xmp"]
        new = b"" if xmp is None else _segment("the XMP packet", _XMP + xmp)
        edits.append((old.start if old else at, old.end if old else at, new))
    return splice(content, sorted(edits, key=itemgetter(0)))


def _segments(content: bytes) -> Iterator[Segment]:
    """The segments before the pixels."""
    return takewhile(lambda segment: segment.marker != _START_OF_SCAN, jpeg_segments(content))


def _segment(what: str, content: bytes) -> bytes:
    if len(content) > _MOST:
        raise NotEmbedded(f"{what} takes {len(content):,} bytes, and a JPEG has room for {_MOST:,}")
    return pack(">BBH", 0xFF, _APP1, len(content) + 2) + content
