"""Thumbnails: a small WebP of a picture, with the measures that the flags are made from. Made for worker processes."""

import io
import os
from pathlib import Path

from PIL import Image, ImageOps

from batcher.core.errors import DiskError
from batcher.images.flags import Look, look
from batcher.store.files.whole import write_whole

LONGEST = 512  # pixels: sharp in a row of 220 on a screen with two pixels a point
_QUALITY = 76
_MOST_PIXELS = 300_000_000


def be_a_worker() -> None:
    """For a process of its own: whoever generates pictures beside it goes first."""
    Image.MAX_IMAGE_PIXELS = _MOST_PIXELS
    if hasattr(os, "nice"):
        os.nice(10)


def make(source: Path, target: Path | None) -> tuple[bytes, Look | None]:
    """The WebP and its measures. target: where it is kept; a disk that can't take it is no reason not to show it.

    Raises OSError, ValueError for what is no picture that can be decoded.
    """
    with Image.open(source) as image:
        image.draft("RGB", (LONGEST, LONGEST))
        ImageOps.exif_transpose(image, in_place=True)
        image.thumbnail((LONGEST, LONGEST), Image.Resampling.BILINEAR, reducing_gap=2.0)
        small = image.convert("RGBA" if image.has_transparency_data else "RGB")
    content = io.BytesIO()
    small.save(content, "WEBP", quality=_QUALITY, method=0)
    if target is not None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_whole(target, [content.getvalue()], durable=False)
        except (OSError, DiskError):
            pass
    return content.getvalue(), look(small)
