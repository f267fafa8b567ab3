"""A contact sheet without words: some pictures side by side, for a message. ``export/sheets`` has labelled ones."""

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
_GROUND = (24, 24, 24)
_PATIENCE = 3.0  # seconds that may go into decoding; what is there by then is shown


def draw(paths: Iterable[Path], clock: Callable[[], float] = time.monotonic) -> bytes | None:
    """A JPEG of at most ``MOST`` pictures in their order; None where none of them can be shown."""
    until = clock() + _PATIENCE
    tiles: list[Image.Image] = []
    for path in paths:
        if len(tiles) == MOST or clock() > until:
            break
        with suppress(Unreadable):  # the message goes without it
            tiles.append(on_white(path, (_CELL, _CELL)))
    return _side_by_side(tiles) if tiles else None


def _side_by_side(tiles: list[Image.Image]) -> bytes:
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    step = _CELL + _GAP
    sheet = Image.new("RGB", (columns * step + _GAP, rows * step + _GAP), _GROUND)
    for at, tile in enumerate(tiles):
        left = _GAP + at % columns * step + (_CELL - tile.width) // 2
        top = _GAP + at // columns * step + (_CELL - tile.height) // 2
        sheet.paste(tile, (left, top))
    content = io.BytesIO()
    sheet.save(content, "JPEG", quality=80)
    return content.getvalue()
