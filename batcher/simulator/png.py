"""PNG, JPEG and WebP files at the level of their bytes: writing, padding and breaking them."""

import struct
import zlib
from functools import lru_cache

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"


def chunk(name: bytes, data: bytes) -> bytes:
    return b"".join((len(data).to_bytes(4, "big"), name, data, zlib.crc32(data, zlib.crc32(name)).to_bytes(4, "big")))


def assemble(width: int, height: int, palette: bytes, rows: bytes, note: bytes) -> bytes:
    """A palette PNG. ``rows``: one filter byte 0 and ``width`` indices a row; ``note``: a tEXt chunk's data.

    Run-length matching alone is the fastest of zlib's strategies, and flat shapes lose little by it.
    """
    packer = zlib.compressobj(1, zlib.DEFLATED, 15, 8, zlib.Z_RLE)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0))
    data = packer.compress(rows) + packer.flush()
    return b"".join((SIGNATURE, header, chunk(b"tEXt", note), chunk(b"PLTE", palette), chunk(b"IDAT", data), _END))


def padded(picture: bytes, size: int) -> bytes:
    """The same picture in a file of ``size`` bytes, or unchanged when there is no room for padding.

    PNG gets a private ancillary chunk, JPEG comment segments, WebP a chunk of an unknown name: all are skipped by
    decoders and covered by the file's own lengths and checksums.
    """
    missing = size - len(picture)
    if missing < 16:
        return picture
    if picture.startswith(SIGNATURE):
        return picture[: -len(_END)] + _png_padding(missing - 12) + _END
    if picture.startswith(b"\xff\xd8"):
        return picture[:2] + _jpeg_padding(missing) + picture[2:]
    return _webp_padded(picture, missing)


@lru_cache(maxsize=8)
def _png_padding_rest(length: int) -> bytes:
    return chunk(b"paDd", bytes(length))


def _png_padding(length: int) -> bytes:
    """Sizes differ by a few bytes from picture to picture: the bulk is shared and only the remainder is made."""
    bulk = length - length % 4096
    if bulk <= 12 + 4096:
        return chunk(b"paDd", bytes(length))
    bulk -= 4096
    return _png_padding_rest(bulk - 12) + chunk(b"paDd", bytes(length - bulk))


def _jpeg_padding(length: int) -> bytes:
    segments = []
    while length >= 4:
        whole = length if length <= 65537 else min(65537, length - 4)
        segments.append(b"\xff\xfe" + (whole - 2).to_bytes(2, "big") + bytes(whole - 4))
        length -= whole
    return b"".join(segments)


def _webp_padded(picture: bytes, missing: int) -> bytes:
    body = picture[8:] + b"PADD" + (missing // 2 * 2 - 8).to_bytes(4, "little") + bytes(missing // 2 * 2 - 8)
    return b"RIFF" + len(body).to_bytes(4, "little") + body


@lru_cache(maxsize=1)
def bomb(side: int = 20_000) -> bytes:
    """A small file that says it is ``side`` by ``side`` pixels: more than a gigabyte once decoded to RGB."""
    packer = zlib.compressobj(6)
    row = bytes(1 + (side + 7) // 8)
    data = b"".join(packer.compress(row * 100) for _ in range(side // 100)) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
    return SIGNATURE + header + chunk(b"IDAT", data) + _END


def flipped(picture: bytes) -> bytes:
    """One bit wrong in the picture's data, everything else as it was."""
    at = picture.find(b"IDAT")
    at = len(picture) * 2 // 3 if at < 0 else at + 4 + int.from_bytes(picture[at - 4 : at], "big") // 2
    return picture[:at] + bytes([picture[at] ^ 0x10]) + picture[at + 1 :]
