"""Where everything on a page stands, in pixels. Nothing is drawn here and no file is opened.

Rows and columns are as wide as what is in them. A page stays within MAX_SIDE and MAX_PIXELS: what is more becomes
further pages, each with the labels again and all about equally full.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from batcher.export.sheets.cell import Cell, Spot, cell_of, fitted, side_of
from batcher.export.sheets.gather import Sheet
from batcher.export.sheets.text import LTR, Block, Writer, line_height

MAX_SIDE = 16_000
"""Pixels. WebP ends at 16,383, and so do the canvases of browsers."""
MAX_PIXELS = 32_000_000
"""Pillow warns of 89 million, batcher itself takes 64; decoded, this many are 96 MB."""

_LEAST_COLUMN = 64
_TITLE_LINES = 4


class Style:
    """Sizes in pixels that go with the size of the pictures. gutter: of the labels of rows, at most."""

    def __init__(self, size: int) -> None:
        self._scale = min(3.0, max(0.85, size / 256))
        self.title, self.label, self.small = self.px(22), self.px(16), self.px(13)
        self.gap, self.margin = self.px(12), self.px(24)
        self.least_width, self.gutter = self.px(560), self.px(240)

    def px(self, at_256: float) -> int:
        return max(1, round(at_256 * self._scale))


@dataclass(frozen=True, slots=True)
class Placed:
    block: Block
    x: int
    y: int
    room: int = 0
    align: str = ""
    dim: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    width: int
    height: int
    number: int
    pages: int
    texts: tuple[Placed, ...]
    spots: tuple[Spot, ...]
    empty: tuple[tuple[int, int, int, int], ...]  # x, y, width, height


Band = tuple[int, int]


def bands(sizes: Sequence[int], limit: int) -> list[Band]:
    """Cuts a row of sizes into the fewest parts of about equally many, each at most ``limit`` long (or one alone)."""
    count = len(sizes)
    for parts in range(1, count + 1):
        cuts = [round(part * count / parts) for part in range(parts + 1)]
        pairs = list(pairwise(cuts))
        if all(end - start == 1 or sum(sizes[start:end]) <= limit for start, end in pairs):
            return pairs
    return []


class Layout:
    """One sheet, laid out. Where its rows have no axis, the pictures flow in lines."""

    def __init__(self, sheet: Sheet, size: int, writer: Writer) -> None:
        self.sheet, self.axes, self.writer = sheet, sheet.axes, writer
        pictures = [tile for tiles in sheet.cells.values() for tile in tiles if tile.file]
        longest = max((max(fitted(tile, size)) for tile in pictures), default=size)
        self.style = Style(longest)
        side = side_of(max(map(len, sheet.cells.values())), size)
        self.cells = {place: cell_of(tiles, side, longest) for place, tiles in sheet.cells.items()}
        self.flows = self.axes[0] is None
        if self.flows:
            self._flow()
        self.rows, self.cols = (1 + max(place[side] for place in self.cells) for side in (0, 1))
        self.widths = self._sizes(1, self.cols, lambda cell: cell.width, _LEAST_COLUMN)
        self.heights = self._sizes(0, self.rows, self._high, line_height(self.style.label))
        self.gutter = self._gutter()

    def pages(self, subtitle: str) -> Iterator[Page]:
        """subtitle: stands below the title, followed by what part of the sheet a page is, where there are several."""
        style = self.style
        widest = min(MAX_SIDE, MAX_PIXELS // (self._above() + max(self.heights)))  # so that a row has room below it
        across = bands([width + style.gap for width in self.widths], widest - self.gutter - 2 * style.margin)
        cut = [(cols, rows) for cols in across for rows in self._down(cols)]
        cut.sort(key=lambda page: (page[1], page[0]))
        for number, (cols, rows) in enumerate(cut, 1):
            title = subtitle if len(cut) == 1 else f"{subtitle}  ·  {self._part(number, len(cut), rows, cols)}"
            yield replace(self._page(rows, cols, title), number=number, pages=len(cut))

    def _flow(self) -> None:
        """One row of cells becomes lines of them, with the labels beneath."""
        style, order = self.style, sorted(self.cells)
        slot = max(style.px(150), *(cell.width for cell in self.cells.values())) + style.gap
        high = max(cell.height for cell in self.cells.values()) + 3 * line_height(style.small) + style.gap
        fits = max(1, (min(MAX_SIDE, style.px(2_600)) - 2 * style.margin) // slot)
        across = min(fits, max(math.ceil(math.sqrt(1.3 * len(order) * high / slot)), min(len(order), 3)))
        flowing = {}
        for number, place in enumerate(order):
            cell = self.cells[place]
            caption = self.writer.block(self.sheet.cols[place[1]], style.small, width=slot - style.gap, lines=3)
            flowing[divmod(number, across)] = replace(cell, width=slot - style.gap, caption=caption, spots=tuple(
                replace(spot, x=spot.x + (slot - style.gap - cell.width) // 2) for spot in cell.spots
            ))  # fmt: skip
        self.cells = flowing

    def _high(self, cell: Cell) -> int:
        return cell.height + (cell.caption.height + self.style.px(4) if cell.caption else 0)

    def _sizes(self, side: int, count: int, of: Callable[[Cell], int], least: int) -> list[int]:
        sizes = [least] * count
        for place, cell in self.cells.items():
            sizes[place[side]] = max(sizes[place[side]], of(cell))
        return sizes

    def _gutter(self) -> int:
        if self.flows:
            return 0
        style = self.style
        blocks = [self.writer.block(label, style.label, width=style.gutter, lines=1) for label in self.sheet.rows]
        corner = max(self._corner(), key=lambda block: block.width)
        return max(corner.width, *(block.width for block in blocks)) + style.gap

    def _corner(self) -> list[Block]:
        rows, cols = self.axes
        words = [f"{cols} →", f"{rows} ↓"]
        return [self.writer.block(word, self.style.small, width=self.style.gutter, lines=1) for word in words]

    def _down(self, cols: Band) -> list[Band]:
        limit = min(MAX_SIDE, MAX_PIXELS // self._width(cols)) - self._above()
        return bands([height + self.style.gap for height in self.heights], limit)

    def _above(self) -> int:
        """What stands above and below the rows, at most."""
        return 3 * self.style.margin + (_TITLE_LINES + 4) * line_height(self.style.title)

    def _width(self, cols: Band) -> int:
        style = self.style
        inside = sum(self.widths[cols[0] : cols[1]]) + style.gap * (cols[1] - cols[0] - 1)
        return max(style.least_width, 2 * style.margin + self.gutter + inside)

    def _part(self, number: int, count: int, rows: Band, cols: Band) -> str:
        words = [f"page {number:,} of {count:,}"]
        if not self.flows:
            for name, (start, end), labels in (
                (self.axes[0], rows, self.sheet.rows),
                (self.axes[1], cols, self.sheet.cols),
            ):
                if end - start < len(labels):
                    words.append(f"{name} {_short(labels[start])} to {_short(labels[end - 1])}")
        return ", ".join(words)

    def _page(self, rows: Band, cols: Band, subtitle: str) -> Page:
        style, write = self.style, self.writer.block
        width = self._width(cols)
        inside = width - 2 * style.margin
        texts: list[Placed] = []
        y = style.margin
        if self.sheet.title:
            title = write(self.sheet.title, style.title, width=inside, lines=_TITLE_LINES)
            texts.append(Placed(title, style.margin, y, inside))
            y += title.height + style.px(2)
        below = write(subtitle, style.small, width=inside, lines=3, direction=LTR)
        texts.append(Placed(below, style.margin, y, dim=True))
        y += below.height + style.gap
        lefts = _starts(self.widths[cols[0] : cols[1]], style.margin + self.gutter, style.gap)
        if not self.flows:
            y = self._heads(cols, lefts, y, texts)
        tops = _starts(self.heights[rows[0] : rows[1]], y, style.gap)
        spots: list[Spot] = []
        empty: list[tuple[int, int, int, int]] = []
        for row, top in zip(range(*rows), tops, strict=True):
            if not self.flows:
                texts.append(self._side(row, top))
            for col, left in zip(range(*cols), lefts, strict=True):
                cell = self.cells.get((row, col))
                if cell is None:
                    if not self.flows:
                        empty.append((left, top, self.widths[col], self.heights[row]))
                    continue
                x = left + (self.widths[col] - cell.width) // 2
                high = self.heights[row] - (self._high(cell) - cell.height)
                y0 = top + (0 if self.flows else (high - cell.height) // 2)
                spots += [replace(spot, x=x + spot.x, y=y0 + spot.y) for spot in cell.spots]
                if cell.caption:
                    texts.append(Placed(cell.caption, x, y0 + cell.height + style.px(4), cell.width, "centre"))
        height = tops[-1] + self.heights[rows[1] - 1] + style.margin
        return Page(width, height, 1, 1, tuple(texts), tuple(spots), tuple(empty))

    def _heads(self, cols: Band, lefts: list[int], y: int, texts: list[Placed]) -> int:
        """The labels of the columns, standing on one line; returns where the pictures begin."""
        style = self.style
        heads = [
            self.writer.block(self.sheet.cols[col], style.label, width=self.widths[col], lines=3)
            for col in range(*cols)
        ]
        corner = self._corner()
        high = max(*(head.height for head in heads), sum(block.height for block in corner))
        for head, left, col in zip(heads, lefts, range(*cols), strict=True):
            texts.append(Placed(head, left, y + high - head.height, self.widths[col], "centre"))
        at = y + high - sum(block.height for block in corner)
        for block in corner:
            texts.append(Placed(block, style.margin, at, self.gutter - style.gap, "left", dim=True))
            at += block.height
        return y + high + style.px(6)

    def _side(self, row: int, top: int) -> Placed:
        style = self.style
        high = self.heights[row]
        lines = max(1, high // line_height(style.label))
        label = self.writer.block(self.sheet.rows[row], style.label, width=self.gutter - style.gap, lines=lines)
        return Placed(label, style.margin, top + (high - label.height) // 2, self.gutter - style.gap, "right")


def _starts(sizes: Sequence[int], first: int, gap: int) -> list[int]:
    starts = [first]
    for size in sizes[:-1]:
        starts.append(starts[-1] + size + gap)
    return starts


def _short(label: str) -> str:
    return label if len(label) <= 24 else f"{label[:23]}…"
