"""Fuzz targets: files that should be pictures, examined at each depth; names and templates that should be paths."""

import io
import zlib
from collections.abc import Sequence
from functools import cache
from random import Random
from struct import pack, unpack_from

from PIL import Image

from batcher.core.errors import FileRefused, FileUnavailable
from batcher.core.naming import Template, TemplateError, folded, prompt_id, safe_part
from batcher.images.check import CheckDepth, Facts, Limits, allow, examine
from tests.fuzz.answers import can_be_kept
from tests.fuzz.manifests import short
from tests.fuzz.target import Target
from tests.support.terminal import harmless

_DEPTHS: tuple[CheckDepth, ...] = ("none", "structure", "decode")
_LIMITS = Limits()
_SIZES = (b"\0\0\0\0", b"\0\0\0\1", b"\0\0\x1f\x40", b"\0\0\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff")


def _picture(form: str, mode: str = "RGB", size: tuple[int, int] = (24, 16), **options: object) -> bytes:
    held = io.BytesIO()
    Image.effect_noise(size, 60).convert(mode).save(held, form, **options)
    return held.getvalue()


def _frames(form: str) -> bytes:
    held = io.BytesIO()
    frames = [Image.effect_noise((16, 16), 40 + at).convert("RGB") for at in range(3)]
    frames[0].save(held, form, save_all=True, append_images=frames[1:], duration=40, loop=0)
    return held.getvalue()


def _box(name: bytes, content: bytes) -> bytes:
    return pack(">I", 8 + len(content)) + name + content


@cache
def _corpus() -> tuple[bytes, ...]:
    film = _box(b"ftyp", b"isom\0\0\2\0isommp41") + _box(b"moov", _box(b"mvhd", bytes(100))) + _box(b"mdat", bytes(64))
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
    return (
        _picture("PNG"),
        _picture("PNG", "I;16"),
        _picture("PNG", "P"),
        _picture("PNG", "RGBA"),
        _picture("PNG", "1"),
        _picture("JPEG"),
        _picture("JPEG", progressive=True, exif=exif),
        _picture("JPEG", "L"),
        _picture("JPEG", "CMYK"),
        _picture("WEBP"),
        _picture("WEBP", lossless=True),
        _picture("WEBP", "RGBA", exif=exif),
        _frames("WEBP"),
        _picture("GIF"),
        _frames("GIF"),
        _picture("AVIF"),
        film,
        _box(b"ftyp", b"qt  \0\0\0\0") + _box(b"mdat", b"x"),
        b"RIFF\x24\0\0\0WAVEfmt " + bytes(28),
        b"ID3\3\0\0\0\0\0\0" + bytes(40),
        b"\x1aE\xdf\xa3" + bytes(40),
        b"<!DOCTYPE html><title>502</title>",
        b'{"error": "gone"}',
    )


def _check(data: bytes) -> None:
    allow(_LIMITS)
    facts = {depth: _examined(data, depth) for depth in _DEPTHS}
    if facts["decode"] is not None:
        assert facts["structure"] is not None, "decoding let pass what the structure does not"
        assert facts["decode"].size == facts["structure"].size


def _examined(data: bytes, depth: CheckDepth) -> Facts | None:
    try:
        facts = examine(data, depth=depth, limits=_LIMITS, wanted_ratio="16:9")
    except (FileUnavailable, FileRefused) as problem:
        can_be_kept(problem.cause)
        return None
    assert facts.bytes == len(data)
    assert facts.warning is None or harmless(facts.warning)
    if facts.size is not None:
        assert facts.size[0] * facts.size[1] <= _LIMITS.max_pixels
    return facts


def _mended(data: bytes, rng: Random) -> bytes:
    """Checksums and lengths made right for most inputs: else a decoder would never see what was changed."""
    if rng.random() < 0.3:
        return data
    if data.startswith(b"\x89PNG") and len(data) > 33:
        if rng.random() < 0.2:
            at = rng.choice((16, 20))
            data = data[:at] + rng.choice(_SIZES) + data[at + 4 :]
        return _with_checksums(data)
    if data[:4] == b"RIFF":
        return data[:4] + pack("<I", max(0, len(data) - 8)) + data[8:]
    return data


def _with_checksums(data: bytes) -> bytes:
    mended, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        (length,) = unpack_from(">I", data, at)
        chunk = data[at + 4 : at + 8 + min(length, len(data))]
        mended += pack(">I", len(chunk) - 4) + chunk + pack(">I", zlib.crc32(chunk))
        at += 12 + length
    return bytes(mended)


def _check_name(data: bytes) -> None:
    template, _, values = data.decode("utf-8", "surrogateescape").partition("\n")
    given = dict(line.partition("=")[::2] for line in values.split("\n"))
    for text in (template, *given.values()):
        for name in (safe_part(text), prompt_id(text)):
            assert name
            assert "/" not in name
            assert name.strip(". ")
            assert len(name.encode()) <= 180
            assert safe_part(name) == name
        folded(text)
    try:
        facts: dict[str, object] = {"meta": given, **given}
        path = Template(template).render({**facts, "seed": 7, "index": 3, "strength": 0.5})
    except TemplateError as error:
        short(str(error))
        return
    assert all(part.strip(". ") for part in path.split("/")), path
    assert not path.startswith("/")
    assert len(path.encode()) <= 1_000


def _templated(rng: Random, corpus: Sequence[bytes]) -> bytes:
    pieces = [
        b"{seed:04d}",
        b"{prompt_id}",
        b"{meta.a}",
        b"{{",
        b"/",
        b"..",
        b"{index:>9999}",
        b"{strength:.3f}",
        b"{a}",
        b"x",
    ]
    return b"".join(rng.choices(pieces, k=rng.randrange(1, 9))) + rng.choice(corpus)[20:]


TARGETS = (
    Target(
        "image/check",
        "PNG, JPEG, WebP, GIF, AVIF, MP4 and what is none, at each depth",
        14,
        lambda: list(_corpus()),
        _check,
        finish=_mended,
        tokens=(
            b"IDAT",
            b"IHDR",
            b"iCCP",
            b"zTXt",
            b"acTL",
            b"\xff\xda",
            b"\xff\xd9",
            b"\xff\xc2",
            b"ANIM",
            b"ANMF",
            b"VP8X",
            b"ispe",
            b"moov",
            b"\x2c",
            b"\x21\xf9\x04",
            *_SIZES,
        ),
    ),
    Target(
        "name/path",
        "names and path templates",
        3,
        lambda: [b"{prompt_id}/{aspect_ratio}_s{seed:04d}\nprompt_id=a heron\naspect_ratio=16:9\na=../x\nb=con.txt"],
        _check_name,
        make=_templated,
        tokens=(b"{meta.a}", b"{a:>80}", b"\n", b"{seed:x}", b"{0}", b"{a!r}", b"{a.b}"),
    ),
)
