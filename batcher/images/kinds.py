"""The kind of a file, by its first bytes; if they do not say, by what the host announced.

The media type and the extension in the URL decide only about formats without a signature of their own (text, JSON,
formats inside a ZIP). Every file was paid for, so ``classify`` always gives a kind, except for a web page or an error
message in place of a file, which may pass.
"""

import re
from collections.abc import Callable
from struct import error as StructError  # noqa: N812  an exception, and it reads as one
from typing import TypeVar

import msgspec

from batcher.images import structure as of
from batcher.images.containers import Buffer, Damaged, riff_end
from batcher.images.structure import Measure, Size, Walk

T = TypeVar("T")
HEAD = 4_096  # bytes that ``classify`` looks at


class Kind(msgspec.Struct, frozen=True):
    """A format of files. extension: without the dot. mime: media type. text: whether it is text.

    walk: raises Damaged for a file that was cut short; None if that can't be seen. measure: reads width and height from
    the header; None if they are not read. decoder: Pillow's name of the format, None if Pillow can't decode it.
    """

    extension: str
    mime: str
    walk: Walk | None = None
    measure: Measure | None = None
    decoder: str | None = None
    text: bool = False

    def size(self, data: Buffer) -> Size | None:
        """Width and height from the header; None if they are not read. Raises Damaged."""
        return _read(self.measure, data)

    def check(self, data: Buffer) -> None:
        """Raises Damaged if the file is not whole."""
        _read(self.walk, data)


def _read(reader: Callable[[Buffer], T] | None, data: Buffer) -> T | None:
    """What ``reader`` gives. Raises Damaged also where the file ends before a number that it reads."""
    try:
        return reader(data) if reader else None
    except (StructError, IndexError):
        raise Damaged("it ends in the middle of its header") from None


class Announced(msgspec.Struct, frozen=True):
    """What the host says.

    mime: the media type of its answer. extension: in the URL, without the dot. Empty for none.
    """

    mime: str = ""
    extension: str = ""


NOTHING = Announced()

PNG = Kind("png", "image/png", of.walk_png, of.png_size, "PNG")
JPEG = Kind("jpg", "image/jpeg", of.walk_jpeg, of.jpeg_size, "JPEG")
WEBP = Kind("webp", "image/webp", riff_end, of.webp_size, "WEBP")
GIF = Kind("gif", "image/gif", of.walk_gif, of.gif_size, "GIF")
AVIF = Kind("avif", "image/avif", of.walk_boxes, of.boxed_size, "AVIF")
BMP = Kind("bmp", "image/bmp", of.announced_at(2), of.bmp_size, "BMP")
TIFF = Kind("tif", "image/tiff", of.walk_tiff, of.tiff_size, "TIFF")
HEIC = Kind("heic", "image/heic", of.walk_boxes, of.boxed_size)
JXL = Kind("jxl", "image/jxl", of.walk_boxes)
JP2 = Kind("jp2", "image/jp2", of.walk_boxes)
PSD = Kind("psd", "image/vnd.adobe.photoshop")
EXR = Kind("exr", "image/x-exr")
HDR = Kind("hdr", "image/vnd.radiance")
SVG = Kind("svg", "image/svg+xml", of.ends_with(b"svg>", b"/>"), text=True)
MP4 = Kind("mp4", "video/mp4", of.walk_boxes)
MOV = Kind("mov", "video/quicktime", of.walk_boxes)
WEBM = Kind("webm", "video/webm", of.walk_ebml)
MKV = Kind("mkv", "video/x-matroska", of.walk_ebml)
AVI = Kind("avi", "video/x-msvideo", of.walk_riff)
OGV = Kind("ogv", "video/ogg", of.walk_ogg)
M4A = Kind("m4a", "audio/mp4", of.walk_boxes)
MP3 = Kind("mp3", "audio/mpeg")
AAC = Kind("aac", "audio/aac")
WAV = Kind("wav", "audio/wav", of.walk_riff)
OGG = Kind("ogg", "audio/ogg", of.walk_ogg)
FLAC = Kind("flac", "audio/flac", of.walk_flac)
AIFF = Kind("aiff", "audio/aiff")
MIDI = Kind("mid", "audio/midi")
GLB = Kind("glb", "model/gltf-binary", of.announced_at(8))
FBX = Kind("fbx", "application/octet-stream")
PLY = Kind("ply", "model/ply")
OBJ = Kind("obj", "model/obj", text=True)
USDZ = Kind("usdz", "model/vnd.usdz+zip", of.walk_zip)
THREE_MF = Kind("3mf", "model/3mf", of.walk_zip)
PDF = Kind("pdf", "application/pdf", of.ends_with(b"%%EOF"))
ZIP = Kind("zip", "application/zip", of.walk_zip)
GZIP = Kind("gz", "application/gzip")
JSON = Kind("json5", "application/json", of.walk_json, text=True)  # .json is for sidecars, and JSON5 includes JSON
HTML = Kind("html", "text/html", text=True)
XML = Kind("xml", "application/xml", text=True)
CSV = Kind("csv", "text/csv", text=True)
MARKDOWN = Kind("md", "text/markdown", text=True)
SRT = Kind("srt", "application/x-subrip", text=True)
VTT = Kind("vtt", "text/vtt", text=True)
TEXT = Kind("txt", "text/plain", text=True)
UNKNOWN = Kind("bin", "application/octet-stream")

KINDS = tuple(value for value in list(globals().values()) if isinstance(value, Kind))

_PREFIXES = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"II*\0", TIFF),
    (b"MM\0*", TIFF),
    (b"8BPS\0\x01", PSD),
    (b"\xff\x0a", JXL),
    (b"\0\0\0\x0cJXL \r\n\x87\n", JXL),
    (b"\0\0\0\x0cjP  \r\n\x87\n", JP2),
    (b"v/1\x01", EXR),
    (b"#?RADIANCE", HDR),
    (b"ID3", MP3),
    (b"fLaC", FLAC),
    (b"MThd\0\0\0\x06", MIDI),
    (b"glTF", GLB),
    (b"Kaydara FBX Binary", FBX),
    (b"ply\n", PLY),
    (b"ply\r\n", PLY),
    (b"%PDF-", PDF),
    (b"\x1f\x8b\x08", GZIP),
)
_RIFF = {b"WEBP": WEBP, b"WAVE": WAV, b"AVI ": AVI}
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), AVIF),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), HEIC),
    **dict.fromkeys((b"M4A ", b"M4B ", b"M4P "), M4A),
    b"qt  ": MOV,
}
_GENERAL = frozenset([b"mif1", b"msf1", b"mif2", b"miaf"])  # images; the brands that follow name the codec
_IN_A_ZIP = {"usdz": USDZ, "3mf": THREE_MF}
_BY_EXTENSION = {kind.extension: kind for kind in KINDS} | {
    "json": JSON, "gltf": JSON, "htm": HTML, "jpeg": JPEG, "tiff": TIFF, "heif": HEIC, "text": TEXT, "log": TEXT,
}  # fmt: skip
_BY_MIME = {kind.mime: kind for kind in KINDS if kind not in {FBX, UNKNOWN}} | {
    "text/json": JSON, "model/gltf+json": JSON, "text/xml": XML, "audio/wave": WAV, "audio/x-wav": WAV,
    "image/heif": HEIC,    "audio/x-flac": FLAC, "text/x-markdown": MARKDOWN, "application/x-ndjson": TEXT,
}  # fmt: skip
_ANYTHING = frozenset({"application/octet-stream", "binary/octet-stream"})  # for any file
_LEAST = 16  # bytes of a file of unknown kind; a shorter one was cut
_NOT_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def identify(data: Buffer) -> Kind | None:
    """The kind by the signature in the first bytes of ``data``; None without one."""
    head = bytes(data[:64])
    for prefix, kind in _PREFIXES:
        if head.startswith(prefix):
            return kind
    container = _CONTAINERS.get(head[:4])
    if container is not None:
        return container(head)
    if head[4:8] == b"ftyp":
        return _of_boxes(bytes(data[:HEAD]))
    return BMP if head[:2] == b"BM" and head[14:18] in _BMP_HEADERS else _of_sound(head)


_BMP_HEADERS = frozenset(size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124))
_CONTAINERS: dict[bytes, Callable[[bytes], Kind | None]] = {
    b"RIFF": lambda head: _RIFF.get(head[8:12]),
    b"FORM": lambda head: AIFF if head[8:12] in {b"AIFF", b"AIFC"} else None,
    b"\x1a\x45\xdf\xa3": lambda head: MKV if b"matroska" in head else WEBM,
    b"OggS": lambda head: OGV if b"theora" in head else OGG,
    b"PK\x03\x04": lambda _: ZIP,
}


def _of_sound(head: bytes) -> Kind | None:
    """Audio frames without a tag. Eleven bits set and layer III: MPEG audio; twelve and layer 0: AAC (ADTS)."""
    if len(head) < 3 or head[0] != 0xFF:
        return None
    if head[1] & 0xE6 == 0xE2:
        return MP3
    return AAC if head[1] & 0xF6 == 0xF0 else None


def classify(data: Buffer, announced: Announced = NOTHING) -> Kind | None:
    """The kind of a file that begins with ``data``; UNKNOWN for binary data without a signature.

    None for a few bytes without a signature, and for text that was not announced: a page or an error message in place
    of the file.
    """
    kind = identify(data)
    if kind is ZIP:
        return _IN_A_ZIP.get(announced.extension, ZIP)
    if kind is not None or not len(data):
        return kind
    announced_kind = _BY_EXTENSION.get(announced.extension) or _BY_MIME.get(announced.mime)
    if not is_text(data):
        return UNKNOWN if len(data) >= _LEAST else None
    if announced_kind is None and announced.mime in _ANYTHING:
        announced_kind = TEXT  # an error message would be announced as text
    if announced_kind is HTML and announced.extension not in {"html", "htm"}:
        announced_kind = None  # error pages have this type
    return _text(bytes(data[:HEAD]), announced_kind)


def is_text(data: Buffer) -> bool:
    """Whether the first bytes are UTF-8 without control characters."""
    head = bytes(data[:HEAD])
    if _NOT_TEXT.search(head):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3 and len(head) == HEAD  # a character cut in two
    return True


def _text(head: bytes, announced_kind: Kind | None) -> Kind | None:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start[:1] == b"<" and b"<svg" in head:
        return SVG
    if start[:14].lower().startswith((b"<!doctype html", b"<html")):
        return announced_kind if announced_kind is HTML else None
    if announced_kind is None or not announced_kind.text:
        return None
    looks_like_json = start[:1] in {b"{", b"["}
    return JSON if looks_like_json and announced_kind is TEXT else announced_kind


def _of_boxes(head: bytes) -> Kind:
    """By the main brand of a file of boxes (ISO 14496-12); if that is a general one, by those that follow."""
    main = head[8:12]
    if main not in _GENERAL:
        return _BRANDS.get(main, MP4)
    end = min(int.from_bytes(head[:4], "big"), len(head))
    others = (head[at : at + 4] for at in range(16, end - 3, 4))
    return next((_BRANDS[brand] for brand in others if brand in _BRANDS), HEIC)
