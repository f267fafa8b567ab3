"""The pictures of one cell, each in its place.

A picture keeps its shape. All pictures of a sheet are made as small as those of its fullest cell, so that none looks
more important than another; a cell with several is as large as it has to be.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from batcher.export.sheets.gather import Tile
from batcher.export.sheets.text import Block

_MOST_ACROSS = 4  # pictures in a row of a cell, and rows: what is more is counted
_SPLIT = 4


@dataclass(frozen=True, slots=True)
class Spot:
    """A tile in its place; x and y from the corner of its cell, later of its page."""

    tile: Tile
    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Cell:
    """No spots: nothing was asked for there."""

    width: int
    height: int
    spots: tuple[Spot, ...] = ()
    caption: Block | None = None


def fitted(tile: Tile, side: int) -> tuple[int, int]:
    """Width and height with the longest side ``side`` at most; never larger than it is."""
    factor = min(1.0, side / max(tile.width, tile.height))
    return max(1, round(tile.width * factor)), max(1, round(tile.height * factor))


def side_of(fullest: int, size: int) -> int:
    """The longest side of every picture on a sheet. fullest: pictures in its fullest cell."""
    return size if fullest == 1 else max(1, size // 2)


def cell_of(tiles: Sequence[Tile], side: int, longest: int) -> Cell:
    """side: as ``side_of`` has it. longest: of the pictures on the sheet, which marks of missing ones don't exceed."""
    across = min(_MOST_ACROSS, math.ceil(math.sqrt(len(tiles))))
    if len(tiles) > across * across:
        kept = across * across - 1
        tiles = [*tiles[:kept], Tile(None, 1_000, 1_000, f"+{len(tiles) - kept:,}")]
    boxes = [fitted(tile, side if tile.file else min(side, longest)) for tile in tiles]
    wide, high = max(width for width, _ in boxes), max(height for _, height in boxes)
    spots = []
    for number, (tile, (width, height)) in enumerate(zip(tiles, boxes, strict=True)):
        x, y = number % across * (wide + _SPLIT), number // across * (high + _SPLIT)
        spots.append(Spot(tile, x + (wide - width) // 2, y + (high - height) // 2, width, height))
    columns, lines = min(across, len(tiles)), math.ceil(len(tiles) / across)
    return Cell(columns * wide + (columns - 1) * _SPLIT, lines * high + (lines - 1) * _SPLIT, tuple(spots))
