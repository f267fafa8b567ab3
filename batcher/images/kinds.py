"""What a file is, told from its first bytes: the server's word and the end of the URL are not asked."""

import mmap
from dataclasses import dataclass

Buffer = bytes | mmap.mmap

HEAD = 64  # bytes that are enough to tell


@dataclass(frozen=True, slots=True)
class Kind:
    """extension: without the dot. decoder: Pillow's name for it, None for what is not a picture."""

    extension: str
    mime: str
    decoder: str | None = None


PNG = Kind("png", "image/png", "PNG")
JPEG = Kind("jpg", "image/jpeg", "JPEG")
WEBP = Kind("webp", "image/webp", "WEBP")
GIF = Kind("gif", "image/gif", "GIF")
AVIF = Kind("avif", "image/avif", "AVIF")
MP4 = Kind("mp4", "video/mp4")
MOV = Kind("mov", "video/quicktime")
WEBM = Kind("webm", "video/webm")
MP3 = Kind("mp3", "audio/mpeg")
WAV = Kind("wav", "audio/wav")

_PREFIXES = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"\x1a\x45\xdf\xa3", WEBM),
    (b"ID3", MP3),
)
_RIFF = {b"WEBP": WEBP, b"WAVE": WAV}
_BRANDS = {b"avif": AVIF, b"avis": AVIF, b"qt  ": MOV}


def identify(data: Buffer) -> Kind | None:
    """The kind of file that begins with ``data``, or None for a kind that batcher does not know."""
    head = bytes(data[:HEAD])
    for prefix, kind in _PREFIXES:
        if head.startswith(prefix):
            return kind
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], MP4)
    # An MPEG audio frame without a tag: eleven bits set, layer III.
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:
        return MP3
    return None


def looks_like_a_page(data: Buffer) -> bool:
    """Whether this is text for people or programs (an error page, JSON) where a file should have been."""
    return bytes(data[:HEAD]).lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in {b"<", b"{", b"["}
