"""One text in an EXIF block: ``UserComment``, with the way back to the block as it was.

An EXIF block is a TIFF file: a header that points to a directory, whose entries point to values by their distance from
the start. Such a block can't be taken apart and put together again by somebody who does not know every entry of every
camera (a maker's note holds distances of its own). So nothing in it is moved. New directories go behind its end, with
the old entries as they are and the comment among them, and the header points there; a footer keeps what the header
said and how long the block was.

Source: Exif 2.32 (CIPA DC-008), 4.6 and the ``UserComment`` tag: eight bytes name the encoding, then the text. Under
``UNICODE`` every program that writes infotext uses UTF-16, big end first, whatever the order of the block.
"""

from struct import calcsize, pack, unpack_from

from batcher.images.embed.splice import NotEmbedded

PREFIX = b"Exif\0\0"  # before the block: always in JPEG, sometimes in WebP
_MARK = b"batcher\0"
_FOOTER = "8sII"  # mark, length of the block as it was, where its header pointed
_EXIF_IFD, _USER_COMMENT = 0x8769, 0x9286
_LONG, _UNDEFINED = 4, 7
_UNICODE = b"UNICODE\0"
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_EMPTY = b"MM\0*\0\0\0\0"  # big end first: some readers (exiv2) take the text's order from the block's

Entries = dict[int, bytes]  # by tag, each 12 bytes as it stands


def changed(block: bytes, text: str | None) -> bytes:
    """``block`` with ``text`` as its comment, or as it was before. No block is the empty one. Raises NotEmbedded."""
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
    """The entries of the main directory, where the one after it lies, and the entries of the Exif directory."""
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
