"""Whether what arrived is a whole picture, and what it is: kind, size, hash, and what is odd about it.

No single test catches all damage. Pillow's ``verify`` passes a JPEG whose second half is missing, because it decodes
nothing; ``load`` passes a PNG without its end chunk, because all pixels are there by then. So ``decode`` is all of it:
the walk over the structure, ``verify``, and a full ``load`` of a fresh open.

A small file may claim a huge picture, so its size is read from the header, by us, before a decoder is let near it.
"""

import hashlib
import os
import threading
from collections.abc import Mapping
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
# A decoded picture takes 4 bytes a pixel: sixteen threads with 64 megapixels each would be 4 GiB at once.
_big_decodes = threading.BoundedSemaphore(max(2, os.cpu_count() or 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a file may cost at most. Bytes, pixels of one picture, seconds."""

    max_bytes: int = 2 << 30
    max_image_bytes: int = 256 << 20
    max_pixels: int = 64_000_000
    connect_timeout: float = 10.0
    read_timeout: float = 60.0
    total_timeout: float = 3_600.0  # a server that sends a byte a minute never runs into the one above

    def bytes_for(self, kind: Kind | None) -> int:
        return self.max_image_bytes if kind is not None and (kind.decoder or kind is UNKNOWN) else self.max_bytes


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What an examination found; sizes as in Artifact."""

    kind: Kind
    bytes: int
    sha256: str
    size: Size | None
    warning: str | None


def allow(limits: Limits) -> None:
    """Lift Pillow's own limit, which is for the whole process, where ours is higher."""
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
    """Raises FileUnavailable for what is not a whole file, FileRefused for what is over the limits.

    announced: asked where the bytes do not say what they are.
    path: where ``data`` lies, when it is a file: a decoder then reads it from there.
    wanted_ratio: ``16:9``; anything else is not looked at.
    """
    kind = kind_of(data, announced)
    if len(data) > limits.bytes_for(kind):
        raise too_big(len(data), limits.bytes_for(kind))
    try:
        size = _checked_size(data, kind, depth, limits)
        if depth != "none":
            kind.check(data)
    except Damaged as damage:
        raise _bad(kind, str(damage), data) from None
    colour = None
    if depth == "decode" and kind.decoder:
        try:
            colour = _decode(path or BytesIO(data), kind, size)
        except Damaged as damage:
            raise _bad(kind, str(damage), data) from None
    sha256 = hashlib.sha256(data).hexdigest()
    notes = [note for note in (_ratio_note(size, wanted_ratio), colour, _unchecked(kind)) if note]
    return Facts(kind=kind, bytes=len(data), sha256=sha256, size=size, warning="; ".join(notes) or None)


def kind_of(data: Buffer, announced: Announced = NOTHING) -> Kind:
    """The kind of file that begins so. Raises FileUnavailable for nothing, and for a page or a message in its place."""
    kind = classify(data, announced)
    if kind is not None:
        return kind
    if not len(data):
        raise _not_a_picture("the file is empty", data)
    start = bytes(data[:64]).lstrip(b"\xef\xbb\xbf \t\r\n")
    what = "a web page or JSON" if start[:1] in {b"<", b"{", b"["} else "a text"
    raise _not_a_picture(f"{what} came instead of the file: {one_line(start.decode(errors='replace'), 60)!r}", data)


def wanted_ratio(inputs: Mapping[str, Any]) -> str | None:
    """The aspect ratio that a job asks for, as ``examine`` takes it; None if it asks for none."""
    ratio = inputs.get("aspect_ratio")
    return ratio if isinstance(ratio, str) else None


def _unchecked(kind: Kind) -> str | None:
    if kind is UNKNOWN:
        return "kept as it came: its kind of file is not known"
    return None if kind.decoder or kind.walk else f"kept as it came: a {kind.extension} can't be checked"


def too_big(size: int, limit: int) -> FileRefused:
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


def _decode(source: Path | BytesIO, kind: Kind, size: Size | None) -> str | None:
    """A note when the whole picture is one colour. Raises Damaged for what Pillow can't decode."""
    if size is None or size[0] * size[1] > _BIG_PIXELS:
        with _big_decodes:
            return _decode_now(source, kind)
    return _decode_now(source, kind)


def _decode_now(source: Path | BytesIO, kind: Kind) -> str | None:
    formats = (kind.decoder or "",)
    try:
        with Image.open(source, formats=formats) as image:
            image.verify()
        if isinstance(source, BytesIO):
            source.seek(0)
        with Image.open(source, formats=formats) as image:
            image.load()
            return _one_colour(image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise FileRefused(Cause(kind="too_many_pixels", message=one_line(str(error)))) from None
    except Exception as error:  # decoders raise whatever damaged bytes lead them to
        if machine_problem(error) or (isinstance(error, OSError) and error.errno is not None):
            raise  # the disk or the memory, not the picture
        raise Damaged(f"{type(error).__name__}: {error}") from None


def _one_colour(image: Image.Image) -> str | None:
    first = image.getpixel((0, 0))
    last = image.getpixel((image.width - 1, image.height - 1))
    if first != last:
        return None  # the usual case, for the price of two pixels
    extrema = image.getextrema()  # band by band; split() would make a second picture of this size
    bands = extrema if isinstance(extrema[0], tuple) else (extrema,)
    if any(lowest != highest for lowest, highest in bands):
        return None
    corner = image.crop((0, 0, 1, 1)).convert("RGB").getpixel((0, 0))
    return "all black" if corner == (0, 0, 0) else "one colour all over"


def _ratio_note(size: Size | None, wanted: str | None) -> str | None:
    if size is None or wanted is None or 0 in size:
        return None
    try:
        across, down = (float(side) for side in wanted.split(":"))
        off = abs(size[0] / size[1] / (across / down) - 1)
    except (ValueError, ArithmeticError):
        return None
    got = f"{size[0]}x{size[1]}"
    return f"asked for {one_line(wanted, 20)}, got {got}" if off > _RATIO_TOLERANCE else None


def _bad(kind: Kind, what: str, data: Buffer) -> FileUnavailable:
    return _unusable("bad_picture", one_line(f"damaged {kind.extension}: {what}"), data)


def _not_a_picture(message: str, data: Buffer) -> FileUnavailable:
    return _unusable("not_a_picture", message, data)


def _unusable(kind: str, message: str, data: Buffer) -> FileUnavailable:
    return FileUnavailable(Cause(kind=kind, message=message), digest=hashlib.sha256(data).hexdigest())
