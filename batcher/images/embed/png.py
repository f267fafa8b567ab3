"""PNG: chunks of length, name, content and checksum. New chunks go behind the header chunk.

Sources: PNG (W3C, third edition) 5.3, 11.3.3; XMP specification part 3, 1.1.5 (XMP in an uncompressed ``iTXt``); C2PA
2.1, A.3.1 (``caBX``).
"""

import zlib
from collections.abc import Iterator
from struct import pack, unpack_from

from batcher.images.containers import png_chunks
from batcher.images.embed.splice import Changes, Edit, NotEmbedded, Spot, splice

_TEXTS = frozenset([b"tEXt", b"zTXt", b"iTXt"])
_INFOTEXT = b"parameters\0"
_XMP = b"XML:com.adobe.xmp\0"
_C2PA = b"caBX"
_MOST_TEXT = 1 << 20  # bytes of a compressed text; Pillow refuses images with longer ones


def spots(content: bytes) -> Iterator[Spot]:
    """Where infotext, XMP and C2PA manifests are in a whole file, in its order. A slot may occur twice."""
    for name, start, end in png_chunks(content):
        if name == _C2PA:
            yield Spot("c2pa", start - 8, end + 4, start, end)
        elif name in _TEXTS and content.startswith(_INFOTEXT, start):
            yield Spot("infotext", start - 8, end + 4, start + len(_INFOTEXT), end)
        elif name == b"iTXt" and content.startswith(_XMP, start):
            yield Spot("xmp", start - 8, end + 4, start + len(_XMP), end)


def packet(content: bytes, spot: Spot) -> bytes:
    """The content of a spot, decompressed. Raises NotEmbedded if it can't be read."""
    return _itxt(content[spot.body : spot.last])


def write(content: bytes, changes: Changes) -> bytes:
    """The file with the changes; the parts that they do not name keep their bytes."""
    return splice(content, _edits(content, changes))


def _edits(content: bytes, changes: Changes) -> Iterator[Edit]:
    """The infotext goes first, because some readers stop at the pixels. XMP stays where it is."""
    text, new = changes.get("infotext"), changes.get("xmp")
    new_xmp = b"" if new is None else _chunk(b"iTXt", _XMP + b"\0\0\0\0" + new)
    there = any(spot.slot == "xmp" for spot in spots(content))
    at = int(unpack_from(">I", content, 8)[0]) + 20
    yield at, at, (b"" if text is None else _infotext(text)) + (b"" if there else new_xmp)
    for spot in spots(content):
        if spot.slot in changes:
            yield spot.start, spot.end, new_xmp if spot.slot == "xmp" else b""


def _infotext(text: str) -> bytes:
    """``tEXt`` for ASCII, because some readers know nothing else; they do not agree on its encoding beyond ASCII."""
    if text.isascii():
        return _chunk(b"tEXt", _INFOTEXT + text.encode())
    return _chunk(b"iTXt", _INFOTEXT + b"\0\0\0\0" + text.encode("utf-8", "replace"))


def _chunk(name: bytes, content: bytes) -> bytes:
    return pack(">I", len(content)) + name + content + pack(">I", zlib.crc32(name + content))


def _itxt(value: bytes) -> bytes:
    """The text of an ``iTXt`` chunk, which follows a flag, a method, a language and a translated keyword."""
    parts = value[2:].split(b"\0", 2)
    if len(parts) < 3:
        raise NotEmbedded("a text in it is damaged")
    return _inflated(parts[2]) if value[0] else parts[2]


def _inflated(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(packed, _MOST_TEXT)
    except zlib.error:
        raise NotEmbedded("a compressed text in it is damaged") from None
    if not unpacker.eof:
        raise NotEmbedded("a compressed text in it is cut short, or longer than any reader takes")
    return text
