"""WebP: RIFF chunks, padded to even length. Metadata needs the extended form, whose first chunk is ``VP8X``.

A simple file (one chunk, ``VP8 `` or ``VP8L``) gets that chunk, with the size of the image as the canvas and the alpha
flag of its bitstream. When the metadata is removed, the chunk is too. Metadata goes behind the image: EXIF, then XMP
(RFC 9649, 2.7). C2PA 2.1, A.3.4: a manifest is a chunk named ``C2PA``.
"""

from collections.abc import Iterator, Mapping
from operator import itemgetter
from struct import pack

from batcher.images.containers import Damaged, Piece, riff_chunks, riff_end
from batcher.images.embed import exif
from batcher.images.embed.splice import Changes, NotEmbedded, Spot, single, splice
from batcher.images.kinds import WEBP

_IMAGE = frozenset([b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"VP8X"])
_FIRST = frozenset([b"VP8 ", b"VP8L", b"VP8X"])
_SLOTS = {b"EXIF": "infotext", b"XMP ": "xmp"}
_ALPHA, _EXIF, _XMP = 0x10, 0x08, 0x04
_MOST = 0xFFFF_FFF6  # bytes of a file


def spots(content: bytes) -> Iterator[Spot]:
    """Where infotext, XMP and C2PA manifests are in a whole file, in its order. A slot may occur twice."""
    for name, start, end in riff_chunks(content):
        if name in _SLOTS or name == b"C2PA":
            yield Spot(_SLOTS.get(name, "c2pa"), start - 8, end + (end - start) % 2, start, end)


def packet(content: bytes, spot: Spot) -> bytes:
    """The content of a spot. An EXIF block may begin with the prefix that a JPEG has."""
    return content[spot.body : spot.last]


def write(content: bytes, changes: Changes) -> bytes:
    """Raises Damaged, and NotEmbedded if there is no room."""
    old = {name: single(spots(content), slot) for name, slot in _SLOTS.items()}
    values = {name: packet(content, spot) if spot else b"" for name, spot in old.items()}
    if "infotext" in changes:
        prefix = exif.PREFIX if values[b"EXIF"].startswith(exif.PREFIX) else b""
        block = exif.changed(values[b"EXIF"].removeprefix(exif.PREFIX), changes["infotext"])
        values[b"EXIF"] = prefix + block if block else b""
    if "xmp" in changes:
        values[b"XMP "] = changes["xmp"] or b""
    return _rebuilt(content, {name: value for name, value in values.items() if value})


def _rebuilt(content: bytes, values: Mapping[bytes, bytes]) -> bytes:
    chunks = list(riff_chunks(content))
    if not chunks or chunks[0].name not in _FIRST or _end(chunks[-1]) > riff_end(content):
        raise _damaged()
    header = _extended_header(content, chunks, values)
    old_header = _end(chunks[0]) if chunks[0][0] == b"VP8X" else 12
    places = {chunk[0]: (chunk[1] - 8, _end(chunk)) for chunk in chunks if chunk[0] in _SLOTS}
    at = max(_end(chunk) for chunk in chunks if chunk[0] in _IMAGE)
    edits = [(12, old_header, header)]
    for name in _SLOTS:
        start, end = places.get(name, (at, at))
        edits.append((start, end, _chunk(name, values[name]) if name in values else b""))
        at = max(at, end)
    grown = sum(len(new) - (end - start) for start, end, new in edits)
    size = _end(chunks[-1]) + grown - 8
    if size > _MOST:
        raise NotEmbedded("it would be longer than a WebP can be")
    return splice(content, [(4, 8, pack("<I", size)), *sorted(edits, key=itemgetter(0))])


def _extended_header(content: bytes, chunks: list[Piece], values: Mapping[bytes, bytes]) -> bytes:
    """The ``VP8X`` chunk for these values; empty if the file needs none."""
    metadata = (_EXIF if b"EXIF" in values else 0) | (_XMP if b"XMP " in values else 0)
    name, start, end = chunks[0]
    others = {chunk[0] for chunk in chunks} - _SLOTS.keys() - {b"VP8X"}
    if name == b"VP8X":
        if end - start < 10:
            raise _damaged()
        flags = content[start] & ~(_EXIF | _XMP) | metadata
        simple = not flags & ~_ALPHA and others in ({b"VP8 "}, {b"VP8L"})
        return b"" if simple else _chunk(b"VP8X", bytes([flags]) + content[start + 1 : end])
    if not metadata:
        return b""
    size = WEBP.size(content)
    assert size is not None
    if 0 in size:
        raise Damaged("its header says that it has no pixels")
    alpha = _ALPHA if name == b"VP8L" and content[start + 4] & 0x10 else 0
    canvas = (size[0] - 1).to_bytes(3, "little") + (size[1] - 1).to_bytes(3, "little")
    return _chunk(b"VP8X", bytes([metadata | alpha, 0, 0, 0]) + canvas)


def _end(chunk: Piece) -> int:
    return chunk[2] + (chunk[2] - chunk[1]) % 2


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + pack("<I", len(content)) + content + bytes(len(content) % 2)


def _damaged() -> Damaged:
    return Damaged("its chunks do not fit into it")
