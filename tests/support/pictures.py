"""Pictures of every form that a container has, small, and a sidecar."""

import io
import zlib
from collections.abc import Iterator
from struct import pack, unpack_from
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.support.file_host import picture

ALL = frozenset({"infotext", "xmp", "iptc"})

RECORD: dict[str, Any] = {
    "schema": "batcher/1",
    "job": "5e" * 16,
    "model": "google-deepmind/imagen-4/fast/text-to-image",
    "inputs": {"prompt": "A heron over a lake", "negative_prompt": "text", "seed": 7, "aspect_ratio": "4:3"},
    "width": 24,
    "height": 16,
    "finished_at": "2026-11-22T03:00:00.000Z",
    "simulated": False,
    "batcher": "0.1.0",
}
FOREIGN_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<r:Description r:about="uuid:1" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" photoshop:Credit="Made by X"'
    b' xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:creator><r:Seq><r:li>X</r:li></r:Seq></dc:creator>'
    b"</r:Description></r:RDF></x:xmpmeta>"
)


def record(**inputs: Any) -> dict[str, Any]:
    return RECORD | {"inputs": inputs}


def _exif() -> bytes:
    """Orientation, a place on earth and a thumbnail directory: distances in all directions."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 1, "a description longer than four bytes"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 30.0, 1.5)})
    exif.get_ifd(0x8769).update({0x9003: "2026:11:22 03:00:00", 0xA433: "a lens"})
    return exif.tobytes()


def _frames(form: str, **options: Any) -> bytes:
    held = io.BytesIO()
    frames = [Image.effect_noise((24, 16), 40 + at).convert("RGB") for at in range(3)]
    frames[0].save(held, form, save_all=True, append_images=frames[1:], duration=40, loop=0, **options)
    return held.getvalue()


def _alpha(**options: Any) -> bytes:
    held = io.BytesIO()
    image = Image.effect_noise((24, 16), 60).convert("RGBA")
    image.putalpha(Image.effect_noise((24, 16), 90))
    image.save(held, "WEBP", **options)
    return held.getvalue()


def _texts() -> PngInfo:
    info = PngInfo()
    info.add_text("Software", "elsewhere")
    info.add_itxt("Title", "Reiher 鷺", zip=True)
    return info


ICC, LONG_ICC = (pack(">I", size) + b"lcms" + bytes(size - 8) for size in (208, 150_000))  # nobody looks further

BARE: dict[str, bytes] = {
    "png": picture(24, 16),
    "png palette": picture(24, 16, mode="P", transparency=3),
    "png 16 bit": picture(24, 16, mode="I;16"),
    "png alpha": picture(24, 16, mode="RGBA"),
    "png texts": picture(24, 16, pnginfo=_texts(), icc_profile=ICC, exif=_exif()),
    "png animated": _frames("PNG"),
    "jpeg": picture(24, 16, form="JPEG"),
    "jpeg progressive": picture(24, 16, form="JPEG", progressive=True, icc_profile=LONG_ICC, comment="hello"),
    "jpeg grey": picture(24, 16, form="JPEG", mode="L"),
    "jpeg cmyk": picture(24, 16, form="JPEG", mode="CMYK"),
    "jpeg exif": picture(24, 16, form="JPEG", exif=_exif()),
    "webp": picture(23, 15, form="WEBP"),
    "webp lossless": picture(24, 16, form="WEBP", lossless=True),
    "webp alpha": _alpha(),
    "webp lossless alpha": _alpha(lossless=True),
    "webp icc": picture(24, 16, form="WEBP", icc_profile=ICC),
    "webp exif": picture(24, 16, form="WEBP", exif=_exif()),
    "webp animated": _frames("WEBP"),
}
WITH_XMP: dict[str, bytes] = {
    "png xmp": picture(24, 16, pnginfo=_texts()),
    "jpeg xmp": picture(24, 16, form="JPEG", exif=_exif(), xmp=FOREIGN_XMP),
    "webp xmp": picture(24, 16, form="WEBP", xmp=FOREIGN_XMP),
}


def png_chunk(name: bytes, content: bytes) -> bytes:
    return pack(">I", len(content)) + name + content + pack(">I", zlib.crc32(name + content))


def with_chunk(png: bytes, name: bytes, content: bytes) -> bytes:
    """Before its end."""
    return png[:-12] + png_chunk(name, content) + png[-12:]


def with_segment(jpeg: bytes, marker: int, content: bytes) -> bytes:
    """First of all."""
    return jpeg[:2] + pack(">BBH", 0xFF, marker, len(content) + 2) + content + jpeg[2:]


def with_riff(webp: bytes, name: bytes, content: bytes) -> bytes:
    """Last of all."""
    body = webp[8:] + name + pack("<I", len(content)) + content + bytes(len(content) % 2)
    return b"RIFF" + pack("<I", len(body)) + body


WITH_XMP["png xmp"] = with_chunk(WITH_XMP["png xmp"], b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + FOREIGN_XMP)
EVERY = BARE | WITH_XMP


def pieces(content: bytes) -> list[tuple[object, bytes]]:
    """Name and content of every chunk or segment, read by the books and checksums with it."""
    if content[1:4] == b"PNG":
        return list(_png_pieces(content))
    return list(_jpeg_pieces(content) if content[0] == 0xFF else _webp_pieces(content))


def _png_pieces(content: bytes) -> Iterator[tuple[object, bytes]]:
    at = 8
    while at < len(content):
        length, name = unpack_from(">I4s", content, at)
        body = content[at + 8 : at + 8 + length]
        assert unpack_from(">I", content, at + 8 + length)[0] == zlib.crc32(name + body)
        yield name, body
        at += 12 + length


def _jpeg_pieces(content: bytes) -> Iterator[tuple[object, bytes]]:
    at = 2
    while content[at + 1] != 0xDA:
        assert content[at] == 0xFF
        (length,) = unpack_from(">H", content, at + 2)
        yield content[at + 1], content[at + 4 : at + 2 + length]
        at += 2 + length
    yield "picture", content[at:]


def _webp_pieces(content: bytes) -> Iterator[tuple[object, bytes]]:
    assert content[:4] == b"RIFF"
    assert content[8:12] == b"WEBP"
    assert unpack_from("<I", content, 4)[0] + 8 == len(content)
    at = 12
    while at < len(content):
        name, length = unpack_from("<4sI", content, at)
        yield name, content[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    assert at == len(content)


def decoded(content: bytes) -> list[tuple[str, tuple[int, int], bytes, list[int] | None]]:
    """Every frame: mode, size, pixels, palette."""
    frames = []
    with Image.open(io.BytesIO(content)) as image:
        for at in range(getattr(image, "n_frames", 1)):
            image.seek(at)
            image.load()
            frames.append((image.mode, image.size, image.tobytes(), image.getpalette()))
    return frames
