"""Images in another format, and four images in one, for exports.

Functions block; they may be called from many threads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

from batcher.core.errors import Cause, FileUnavailable
from batcher.core.one_line import one_line
from batcher.images.kinds import JPEG, PNG, WEBP, Kind
from batcher.images.thumbnail import flat
from batcher.store.machine import machine_problem

FORMATS = {"png": PNG, "jpeg": JPEG, "jpg": JPEG, "webp": WEBP}


@dataclass(frozen=True, slots=True)
class Recode:
    """Encodes images. kind: of the result. quality: 1 to 100, for JPEG and WebP."""

    kind: Kind
    quality: int = 90

    def __call__(self, path: Path) -> bytes:
        """The image at ``path``, encoded again. Raises FileUnavailable if it can't be decoded, OSError."""
        with _open(path) as image:
            return self._saved(image)

    def tiled(self, paths: Sequence[Path | None]) -> bytes:
        """Four images as two by two, row by row; None is a black tile. Tiles have the size of the largest image."""
        images = [None if path is None else _open(path) for path in paths]
        there = [image for image in images if image is not None]
        width, height = max(image.width for image in there), max(image.height for image in there)
        sheet = Image.new("RGB", (2 * width, 2 * height))
        for at, image in enumerate(images):
            if image is not None:
                sheet.paste(image.convert("RGB"), (at % 2 * width, at // 2 * height))
                image.close()
        return self._saved(sheet)

    def _saved(self, image: Image.Image) -> bytes:
        result = BytesIO()
        if self.kind is PNG:
            image.save(result, "PNG")
        elif self.kind is JPEG:
            flat(image).save(result, "JPEG", quality=self.quality, subsampling=0 if self.quality >= 90 else -1)
        else:
            image.convert("RGBA" if "A" in image.getbands() else "RGB").save(result, "WEBP", quality=self.quality)
        return result.getvalue()


def _open(path: Path) -> Image.Image:
    try:
        image = Image.open(path)
        image.load()
        return image
    except Exception as error:  # damaged bytes can make a decoder raise anything
        if machine_problem(error) or (isinstance(error, OSError) and error.errno is not None):
            raise
        raise FileUnavailable(Cause(kind="bad_picture", message=one_line(f"{path.name}: {error}"))) from None
