"""Draws the images: pleasant to look at, made in about a millisecond, and plainly not real.

Each is a small landscape (a sky, a sun, four ridges) drawn from a hash of the request, above a strip that says
SIMULATED, the ratio, the seed and the beginning of the prompt. The same request gives the same bytes. Another prompt,
seed, ratio or index gives other bytes, since the hash is also in a text chunk of the file.

A pixel is one byte, so that drawing, compressing and sending handle a quarter of the data. The palette gives each range
of values its colours:

    0-159   sky, from the horizon up       160-175  sun, from its rim in
    176-239 four ridges, 16 shades each    240-255  the strip: its ground, then the blends up to the text's white

Text is drawn with smooth edges because on the strip's ground (240) a half-covered pixel is an index in between.
"""

import colorsys
import io
import math
import zlib
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from batcher.simulator.chance import fingerprint

SIDE = 240
"""Images have about SIDE * SIDE pixels, whatever their ratio: 320x180 at 16:9, 240x240 at 1:1."""

TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
_PALETTES = 180
_SKIES = 5
_STRIP = 47


def image_file(
    inputs: Mapping[str, Any],
    index: int = 0,
    *,
    model: str = "",
    form: str = "png",
    size: int | None = None,
    ratio: str | None = None,
) -> bytes:
    """The file for one output of a request.

    index: of the output, from 0. form: ``png``, ``jpeg`` or ``webp``. size: the least number of bytes; the file is
    padded behind its end, which decoders skip. ratio: such as ``16:9``, instead of the one in the inputs.
    """
    asked = ratio or asked_ratio(inputs)
    key = blake2b(f"{fingerprint(model, inputs)} {index} {asked} {SIDE}".encode(), digest_size=32).digest()
    canvas = _landscape(*dimensions(asked), key)
    _stamp(canvas, _caption(inputs, asked, index), str(inputs.get("prompt", "")))
    canvas.putpalette(_palette(key[0] % _PALETTES))
    made = _encoded(canvas, form, f"SIMULATED by batcher {key.hex()}")
    return made + bytes(max(0, (size or 0) - len(made)))


def asked_ratio(inputs: Mapping[str, Any]) -> str:
    """The ratio ``W:H`` that the inputs ask for: 16:9 if they ask for none, 1:1 for what can't be drawn (``auto``)."""
    value = inputs.get("aspect_ratio", "16:9")
    parts = value.split(":") if isinstance(value, str) else []
    if len(parts) == 2 and all(part.isascii() and part.isdigit() and 0 < int(part) <= 100 for part in parts):
        return f"{int(parts[0])}:{int(parts[1])}"
    return "1:1"


def dimensions(ratio: str) -> tuple[int, int]:
    """Width and height in pixels, exactly in the ratio ``W:H``, with about SIDE * SIDE pixels in all."""
    wide, high = (int(part) for part in ratio.split(":"))
    unit = max(1, round(SIDE / math.sqrt(wide * high)))
    return wide * unit, high * unit


def black(inputs: Mapping[str, Any]) -> bytes:
    """A black PNG of the right shape."""
    return _encoded(Image.new("L", dimensions(asked_ratio(inputs))), "png", "SIMULATED")


def flipped(content: bytes) -> bytes:
    """The file with one bit of its image data inverted."""
    at = content.find(b"IDAT")
    at = len(content) * 2 // 3 if at < 0 else at + 4 + int.from_bytes(content[at - 4 : at], "big") // 2
    return content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]


@lru_cache(maxsize=1)
def bomb(side: int = 20_000) -> bytes:
    """A small PNG of ``side`` by ``side`` pixels, which takes over a gigabyte of memory when it is decoded to RGB."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return b"".join((len(data).to_bytes(4, "big"), name, data, zlib.crc32(name + data).to_bytes(4, "big")))

    packer = zlib.compressobj()
    rows = bytes(1 + (side + 7) // 8) * 100
    data = b"".join(packer.compress(rows) for _ in range(side // 100)) + packer.flush()
    header = side.to_bytes(4, "big") * 2 + b"\1\0\0\0\0"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _landscape(width: int, height: int, key: bytes) -> Image.Image:
    canvas = _sky(width, height, key[1] % _SKIES).copy()
    draw = ImageDraw.Draw(canvas)
    ground = max(8, height - _STRIP)
    _sun(draw, width, ground, key)
    for ridge in range(4):
        _ridge(draw, width, ground, ridge, key[6 + 5 * ridge : 11 + 5 * ridge])
    return canvas


def _sun(draw: ImageDraw.ImageDraw, width: int, ground: int, key: bytes) -> None:
    x = width * (20 + key[2] % 160) // 200
    y = ground * (15 + key[3] % 45) // 100
    radius = min(width, ground) * (9 + key[4] % 14) // 100
    for ring, part in enumerate((100, 94, 86, 76)):
        r = radius * part / 100
        draw.ellipse((x - r, y - r, x + r, y + r), fill=160 + 5 * ring)


def _ridge(draw: ImageDraw.ImageDraw, width: int, ground: int, ridge: int, key: bytes) -> None:
    """Draws a polygon below the sum of two waves. Nearer ridges are lower, rougher and darker."""
    base = ground * (0.52 + 0.135 * ridge + key[0] / 5100)
    swing, detail = ground * (0.05 + key[1] / 3000), ground * (0.012 + key[2] / 12000)
    slow, quick = (1.2 + key[3] / 90) * math.tau / 24, (4 + key[4] / 32) * math.tau / 24
    phase = key[0] + key[3]
    points: list[tuple[float, float]] = [(0, ground)]
    points += [
        (width * step / 24, base - swing * math.sin(phase + slow * step) - detail * math.sin(phase + quick * step))
        for step in range(25)
    ]
    points.append((width, ground))
    draw.polygon(points, fill=176 + 16 * ridge + key[2] % 12)


@lru_cache(maxsize=256)
def _sky(width: int, height: int, kind: int) -> Image.Image:
    """A gradient over the values 0 to 159, in bands that are wide enough to compress well."""
    box = (width, height)
    if kind == 0:
        field = Image.radial_gradient("L").crop((0, 0, 256, 150)).resize(box)
    elif kind == 1:
        field = Image.radial_gradient("L").crop((100, 20, 256, 150)).resize(box)
    else:
        turned = Image.linear_gradient("L").rotate((0, 12, -12)[kind - 2], Image.Resampling.BILINEAR)
        field = turned.crop((40, 30, 216, 226)).resize(box)
    low, high = (float(edge) for edge in field.getextrema())  # type: ignore[arg-type]  # one band: two numbers
    return field.point([int(min(max((v - low) / (high - low), 0), 1) * 53) * 3 for v in range(256)])


@lru_cache(maxsize=_PALETTES)
def _palette(number: int) -> bytes:
    hue, scheme = (number % 36) / 36, number // 36
    horizon = (hue + (0.08, 0.14, -0.1, 0.3, 0.5)[scheme]) % 1
    colours = [_between(_hls(hue, 0.30, 0.55), _hls(horizon, 0.86, 0.8), band / 159) for band in range(160)]
    colours += [_between(_hls(horizon, 0.80, 0.9), _hls(horizon + 0.04, 0.95, 0.9), ring / 15) for ring in range(16)]
    for ridge in range(4):
        near, far = _hls(hue + 0.02 * ridge, 0.16, 0.42), _hls(horizon, 0.62, 0.38)
        shade = _between(far, near, (ridge + 0.4) / 3.6)
        colours += [_between(shade, near, step / 60) for step in range(16)]
    colours += [_between((18, 20, 26), (246, 246, 240), step / 15) for step in range(16)]
    return bytes(channel for colour in colours for channel in colour)


def _hls(hue: float, lightness: float, saturation: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hls_to_rgb(hue % 1, lightness, saturation)
    return round(red * 255), round(green * 255), round(blue * 255)


def _between(one: tuple[int, int, int], other: tuple[int, int, int], share: float) -> tuple[int, int, int]:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _caption(inputs: Mapping[str, Any], ratio: str, index: int) -> str:
    words = [ratio, f"seed {inputs['seed']}"[:24] if "seed" in inputs else "no seed"]
    return "  ".join(words + ([f"#{index + 1}"] if index else []))


def _stamp(canvas: Image.Image, caption: str, prompt: str) -> None:
    width, top = canvas.width, max(0, canvas.height - _STRIP)
    canvas.paste(_strip(width), (0, top))
    draw = ImageDraw.Draw(canvas)
    draw.text((width - 5, top + 4), caption, fill=252, font=_font(10), anchor="ra")
    for line, text in enumerate(_lines(prompt, width)):
        draw.text((7, top + 18 + 13 * line), text, fill=255, font=_font(11))


@lru_cache(maxsize=128)
def _strip(width: int) -> Image.Image:
    strip = Image.new("L", (width, _STRIP), 240)
    ImageDraw.Draw(strip).text((6, 3), "SIMULATED", fill=255, font=_font(11), stroke_width=0.4)
    return strip


def _lines(prompt: str, width: int) -> list[str]:
    """The beginning of the prompt in at most two lines, broken between words; a space for what can't be printed."""
    room = max(8, (width - 12) * 10 // 58)
    text = " ".join("".join(c if c.isprintable() else " " for c in prompt[: 3 * room]).split())
    if len(text) <= room:
        return [text]
    cut = text.rfind(" ", room // 2, room + 1)
    cut = room if cut < 0 else cut
    rest = text[cut:].strip()
    return [text[:cut], rest if len(rest) <= room else rest[: room - 1] + "…"]


@lru_cache(maxsize=4)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)


def _encoded(image: Image.Image, form: str, note: str) -> bytes:
    target = io.BytesIO()
    if form == "png":  # Z_RLE is zlib's fastest strategy, and flat shapes are hardly larger with it
        info = PngInfo()
        info.add_text("Comment", note)
        image.save(target, form, compress_level=1, compress_type=zlib.Z_RLE, pnginfo=info)
    else:
        options = {"quality": 80} if form == "jpeg" else {"quality": 70, "method": 0}
        image.convert("RGB").save(target, form, **options)
    return target.getvalue()
