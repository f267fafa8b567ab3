"""Thumbnails: a small WebP of an image, and the measures of the image for its flags.

``python -m batcher.images.thumbnail`` makes them for another process. It reads a line of JSON (``[source, target]``)
for each, and writes a line of JSON (``{"size": bytes, "measured": [...]}``, then the WebP; or ``{"error": text}``). It
ends when its standard input ends, so it never outlives the process that started it, however that ends.
"""

import io
import json
import os
import sys
from contextlib import suppress
from pathlib import Path

from PIL import Image, ImageOps

from batcher.core.errors import DiskError
from batcher.core.one_line import one_line
from batcher.images.flags import Measured, measure
from batcher.store.files.disk import ordinary
from batcher.store.files.whole import write_whole

LONGEST = 512  # pixels: sharp at a height of 220 on a screen with two pixels a point
_QUALITY = 76
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "AVIF", "TIFF", "BMP")
_MOST_PIXELS = 300_000_000


def make(source: Path, target: Path | None) -> tuple[bytes, Measured]:
    """The WebP and the measures of an image. target: where it is kept, None for nowhere; a full disk is ignored.

    Raises OSError, ValueError, SyntaxError, EOFError if the image can't be decoded.
    """
    made = small(source)
    content = io.BytesIO()
    made.save(content, "WEBP", quality=_QUALITY, method=0)
    if target is not None:
        with suppress(OSError, DiskError):
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, [content.getvalue()], durable=False)
    return content.getvalue(), measure(made)


def measure_file(source: Path) -> Measured:
    """The measures alone. Raises what ``make`` raises."""
    return measure(small(source))


def small(source: Path, box: tuple[int, int] = (LONGEST, LONGEST)) -> Image.Image:
    """The image upright and at most as wide and high as ``box``, as RGB, or RGBA if it is transparent.

    Raises what ``make`` raises.
    """
    with open(source, "rb", opener=ordinary) as file, Image.open(file, formats=_FORMATS) as image:
        image.draft("RGB", box)  # a JPEG is decoded at an eighth of its size, if that is enough
        ImageOps.exif_transpose(image, in_place=True)
        made: Image.Image = image
        if image.mode.startswith("I"):  # 16 bits
            made = image.convert("I").point(lambda value: value / 257).convert("L")
        mode = "RGBA" if made.has_transparency_data else "RGB"
        made = made if made.mode == mode else made.convert(mode)
        made.thumbnail(box, Image.Resampling.BILINEAR, reducing_gap=2.0)
        return made


class Unreadable(Exception):
    """The file can't be shown; the message says why in a few words."""


def on_white(source: Path, box: tuple[int, int]) -> Image.Image:
    """The same as RGB, on white where it is transparent. Raises Unreadable."""
    try:
        return flat(small(source, box))
    except FileNotFoundError:
        raise Unreadable("the file is gone") from None
    except OSError as error:
        raise Unreadable(one_line(error.strerror or "damaged", 100)) from None
    except Exception as error:  # noqa: BLE001  damaged bytes can make a decoder raise anything
        raise Unreadable(one_line(f"can't be decoded: {error}", 100)) from None


def flat(image: Image.Image) -> Image.Image:
    """The image as RGB, on white where it is transparent."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def _answer(line: bytes) -> bytes:
    try:
        source, target = json.loads(line)
        content, measured = make(Path(source), Path(target))
    except Exception as error:  # noqa: BLE001  a hostile file must not end the process
        return json.dumps({"error": f"{type(error).__name__}: {error}"[:300]}).encode() + b"\n"
    facts = {"size": len(content), "measured": [measured.dhash, measured.entropy, measured.spread]}
    return json.dumps(facts).encode() + b"\n" + content


def main() -> None:
    """The process that draws thumbnails: a line of JSON for each on standard input, ``[source, target]``.

    It answers with a line of JSON, then with the image, of ``size`` bytes; after ``error`` none follows. It ends with
    its input.
    """
    Image.MAX_IMAGE_PIXELS = _MOST_PIXELS
    if hasattr(os, "nice"):
        os.nice(10)  # a run beside it goes first
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(_answer(line))
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
