"""Draws one page: the images, marks for missing ones, and the texts.

A few threads scale the images down, some of them ahead of the one that is placed, so that a page takes the memory of
its own pixels and not of all its images.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, ImageDraw

from batcher.core.batched import batched
from batcher.export.sheets.table import Page, Spot, Style
from batcher.export.sheets.text import Colour, Writer, line_height
from batcher.images.storage import local
from batcher.images.thumbnail import Unreadable, on_white

GROUND: Colour = (247, 247, 248)
INK: Colour = (28, 30, 34)
DIM: Colour = (98, 102, 110)

_THREADS = min(4, os.cpu_count() or 1)
_AHEAD = 8 * _THREADS  # images that are scaled down before they are placed
_PALE = (236, 238, 241), DIM  # ground and ink of a mark
_RED: tuple[Colour, Colour] = (253, 232, 230), (160, 30, 24)
_LOUD = {"failed": _RED, "unreadable": _RED, "no file": _RED, "in doubt": ((254, 243, 214), (134, 84, 0))}
_SIGNS = {"failed": "✕", "unreadable": "✕", "no file": "✕", "in doubt": "?"}  # where the word has no room


class Painter:
    """Draws the pages of a run. unreadable: number of recorded images that could not be shown so far.

    run_dir: of the images. writer: sets the texts.
    """

    def __init__(self, run_dir: Path, writer: Writer) -> None:
        self._run_dir, self._writer = run_dir, writer
        self.unreadable = 0

    def paint(self, page: Page, style: Style, tick: Callable[[], None]) -> Image.Image:
        """tick: called once for each tile."""
        image = Image.new("RGB", (page.width, page.height), GROUND)
        draw = ImageDraw.Draw(image)
        for x, y, width, height in page.empty:
            middle_x, middle_y, half = x + width // 2, y + height // 2, style.px(8)
            draw.line((middle_x - half, middle_y, middle_x + half, middle_y), fill=DIM, width=style.px(1))
        for spot, small in self._thumbnails(page.spots):
            if isinstance(small, Image.Image):
                image.paste(
                    small, (spot.x + (spot.width - small.width) // 2, spot.y + (spot.height - small.height) // 2)
                )
            else:
                self._mark(draw, spot, *small, style)
            tick()
        for text in page.texts:
            text.block.draw(draw, text.x, text.y, DIM if text.dim else INK)
        return image

    def _thumbnails(self, spots: Sequence[Spot]) -> Iterator[tuple[Spot, Image.Image | tuple[str, str]]]:
        """In the order of the spots: the image, or the word of its mark and the reason."""
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="grid") as pool:
            for some in batched(spots, _AHEAD):
                yield from zip(some, pool.map(self._thumbnail, some), strict=True)

    def _thumbnail(self, spot: Spot) -> Image.Image | tuple[str, str]:
        tile = spot.tile
        if tile.file is None:
            return tile.word, tile.why
        try:
            return on_white(local(self._run_dir, tile.file), (spot.width, spot.height))
        except Unreadable as problem:
            self.unreadable += 1
            return "unreadable", str(problem)

    def _mark(self, draw: ImageDraw.ImageDraw, spot: Spot, label: str, why: str, style: Style) -> None:
        ground, ink = _LOUD.get(label, _PALE)
        corners = spot.x, spot.y, spot.x + spot.width - 1, spot.y + spot.height - 1
        radius = min(style.px(8), spot.width // 4, spot.height // 4)
        draw.rounded_rectangle(corners, radius, ground, ink, style.px(1))
        room = spot.width - 2 * min(style.px(10), spot.width // 12)
        is_roomy = room >= style.px(90)
        px = style.label if is_roomy else style.px(11)
        write = self._writer.block
        if any(write(part, px, width=10_000, lines=1).width > room for part in label.split()):
            label = _SIGNS.get(label, "…")
        blocks = [write(label, px, width=room, lines=2, align="centre")]
        lines = (spot.height - blocks[0].height - style.px(12)) // line_height(style.small)
        if is_roomy and lines > 0:
            blocks.append(write(why, style.small, width=room, lines=min(lines, 5), align="centre"))
        y = spot.y + (spot.height - sum(block.height for block in blocks)) // 2
        for block in blocks:
            block.draw(draw, spot.x + (spot.width - room) // 2, y, ink)
            y += block.height
