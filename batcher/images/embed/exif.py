"""Puts one text into an EXIF block, as ``UserComment``, so that it can be removed again.

An EXIF block is a TIFF file: a header with the offset of a directory, whose entries have offsets of their values.
Nothing in it may be moved, because entries of cameras have offsets that only those know (a maker's note). So new
directories are added at its end, with the old entries and the comment, and the header gets their offset. A footer keeps
the old offset and the old length.

Source: Exif 2.32 (CIPA DC-008), 4.6 and the ``UserComment`` tag: eight bytes name the encoding, then the text. Under
``UNICODE`` every program that writes infotext uses UTF-16, big-endian, whatever the order of the block.
"""

from struct import calcsize, pack, unpack_from

from batcher.images.embed.splice import NotEmbedded

PREFIX = b"Exif\0\0"  # before the block: always in JPEG, sometimes in WebP
_MARK = b"batcher\0"
_FOOTER = "8sII"  # mark, old length of the block, old offset in its header
_EXIF_IFD, _USER_COMMENT = 0x8769, 0x9286
_LONG, _UNDEFINED = 4, 7
_UNICODE = b"UNICODE\0"
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_EMPTY = b"MM\0*\0\0\0\0"  # big-endian: some readers (exiv2) read the text in the order of the block

Entries = dict[int, bytes]  # the 12 bytes of each entry, by tag


def changed(block: bytes, text: str | None) -> bytes:
    """``block`` with ``text`` as its comment; None for the block without ours. Empty for none. Raises NotEmbedded."""
    base = _restored(block)
    return base if text is None else _extended(base or _EMPTY, _UNICODE + text.encode("utf-16-be", "replace"))


def _restored(block: bytes) -> bytes:
    """The block as it was before ``_extended``."""
    size = calcsize(_FOOTER)
    if len(block) < 8 + size or block[-size : -size + 8] != _MARK:
        return block
    _, length, pointer = unpack_from(_order(block) + _FOOTER, block, len(block) - size)
    base = block[:4] + pack(_order(block) + "I", pointer) + block[8:length]
    return b"" if base == _EMPTY else base


def _extended(base: bytes, value: bytes) -> bytes:
    order = _order(base)
    main, following, sub = _directories(base, order)
    pointer = int(unpack_from(order + "I", base, 4)[0])
    start = len(base) + len(base) % 2
    sub_at = start + 6 + 12 * len(main | {_EXIF_IFD: b""})
    value_at = sub_at + 6 + 12 * len(sub | {_USER_COMMENT: b""})
    main[_EXIF_IFD] = pack(order + "HHII", _EXIF_IFD, _LONG, 1, sub_at)
    sub[_USER_COMMENT] = pack(order + "HHII", _USER_COMMENT, _UNDEFINED, len(value), value_at)
    head = base[:4] + pack(order + "I", start) + base[8:] + bytes(len(base) % 2)
    footer = pack(order + _FOOTER, _MARK, len(base), pointer)
    return head + _packed(main, following, order) + _packed(sub, 0, order) + value + footer


def _directories(block: bytes, order: str) -> tuple[Entries, int, Entries]:
    """The entries of the main directory, the offset of the next one, and the entries of the Exif directory."""
    pointer = unpack_from(order + "I", block, 4)[0]
    main, following = _directory(block, pointer, order) if pointer else ({}, 0)
    sub = main.get(_EXIF_IFD)
    inner = _directory(block, unpack_from(order + "I", sub, 8)[0], order)[0] if sub else {}
    return main, following, inner


def _directory(block: bytes, at: int, order: str) -> tuple[Entries, int]:
    if at + 2 > len(block):
        raise _damaged()
    (count,) = unpack_from(order + "H", block, at)
    end = at + 2 + 12 * count
    if end > len(block):
        raise _damaged()
    places = range(at + 2, end, 12)
    entries = {unpack_from(order + "H", block, place)[0]: block[place : place + 12] for place in places}
    following = unpack_from(order + "I", block, end)[0] if end + 4 <= len(block) else 0
    return entries, following


def _packed(entries: Entries, following: int, order: str) -> bytes:
    parts = [entries[tag] for tag in sorted(entries)]
    return pack(order + "H", len(parts)) + b"".join(parts) + pack(order + "I", following)


def _order(block: bytes) -> str:
    order = _ORDERS.get(block[:4])
    if order is None or len(block) < 8:
        raise _damaged()
    return order


def _damaged() -> NotEmbedded:
    return NotEmbedded("its EXIF block is damaged")
