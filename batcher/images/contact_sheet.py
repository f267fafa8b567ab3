"""A contact sheet without text, for notifications. ``export/sheets`` makes labelled ones."""

import io
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from PIL import Image

from batcher.images.thumbnail import Unreadable, on_white

COLUMNS, ROWS = 6, 4
MOST = COLUMNS * ROWS
_CELL = 256  # pixels
_GAP = 8
_BACKGROUND = (24, 24, 24)
_MOST_SECONDS = 3.0  # of decoding; the images that are ready by then are shown


def draw(paths: Iterable[Path], clock: Callable[[], float] = time.monotonic) -> bytes | None:
    """A JPEG of at most ``MOST`` images in their order; None if none can be decoded. clock: gives seconds."""
    until = clock() + _MOST_SECONDS
    tiles: list[Image.Image] = []
    for path in paths:
        if len(tiles) == MOST or clock() > until:
            break
        with suppress(Unreadable):  # the sheet goes without it
            tiles.append(on_white(path, (_CELL, _CELL)))
    return _side_by_side(tiles) if tiles else None


def _side_by_side(tiles: list[Image.Image]) -> bytes:
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    step = _CELL + _GAP
    sheet = Image.new("RGB", (columns * step + _GAP, rows * step + _GAP), _BACKGROUND)
    for at, tile in enumerate(tiles):
        left = _GAP + at % columns * step + (_CELL - tile.width) // 2
        top = _GAP + at // columns * step + (_CELL - tile.height) // 2
        sheet.paste(tile, (left, top))
    content = io.BytesIO()
    sheet.save(content, "JPEG", quality=80)
    return content.getvalue()
