"""One page as an image: the pictures, marks for those that are missing, and the words.

A few threads make the pictures small, a handful ahead of the one that is being placed, so that a page costs the memory
of itself and not of what is on it.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from PIL import Image, ImageDraw

from batcher.export.sheets.cell import Spot
from batcher.export.sheets.layout import Page, Style
from batcher.export.sheets.text import Colour, Writer, line_height
from batcher.images.storage import local
from batcher.images.thumbnail import Unreadable, on_white

GROUND: Colour = (247, 247, 248)
INK: Colour = (28, 30, 34)
DIM: Colour = (98, 102, 110)

_THREADS = min(4, os.cpu_count() or 1)
_AHEAD = 8 * _THREADS  # pictures that are made small before they are placed
_PALE: Colour = (236, 238, 241)
_SIGNS = {"failed": "✕", "unreadable": "✕", "no file": "✕", "in doubt": "?"}  # where the word has no room
_LOUD: dict[str, tuple[Colour, Colour]] = {  # ground and ink; the word says the same for those who see no colours
    "failed": ((253, 232, 230), (160, 30, 24)),
    "unreadable": ((253, 232, 230), (160, 30, 24)),
    "no file": ((253, 232, 230), (160, 30, 24)),
    "in doubt": ((254, 243, 214), (134, 84, 0)),
}


class Painter:
    """Draws pages. unreadable: pictures that were on record and could not be shown, so far."""

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
                at = spot.x + (spot.width - small.width) // 2, spot.y + (spot.height - small.height) // 2
                image.paste(small, at)
            else:
                self._mark(draw, replace(spot, tile=replace(spot.tile, word=small[0], why=small[1])), style)
            tick()
        for text in page.texts:
            text.block.draw(draw, text.x, text.y, DIM if text.dim else INK, room=text.room, align=text.align)
        return image

    def _thumbnails(self, spots: tuple[Spot, ...]) -> Iterator[tuple[Spot, Image.Image | tuple[str, str]]]:
        """In the order of the spots: an image, or the word for what is missing and the reason."""
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="grid") as pool:
            for start in range(0, len(spots), _AHEAD):
                some = spots[start : start + _AHEAD]
                yield from zip(some, pool.map(self._shown, some), strict=True)

    def _shown(self, spot: Spot) -> Image.Image | tuple[str, str]:
        tile = spot.tile
        if tile.file is None:
            return tile.word, tile.why
        try:
            return on_white(local(self._run_dir, tile.file), (spot.width, spot.height))
        except Unreadable as problem:
            self.unreadable += 1
            return "unreadable", str(problem)

    def _mark(self, draw: ImageDraw.ImageDraw, spot: Spot, style: Style) -> None:
        ground, ink = _LOUD.get(spot.tile.word, (_PALE, DIM))
        right, bottom = spot.x + spot.width - 1, spot.y + spot.height - 1
        radius = min(style.px(8), spot.width // 4, spot.height // 4)
        draw.rounded_rectangle((spot.x, spot.y, right, bottom), radius, ground, ink, style.px(1))
        room = spot.width - 2 * min(style.px(10), spot.width // 12)
        px = style.label if room >= style.px(90) else style.px(11)
        left = spot.x + (spot.width - room) // 2
        label = spot.tile.word
        if any(self._writer.block(part, px, width=10_000, lines=1).width > room for part in label.split()):
            label = _SIGNS.get(label, "…")
        word = self._writer.block(label, px, width=room, lines=2)
        lines = (spot.height - word.height - style.px(12)) // line_height(style.small)
        shown = min(lines, 5) if room >= style.px(90) else 0
        why = self._writer.block(spot.tile.why, style.small, width=room, lines=shown) if shown > 0 else None
        high = word.height + (why.height if why else 0)
        y = spot.y + (spot.height - high) // 2
        word.draw(draw, left, y, ink, room=room, align="centre")
        if why:
            why.draw(draw, left, y + word.height, ink, room=room, align="centre")
