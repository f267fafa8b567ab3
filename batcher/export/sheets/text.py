"""Lines of text in any script, as pixels.

A font has some scripts, so a line is cut into *runs* of one font and one direction, which HarfBuzz shapes (through
Pillow's Raqm: joined Arabic, Devanagari's conjuncts, Thai's stacked marks). Runs are stored as they are read and drawn
as they are seen: in a line that runs from right to left they are turned round, and the ones from left to right inside
it turned back. What a character is in a line is in ``characters``.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

from PIL import ImageDraw, ImageFont, features

from batcher.core.one_line import one_line
from batcher.export.sheets.characters import (
    LTR,
    RTL,
    base_direction,
    directions_of,
    language_of,
    may_break,
    parts_of,
    script,
)
from batcher.export.sheets.faces import BUNDLED, Faces

MORE = "…"
Colour = tuple[int, int, int]

_SHAPES = bool(features.check("raqm"))
_INVISIBLE = re.compile("[\u00ad\u034f\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f\U000e0000-\U000e0fff]")
_TO_BE_SHAPED = re.compile("[\u0590-\u109f\u1780-\u17ff]")


@dataclass(frozen=True, slots=True)
class Cluster:
    """What may not be parted: a character with its marks. breaks: a line may end before it."""

    text: str
    font: Path
    direction: str
    breaks: bool


@dataclass(frozen=True, slots=True)
class Run:
    text: str
    font: Path
    direction: str


@dataclass(frozen=True, slots=True)
class Block:
    """Lines to be drawn. width: of the longest, in pixels. language: for fonts that draw ideographs by country."""

    lines: tuple[tuple[Run, ...], ...]
    px: int
    direction: str
    language: str | None
    width: int

    @property
    def height(self) -> int:
        return len(self.lines) * line_height(self.px)

    def draw(self, draw: ImageDraw.ImageDraw, x: int, y: int, fill: Colour, *, room: int = 0, align: str = "") -> None:
        """From its top left corner. room: a width to stand in. align: left, centre or right, else where it begins."""
        align = align or ("right" if self.direction == RTL else "left")
        for number, runs in enumerate(self.lines):
            widths = [_width(run, self.px, self.language) for run in runs]
            spare = max(0.0, room - sum(widths)) if room else 0.0
            at = x + {"left": 0.0, "centre": spare / 2, "right": spare}[align]
            baseline = y + number * line_height(self.px) + round(1.05 * self.px)
            for run, width in zip(runs, widths, strict=True):
                font = _font(run.font, self.px)
                draw.text((round(at), baseline), run.text, fill, font, anchor="ls", **_shaping(run, self.language))
                at += width


def line_height(px: int) -> int:
    return round(1.42 * px)


class Writer:
    """Sets text. missing: an example of each script that no font here has, by its name."""

    def __init__(self, faces: Faces) -> None:
        self._faces = faces
        self.missing: dict[str, str] = {}
        self.unshaped = False

    def block(self, text: str, px: int, *, width: int, lines: int, direction: str | None = None) -> Block:
        """At most so many lines of at most so many pixels; what does not fit ends in an ellipsis.

        direction: that of the lines, by default that of the first letter that has one.
        """
        clean = one_line(re.sub(r"\s+", " ", text), 4_000)
        base = direction or base_direction(clean)
        language = language_of(clean)
        set_ = list(_set(self._clusters(clean, base), px, language, width, lines, self._more(base)))
        runs = tuple(tuple(_seen(_runs(line), base)) for line in set_)
        widest = max((sum(_width(run, px, language) for run in line) for line in runs), default=0.0)
        return Block(runs, px, base, language, min(width, int(widest) + 1))

    def _more(self, base: str) -> Cluster:
        return Cluster(MORE, BUNDLED, base, breaks=False)

    def _clusters(self, text: str, base: str) -> list[Cluster]:
        parts = list(parts_of(text))
        directions = directions_of([part[0] for part in parts], base)
        clusters: list[Cluster] = []
        before = " "
        font = BUNDLED
        for part, direction in zip(parts, directions, strict=True):
            font = self._font_of(part[0], font)
            shown = "".join(char for char in part if self._faces.has(font, char)) or part[0]
            if _INVISIBLE.match(shown):
                continue
            clusters.append(Cluster(shown, font, direction, may_break(before, part[0])))
            before = part[0]
        self.unshaped = self.unshaped or (not _SHAPES and _TO_BE_SHAPED.search(text) is not None)
        return clusters

    def _font_of(self, char: str, current: Path) -> Path:
        """The font of the text around it for what belongs to no script, so that it is not cut up."""
        if unicodedata.category(char)[0] in "ZPN" and self._faces.has(current, char):
            return current
        font = self._faces.of(char)
        if font is None and not _INVISIBLE.match(char):
            self.missing.setdefault(script(char), char)
        return font or BUNDLED


def _set(
    clusters: list[Cluster], px: int, language: str | None, width: int, most: int, more: Cluster
) -> Iterator[list[Cluster]]:
    """Lines of whole words; a word that is longer than a line is cut."""

    def long(line: list[Cluster]) -> bool:
        return sum(_width(run, px, language) for run in _runs(line)) > width

    line: list[Cluster] = []
    lines = 1
    words = [piece for word in _words(clusters) for piece in (_cut(word, long) if long(_stripped(word)) else [word])]
    for word in words:
        if not line or not long(_stripped(line + word)):
            line += word
        elif lines < most:
            yield _stripped(line)
            line = list(word)
            lines += 1
        else:
            line += word
            while line and long([*_stripped(line), more]):
                line.pop()
            yield [*_stripped(line), more]
            return
    if line:
        yield _stripped(line)


def _words(clusters: list[Cluster]) -> Iterator[list[Cluster]]:
    word: list[Cluster] = []
    for cluster in clusters:
        if word and cluster.breaks:
            yield word
            word = []
        word.append(cluster)
    if word:
        yield word


def _cut(word: list[Cluster], long: Callable[[list[Cluster]], bool]) -> Iterator[list[Cluster]]:
    piece: list[Cluster] = []
    for cluster in word:
        if piece and long([*piece, cluster]):
            yield piece
            piece = []
        piece.append(cluster)
    yield piece


def _stripped(line: list[Cluster]) -> list[Cluster]:
    end = len(line)
    while end and line[end - 1].text == " ":
        end -= 1
    return line[:end]


def _runs(line: list[Cluster]) -> list[Run]:
    """In reading order."""
    groups = groupby(line, key=lambda cluster: (cluster.font, cluster.direction))
    return [Run("".join(cluster.text for cluster in group), *key) for key, group in groups]


def _seen(runs: list[Run], base: str) -> list[Run]:
    """From left to right."""
    ordered = runs if base == LTR else runs[::-1]
    seen: list[Run] = []
    for direction, group in groupby(ordered, key=lambda run: run.direction):
        together = list(group)
        seen += together if direction == base else together[::-1]
    return seen


def _shaping(run: Run, language: str | None) -> dict[str, Any]:
    if not _SHAPES:
        return {}
    return {"direction": run.direction, **({"language": language} if language else {})}


@lru_cache(maxsize=20_000)
def _width(run: Run, px: int, language: str | None) -> float:
    return float(_font(run.font, px).getlength(run.text, **_shaping(run, language)))


@lru_cache(maxsize=200)
def _font(path: Path, px: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.truetype(path, px)
    with suppress(OSError):  # most fonts have one weight
        font.set_variation_by_axes([_regular(axis) for axis in font.get_variation_axes()])
    return font


def _regular(axis: Mapping[str, Any]) -> float:
    return 400.0 if axis["name"] == b"Weight" else float(axis["default"] or 0)
