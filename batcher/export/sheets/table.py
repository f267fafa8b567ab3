"""Where everything on a page stands, in pixels. Nothing is drawn here and no file is opened.

A sheet is a table: labels of the columns on top, labels of the rows at the left, images in the cells. Without an axis
for the rows, the images flow in lines, each with its label below it. Rows and columns are as large as their contents.
A page stays within MAX_SIDE and MAX_PIXELS; a larger sheet gets more pages of about the same size, with labels on each.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from batcher.export.sheets.gather import Sheet, Tile
from batcher.export.sheets.text import LTR, Block, Writer, line_height

MAX_SIDE = 16_000
"""Pixels. WebP ends at 16,383, and so do the canvases of browsers."""
MAX_PIXELS = 32_000_000
"""Of a page; 96 MB in memory. Pillow warns at 89 million."""

_LEAST_COLUMN = 64
_TITLE_LINES = 4
_MOST_ACROSS = 4  # images in a row of a cell, and rows of images; the last one says how many more there are
_SPLIT = 4  # between the images of a cell
_LABELS = -1  # number of the row that has the labels of columns, and of the column that has the labels of rows
Band = tuple[int, int]  # a range of rows or columns


class Style:
    """Sizes in pixels, in proportion to the images. size: longest side of the images in pixels."""

    def __init__(self, size: int) -> None:
        self._scale = min(3.0, max(0.85, size / 256))
        self.title, self.label, self.small = self.px(22), self.px(16), self.px(13)
        self.gap, self.margin = self.px(12), self.px(24)
        self.least_width, self.most_label = self.px(560), self.px(240)

    def px(self, at_256: float) -> int:
        return max(1, round(at_256 * self._scale))


class Spot(NamedTuple):
    """The place of a tile: x, y of its top left corner, width, height; in pixels."""

    tile: Tile
    x: int
    y: int
    width: int
    height: int


class Placed(NamedTuple):
    """A text in its place. block: its lines. x, y: its top left corner in pixels. dim: in a paler colour."""

    block: Block
    x: int
    y: int
    dim: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    """The contents of one cell: spots and texts, placed from its top left corner. width, height: pixels."""

    width: int
    height: int
    spots: tuple[Spot, ...] = ()
    texts: tuple[Placed, ...] = ()


@dataclass(slots=True)
class Page:
    """One image to be drawn. Lengths are in pixels, places from its top left corner.

    number: from 1, of ``pages`` of the sheet. texts, spots: what is drawn. empty: cells for which the run has no job,
    as x, y, width and height.
    """

    width: int
    number: int
    pages: int
    height: int = 0
    texts: list[Placed] = field(default_factory=list)
    spots: list[Spot] = field(default_factory=list)
    empty: list[tuple[int, int, int, int]] = field(default_factory=list)


def fitted(tile: Tile, side: int) -> tuple[int, int]:
    """Width and height in the tile's shape, with ``side`` as the longest side; never larger than the image."""
    factor = min(1.0, side / max(tile.width, tile.height))
    return max(1, round(tile.width * factor)), max(1, round(tile.height * factor))


def side_of(fullest: int, size: int) -> int:
    """The longest side of all images of a sheet: smaller where a cell has several. fullest: images in such a cell."""
    return size if fullest == 1 else max(1, size // 2)


def cell_of(tiles: Sequence[Tile], side: int, longest: int) -> Box:
    """The tiles of one cell. longest: of the images on the sheet; marks of missing images are not larger."""
    across = min(_MOST_ACROSS, math.ceil(math.sqrt(len(tiles))))
    if len(tiles) > across * across:
        kept = across * across - 1
        tiles = [*tiles[:kept], Tile(None, 1_000, 1_000, f"+{len(tiles) - kept:,}")]
    sizes = [fitted(tile, side if tile.file else min(side, longest)) for tile in tiles]
    wide, high = max(width for width, _ in sizes), max(height for _, height in sizes)
    spots = []
    for number, (tile, (width, height)) in enumerate(zip(tiles, sizes, strict=True)):
        x, y = number % across * (wide + _SPLIT), number // across * (high + _SPLIT)
        spots.append(Spot(tile, x + (wide - width) // 2, y + (high - height) // 2, width, height))
    columns, lines = min(across, len(tiles)), math.ceil(len(tiles) / across)
    return Box(columns * (wide + _SPLIT) - _SPLIT, lines * (high + _SPLIT) - _SPLIT, tuple(spots))


def bands(sizes: Sequence[int], limit: int) -> list[Band]:
    """Cuts a row of sizes into the fewest parts of about equally many, each at most ``limit`` long (or one alone)."""
    count = len(sizes)
    for parts in range(1, count + 1):
        cuts = list(pairwise(round(part * count / parts) for part in range(parts + 1)))
        if all(end - start == 1 or sum(sizes[start:end]) <= limit for start, end in cuts):
            return cuts
    return []


class Layout:
    """The layout of one sheet.

    size: longest side of an image, in pixels.
    writer: measures the texts.
    """

    def __init__(self, sheet: Sheet, size: int, writer: Writer) -> None:
        self._sheet, self._write = sheet, writer.block
        images = [tile for tiles in sheet.cells.values() for tile in tiles if tile.file]
        longest = max((max(fitted(tile, size)) for tile in images), default=size)
        side = side_of(max(map(len, sheet.cells.values())), size)
        self.style = style = Style(longest)
        cells = {place: cell_of(tiles, side, longest) for place, tiles in sheet.cells.items()}
        self._flows = sheet.axes[0] is None
        self._boxes = boxes = self._flowing(cells) if self._flows else cells
        self._heights = [line_height(style.label)] * (1 + max(row for row, _ in boxes))
        self._widths = [_LEAST_COLUMN] * (1 + max(col for _, col in boxes))
        for (row, col), box in boxes.items():
            self._heights[row] = max(self._heights[row], box.height)
            self._widths[col] = max(self._widths[col], box.width)
        self._above = 3 * style.margin + (_TITLE_LINES + 4) * line_height(style.title)  # and below the rows, at most
        self._gutter = self._head = 0
        if not self._flows:
            self._label()

    def _flowing(self, cells: dict[tuple[int, int], Box]) -> dict[tuple[int, int], Box]:
        """One row of cells as several lines of them, each cell with its label below it."""
        style, order = self.style, sorted(cells)
        width = max(style.px(150), *(cell.width for cell in cells.values()))
        slot = width + style.gap
        high = max(cell.height for cell in cells.values()) + 3 * line_height(style.small) + style.gap
        fits = max(1, (min(MAX_SIDE, style.px(2_600)) - 2 * style.margin) // slot)
        across = min(fits, max(math.ceil(math.sqrt(1.3 * len(order) * high / slot)), min(len(order), 3)))
        lines = {}
        for number, place in enumerate(order):
            cell = cells[place]
            label = self._write(self._sheet.cols[place[1]], style.small, width=width, lines=3, align="centre")
            top = cell.height + style.px(4)
            spots = tuple(spot._replace(x=spot.x + (width - cell.width) // 2) for spot in cell.spots)
            lines[divmod(number, across)] = Box(width, top + label.height, spots, (Placed(label, 0, top),))
        return lines

    def _label(self) -> None:
        """Adds the labels of rows and columns, and the names of the axes in the corner."""
        style, sheet, write, boxes = self.style, self._sheet, self._write, self._boxes
        one_line = [write(label, style.label, width=style.most_label, lines=1) for label in sheet.rows]
        corner = [
            write(word, style.small, width=style.most_label, lines=1, align="left")
            for word in (f"{sheet.axes[1]} →", f"{sheet.axes[0]} ↓")
        ]
        self._gutter = max(block.width for block in (*corner, *one_line))
        for row, (label, height) in enumerate(zip(sheet.rows, self._heights, strict=False)):
            lines = max(1, height // line_height(style.label))
            boxes[row, _LABELS] = _only(write(label, style.label, width=self._gutter, lines=lines, align="right"))
        for col, (label, width) in enumerate(zip(sheet.cols, self._widths, strict=False)):
            boxes[_LABELS, col] = _only(write(label, style.label, width=width, lines=3, align="centre"))
        names = tuple(Placed(block, 0, at * corner[0].height, dim=True) for at, block in enumerate(corner))
        boxes[_LABELS, _LABELS] = Box(self._gutter, 2 * corner[0].height, texts=names)
        self._head = max(box.height for (row, _), box in boxes.items() if row == _LABELS)

    def pages(self, subtitle: str) -> Iterator[Page]:
        """subtitle: below the title. Where there are several pages, it also says which part of the sheet a page is."""
        gap = self.style.gap
        widest = min(MAX_SIDE, MAX_PIXELS // (self._above + max(self._heights)))  # leaves room for the highest row
        cut = [
            (rows, cols)
            for cols in bands([width + gap for width in self._widths], widest - self._left - self.style.margin)
            for rows in bands(
                [height + gap for height in self._heights],
                min(MAX_SIDE, MAX_PIXELS // self._width(cols)) - self._above,
            )
        ]
        for number, (rows, cols) in enumerate(sorted(cut), 1):
            title = subtitle if len(cut) == 1 else f"{subtitle}  ·  {self._part(number, len(cut), rows, cols)}"
            page = Page(self._width(cols), number, len(cut))
            self._lay(page, rows, cols, title)
            yield page

    @property
    def _left(self) -> int:
        """Where the first column of images begins."""
        return self.style.margin + (0 if self._flows else self._gutter + self.style.gap)

    def _width(self, cols: Band) -> int:
        widths = self._widths[slice(*cols)]
        return max(
            self.style.least_width, self._left + sum(widths) + self.style.gap * (len(widths) - 1) + self.style.margin
        )

    def _part(self, number: int, count: int, rows: Band, cols: Band) -> str:
        words = [f"page {number:,} of {count:,}"]
        if not self._flows:
            sheet = self._sheet
            for name, (start, end), labels in zip(sheet.axes, (rows, cols), (sheet.rows, sheet.cols), strict=True):
                if end - start < len(labels):
                    words.append(f"{name} {_short(labels[start])} to {_short(labels[end - 1])}")
        return ", ".join(words)

    def _lay(self, page: Page, rows: Band, cols: Band, subtitle: str) -> None:
        style = self.style
        inside, y = page.width - 2 * style.margin, style.margin
        if self._sheet.title:
            title = self._write(self._sheet.title, style.title, width=inside, lines=_TITLE_LINES)
            page.texts.append(Placed(title, style.margin, y))
            y += title.height + style.px(2)
        below = self._write(subtitle, style.small, width=inside, lines=3, direction=LTR)
        page.texts.append(Placed(below, style.margin, y, dim=True))
        y += below.height + style.gap
        if not self._flows:
            self._fill(page, _LABELS, cols, y, self._head)
            y += self._head + style.px(6)
        for row in range(*rows):
            self._fill(page, row, cols, y, self._heights[row])
            y += self._heights[row] + style.gap
        page.height = y - style.gap + style.margin

    def _fill(self, page: Page, row: int, cols: Band, top: int, height: int) -> None:
        """Adds one row of the table to a page: labels stand at its lower edge, images in its middle."""
        x = self.style.margin
        for col in range(*cols) if self._flows else (_LABELS, *range(*cols)):
            width = self._gutter if col == _LABELS else self._widths[col]
            if box := self._boxes.get((row, col)):
                spare = 0 if self._flows else height - box.height
                left, y = x + (width - box.width) // 2, top + (spare if row == _LABELS else spare // 2)
                page.spots.extend(spot._replace(x=left + spot.x, y=y + spot.y) for spot in box.spots)
                page.texts.extend(text._replace(x=left + text.x, y=y + text.y) for text in box.texts)
            elif not self._flows:
                page.empty.append((x, top, width, height))
            x += width + self.style.gap


def _only(block: Block) -> Box:
    return Box(block.room, block.height, texts=(Placed(block, 0, 0),))


def _short(label: str) -> str:
    return label if len(label) <= 24 else f"{label[:23]}…"
