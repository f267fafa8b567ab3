"""PNG: chunks of length, name, content and checksum. New ones go behind the header chunk.

Sources: PNG (W3C, third edition) 5.3, 11.3.3; XMP specification part 3, 1.1.5 (XMP in an uncompressed ``iTXt``); C2PA
2.1, A.3.1 (``caBX``).
"""

import zlib
from collections.abc import Iterator
from struct import pack, unpack_from

from batcher.images.containers import Piece, png_chunks
from batcher.images.embed.splice import Changes, Edit, NotEmbedded, splice

_TEXTS = frozenset([b"tEXt", b"zTXt", b"iTXt"])
_INFOTEXT = b"parameters\0"
_XMP = b"XML:com.adobe.xmp\0"
_C2PA = b"caBX"
_MOST_TEXT = 1 << 20  # of a compressed text; Pillow refuses the whole picture beyond it


def c2pa(content: bytes) -> bool:
    return any(name == _C2PA for name, _, _ in png_chunks(content))


def xmp(content: bytes) -> bytes | None:
    """Raises NotEmbedded for one that can't be read, or for two."""
    places = (chunk for chunk in png_chunks(content) if _slot(content, chunk) == "xmp")
    first, second = next(places, None), next(places, None)
    if second is not None:
        raise NotEmbedded("it has two XMP packets")
    return first and _itxt(content[first[1] + len(_XMP) : first[2]])


def write(content: bytes, changes: Changes) -> bytes:
    return splice(content, _edits(content, changes))


def _edits(content: bytes, changes: Changes) -> Iterator[Edit]:
    """The infotext always comes first: some readers look no further than the pixels. XMP stays where it is."""
    text, packet = changes.get("infotext"), changes.get("xmp")
    new_xmp = b"" if packet is None else _chunk(b"iTXt", _XMP + b"\0\0\0\0" + packet)
    there = any(_slot(content, chunk) == "xmp" for chunk in png_chunks(content))
    at = int(unpack_from(">I", content, 8)[0]) + 20
    yield at, at, (b"" if text is None else _infotext(text)) + (b"" if there else new_xmp)
    for name, start, end in png_chunks(content):
        slot = _slot(content, Piece(name, start, end))
        if slot in changes:
            yield start - 8, end + 4, new_xmp if slot == "xmp" else b""


def _slot(content: bytes, chunk: Piece) -> str | None:
    name, start, _ = chunk
    if name in _TEXTS and content.startswith(_INFOTEXT, start):
        return "infotext"
    return "xmp" if name == b"iTXt" and content.startswith(_XMP, start) else None


def _infotext(text: str) -> bytes:
    """Plain ``tEXt`` where it can be, because some readers know nothing else; that chunk has no encoding but Latin-1,
    and not all agree on it, so it is for ASCII only.
    """
    if text.isascii():
        return _chunk(b"tEXt", _INFOTEXT + text.encode())
    return _chunk(b"iTXt", _INFOTEXT + b"\0\0\0\0" + text.encode("utf-8", "replace"))


def _chunk(name: bytes, content: bytes) -> bytes:
    return pack(">I", len(content)) + name + content + pack(">I", zlib.crc32(name + content))


def _itxt(value: bytes) -> bytes:
    """The text of an ``iTXt``: behind a flag, a method, a language and a translated keyword."""
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
