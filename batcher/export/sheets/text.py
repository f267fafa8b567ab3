"""Lines of text in any script, as pixels.

A text is drawn in one font, the first that has its letters; Pillow's Raqm shapes each line and turns what runs from
right to left. Without Raqm the letters stand one by one in the order in which they are stored; a warning says so.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import ImageDraw, ImageFont, features

from batcher.core.one_line import one_line
from batcher.export.sheets.faces import Faces, script

LTR, RTL = "ltr", "rtl"
MORE = "…"
Colour = tuple[int, int, int]

_SHAPES = bool(features.check("raqm"))
_TO_BE_SHAPED = re.compile("[\u0590-\u109f\u1780-\u17ff]")
_INVISIBLE = re.compile("[\u00ad\u034f\u200b\u200e\u200f\u2060-\u2064\ufe00-\ufe0f\U000e0000-\U000e0fff]")
# Scripts that write without spaces may be broken anywhere but before a mark or closing punctuation.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
)
_WORD = re.compile(f"[{_UNSPACED}][^\\w\\s]*|[^\\s{_UNSPACED}]+-|[^\\s{_UNSPACED}]+|\\s+")


@dataclass(frozen=True, slots=True)
class Block:
    """Lines to be drawn. width: of the longest, in pixels. language: for fonts that draw ideographs by country."""

    lines: tuple[str, ...]
    font: Path
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
        font, shaping = _font(self.font, self.px), _shaping(self.direction, self.language)
        for number, line in enumerate(self.lines):
            spare = max(0.0, room - _width(line, self.font, self.px, self.direction, self.language)) if room else 0.0
            left = x + {"left": 0.0, "centre": spare / 2, "right": spare}[align]
            baseline = y + number * line_height(self.px) + round(1.05 * self.px)
            draw.text((round(left), baseline), line, fill, font, anchor="ls", **shaping)


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
        clean = _INVISIBLE.sub("", one_line(re.sub(r"\s+", " ", text), 4_000))
        font, missing = self._faces.of(clean)
        for char in missing:
            self.missing.setdefault(script(char), char)
        self.unshaped = self.unshaped or (not _SHAPES and _TO_BE_SHAPED.search(clean) is not None)
        base, language = direction or base_direction(clean), language_of(clean)

        def measured(line: str) -> float:
            return _width(line, font, px, base, language)

        set_lines = tuple(_set(clean, measured, width, lines))
        widest = max(map(measured, set_lines), default=0.0)
        return Block(set_lines, font, px, base, language, min(width, int(widest) + 1))


def _set(text: str, measured: Any, width: int, most: int) -> Iterator[str]:
    """Lines of whole words; a word that is longer than a line is cut."""
    words = [word for match in _WORD.finditer(text) for word in _cut(match[0], measured, width)]
    line, lines = "", 1
    for at, word in enumerate(words):
        if not line.strip() or measured((line + word).rstrip()) <= width:
            line = (line + word).lstrip()
        elif lines < most:
            yield line.rstrip()
            line = word.lstrip()
            lines += 1
        else:
            line = (line + "".join(words[at:]))[: len(line) + 200].rstrip()
            while line and measured(line + MORE) > width:
                line = line[:-1].rstrip()
            yield line + MORE
            return
    if line.strip():
        yield line.rstrip()


def _cut(word: str, measured: Any, width: int) -> Iterator[str]:
    """Pieces of a word that fit into a line; a mark stays with its letter."""
    while len(word) > 1 and measured(word) > width:
        low, high = 1, len(word) - 1
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if measured(word[:middle]) <= width else (low, middle - 1)
        while low > 1 and (unicodedata.category(word[low])[0] == "M" or "\u200d" in word[low - 1 : low + 1]):
            low -= 1
        yield word[:low]
        word = word[low:]
    yield word


def base_direction(text: str) -> str:
    """That of the first letter that has one."""
    strong = (unicodedata.bidirectional(char) for char in text)
    return next((RTL if kind in {"R", "AL"} else LTR for kind in strong if kind in {"R", "AL", "L"}), LTR)


def language_of(text: str) -> str | None:
    """Whose way of drawing ideographs is meant: kana tells Japanese, hangul Korean, ideographs alone Chinese."""
    if re.search("[\u3040-\u30ff]", text):
        return "ja"
    if re.search("[\u1100-\u11ff\uac00-\ud7af]", text):
        return "ko"
    return "zh-Hans" if re.search("[\u3400-\u9fff]", text) else None


def _shaping(direction: str, language: str | None) -> dict[str, Any]:
    if not _SHAPES:
        return {}
    return {"direction": direction, **({"language": language} if language else {})}


@lru_cache(maxsize=20_000)
def _width(line: str, path: Path, px: int, direction: str, language: str | None) -> float:
    return float(_font(path, px).getlength(line, **_shaping(direction, language)))


@lru_cache(maxsize=200)
def _font(path: Path, px: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.truetype(path, px)
    with suppress(OSError):  # most fonts have one weight
        font.set_variation_by_axes([_regular(axis) for axis in font.get_variation_axes()])
    return font


def _regular(axis: Mapping[str, Any]) -> float:
    return 400.0 if axis["name"] == b"Weight" else float(axis["default"] or 0)
