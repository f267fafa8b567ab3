"""Whether a file is whole, and what it is: kind, size, hash, and oddities.

No single test catches all damage. Pillow's ``verify`` accepts a JPEG whose second half is missing, because it decodes
nothing; ``load`` accepts a PNG without its end chunk, because it has all pixels by then. So the depth ``decode`` is all
of it: a walk over the structure, ``verify``, and ``load`` after the file was opened again.

A small file may claim a huge image, so the size is read from the header before a decoder gets the file.
"""

import hashlib
import math
import os
import threading
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import msgspec
from PIL import Image

from batcher.core.errors import Cause, FileRefused, FileUnavailable
from batcher.core.one_line import one_line
from batcher.images.containers import Buffer, Damaged
from batcher.images.kinds import NOTHING, UNKNOWN, Announced, Kind, classify
from batcher.images.structure import Size
from batcher.store.machine import machine_problem

CheckDepth = Literal["decode", "structure", "none"]

_BIG_PIXELS = 8_000_000
_RATIO_TOLERANCE = 0.1  # Imagen 4 gives 1408x768 for 16:9 and 1280x896 for 4:3, 3 and 7 % off
# A decoded image takes 4 bytes a pixel: sixteen threads with 64 megapixels each would take 4 GiB.
_big_decodes = threading.BoundedSemaphore(max(2, os.cpu_count() or 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one file. Times are in seconds.

    max_bytes: of any file; max_image_bytes: of one that is decoded, or of unknown kind. max_pixels: width times height.
    connect_timeout: for the connection; read_timeout: between two pieces; total_timeout: for the whole download.
    """

    max_bytes: int = 2 << 30
    max_image_bytes: int = 256 << 20
    max_pixels: int = 64_000_000
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    total_timeout: float = 3_600.0  # ends a server that sends a byte a minute, which read_timeout does not

    def bytes_for(self, kind: Kind | None) -> int:
        """The most bytes of a file of this kind."""
        return self.max_image_bytes if kind is not None and (kind.decoder or kind is UNKNOWN) else self.max_bytes


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a check gave. kind: by the first bytes. bytes: size of the file. sha256: hex. size: width and height, None
    if it has none.

    warning: oddities, separated by ``; ``; None for none.
    """

    kind: Kind
    bytes: int
    sha256: str
    size: Size | None
    warning: str | None


def allow(limits: Limits) -> None:
    """Raise Pillow's own limit on pixels, which is for the whole process, to ``limits``."""
    if Image.MAX_IMAGE_PIXELS is not None:
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, limits.max_pixels)


def examine(
    data: Buffer,
    *,
    depth: CheckDepth,
    limits: Limits,
    announced: Announced = NOTHING,
    wanted_ratio: str | None = None,
    path: Path | None = None,
) -> Facts:
    """Check a file. Raises FileUnavailable if it is not whole, FileRefused if it is over the limits.

    announced: decides the kind if the bytes do not. wanted_ratio: such as ``16:9``; a warning says if the image has
    another. path: the file that ``data`` is from, if any; the decoder reads that.
    """
    kind = kind_of(data, announced)
    if len(data) > limits.bytes_for(kind):
        raise too_big(len(data), limits.bytes_for(kind))
    colour = None
    try:
        size = _checked_size(data, kind, depth, limits)
        if depth != "none":
            kind.check(data)
        if depth == "decode" and kind.decoder:
            colour = _decode(path or BytesIO(data), kind.decoder, size)
    except Damaged as damage:
        raise _unusable("bad_picture", one_line(f"damaged {kind.extension}: {damage}"), data) from None
    sha256 = hashlib.sha256(data).hexdigest()
    notes = [note for note in (_ratio_note(size, wanted_ratio), colour, _unchecked(kind)) if note]
    return Facts(kind=kind, bytes=len(data), sha256=sha256, size=size, warning="; ".join(notes) or None)


def kind_of(data: Buffer, announced: Announced = NOTHING) -> Kind:
    """The kind of a file by its first bytes.

    Raises FileUnavailable for an empty file, and for a web page or an error message in place of a file.
    """
    kind = classify(data, announced)
    if kind is not None:
        return kind
    if not len(data):
        raise _unusable("not_a_picture", "the file is empty", data)
    start = bytes(data[:64]).lstrip(b"\xef\xbb\xbf \t\r\n")
    what = "a web page or JSON" if start[:1] in {b"<", b"{", b"["} else "a text"
    message = f"{what} came instead of the file: {one_line(start.decode(errors='replace'), 60)!r}"
    raise _unusable("not_a_picture", message, data)


def wanted_ratio(inputs: Mapping[str, Any]) -> str | None:
    """The aspect ratio that a job asks for, as ``examine`` takes it; None if it asks for none."""
    ratio = inputs.get("aspect_ratio")
    return ratio if isinstance(ratio, str) else None


def _unchecked(kind: Kind) -> str | None:
    if kind is UNKNOWN:
        return "kept as it came: its kind of file is not known"
    return None if kind.decoder or kind.walk else f"kept as it came: a {kind.extension} can't be checked"


def too_big(size: int, limit: int) -> FileRefused:
    """The error for a file of ``size`` bytes or more."""
    return FileRefused(Cause(kind="too_big", message=f"{size:,} bytes or more, the limit is {limit:,}"))


def _checked_size(data: Buffer, kind: Kind, depth: CheckDepth, limits: Limits) -> Size | None:
    try:
        size = kind.size(data)
    except Damaged:
        if depth == "none":
            return None
        raise
    if size is None:
        return None
    if size[0] * size[1] > limits.max_pixels:
        message = f"{size[0]} x {size[1]} pixels, the limit is {limits.max_pixels:,} in all"
        raise FileRefused(Cause(kind="too_many_pixels", message=message))
    if 0 in size and depth != "none":
        raise Damaged("its header says that it has no pixels")
    return size


def _decode(source: Path | BytesIO, decoder: str, size: Size | None) -> str | None:
    """A warning if the whole image is one colour. Raises Damaged if Pillow can't decode it, FileRefused."""
    is_big = size is None or size[0] * size[1] > _BIG_PIXELS
    try:
        with _big_decodes if is_big else nullcontext():
            with Image.open(source, formats=(decoder,)) as image:
                image.verify()
            if isinstance(source, BytesIO):
                source.seek(0)
            with Image.open(source, formats=(decoder,)) as image:
                image.load()
                return _one_colour(image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise FileRefused(Cause(kind="too_many_pixels", message=one_line(str(error)))) from None
    except Exception as error:  # damaged bytes can make a decoder raise anything
        if machine_problem(error) or (isinstance(error, OSError) and error.errno is not None):
            raise  # of the disk or the memory, not of the image
        raise Damaged(f"{type(error).__name__}: {error}") from None


def _one_colour(image: Image.Image) -> str | None:
    first = image.getpixel((0, 0))
    last = image.getpixel((image.width - 1, image.height - 1))
    if first != last:
        return None  # the usual case, which costs two pixels
    extrema = image.getextrema()  # band by band; split() would copy the whole image
    bands = extrema if isinstance(extrema[0], tuple) else (extrema,)
    if any(lowest != highest for lowest, highest in bands):
        return None
    corner = image.crop((0, 0, 1, 1)).convert("RGB").getpixel((0, 0))
    return "all black" if corner == (0, 0, 0) else "one colour all over"


def _ratio_note(size: Size | None, wanted: str | None) -> str | None:
    if size is None or wanted is None or 0 in size:
        return None
    ratio = parse_ratio(wanted)
    if ratio is None or not ratio_differs(size, ratio):
        return None
    return f"asked for {one_line(wanted, 20)}, got {size[0]}x{size[1]}"


def parse_ratio(text: str) -> float | None:
    """Width / height of a text such as ``16:9``; None if it is none."""
    try:
        across, down = (float(side) for side in text.split(":"))
        ratio = across / down
    except (ValueError, ZeroDivisionError):
        return None
    return ratio if 0 < ratio < math.inf else None


def ratio_differs(size: Size, wanted: float) -> bool:
    """Whether an image of this width and height has plainly another shape than width / height = ``wanted``."""
    return abs(size[0] / size[1] / wanted - 1) > _RATIO_TOLERANCE


def _unusable(kind: str, message: str, data: Buffer) -> FileUnavailable:
    return FileUnavailable(Cause(kind=kind, message=message), digest=hashlib.sha256(data).hexdigest())
