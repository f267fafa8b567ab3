"""A picture file made small, for the price of little more than what is shown of it."""

from pathlib import Path

from PIL import Image, ImageOps

from batcher.core.one_line import one_line

_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "AVIF")
GROUND = (255, 255, 255)  # behind what is transparent


class Unreadable(Exception):  # noqa: N818  an outcome, and read as such
    """The file can't be shown; the message says why in a few words."""


def thumbnail(path: Path, width: int, height: int) -> Image.Image:
    """An RGB image of this size at most and of the picture's own shape. Raises Unreadable."""
    try:
        with Image.open(path, formats=_FORMATS) as image:
            image.draft("RGB", (width, height))  # a JPEG is decoded at an eighth of its size, if that is enough
            upright = ImageOps.exif_transpose(image)
            return _flat(upright, width, height)
    except FileNotFoundError:
        raise Unreadable("the file is gone") from None
    except OSError as error:
        raise Unreadable(one_line(error.strerror or "damaged", 100)) from None
    except Exception as error:  # noqa: BLE001  decoders raise whatever damaged bytes lead them to
        raise Unreadable(one_line(f"can't be decoded: {error}", 100)) from None


def _flat(image: Image.Image, width: int, height: int) -> Image.Image:
    if image.mode in {"I;16", "I;16B", "I;16L", "I"}:
        image = image.convert("I").point(lambda value: value / 257).convert("L")
    clear = image.has_transparency_data
    image = image.convert("RGBA").convert("RGBa") if clear else image.convert("RGB")  # premultiplied: clean edges
    factor = min(1.0, width / image.width, height / image.height)
    box = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    if box != image.size:
        image = image.resize(box, Image.Resampling.LANCZOS, reducing_gap=2.0)
    if not clear:
        return image
    ground = Image.new("RGBA", box, GROUND)
    return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
