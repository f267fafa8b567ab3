"""Lines of text in any script, as pixels.

A text is drawn in one font, the first that has all its letters. Pillow's Raqm joins the letters and orders lines that
run from right to left. Without Raqm the letters stand one by one, in stored order; a warning says so.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from PIL import ImageDraw, ImageFont, features

from batcher.core.one_line import one_line
from batcher.export.sheets.faces import Faces, script

LTR, RTL = "ltr", "rtl"
MORE = "…"
Colour = tuple[int, int, int]

_SHAPES = bool(features.check("raqm"))
_TO_BE_SHAPED = re.compile("[\u0590-\u109f\u1780-\u17ff]")
_INVISIBLE = re.compile("[\u00ad\u034f\u200b\u200e\u200f\u2060-\u2064\ufe00-\ufe0f\U000e0000-\U000e0fff]")
# Scripts that are written without spaces: a line may end anywhere but before a mark or closing punctuation.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff"
)
_WORD = re.compile(f"[{_UNSPACED}][^\\w\\s]*|[^\\s{_UNSPACED}]+-|[^\\s{_UNSPACED}]+|\\s+")
# Fonts draw ideographs by country: a text with kana is Japanese, with hangul Korean, with ideographs alone Chinese.
_LANGUAGES = {
    "ja": re.compile("[\u3040-\u30ff]"), "ko": re.compile("[\u1100-\u11ff\uac00-\ud7af]"),
    "zh-Hans": re.compile("[\u3400-\u9fff]"),
}  # fmt: skip


class Type(NamedTuple):
    """How a text is set. px: size of the font in pixels. direction: ltr or rtl. language: a tag, None if the letters do
    not say.
    """

    font: Path
    px: int
    direction: str
    language: str | None

    @property
    def shaping(self) -> dict[str, Any]:
        """Arguments for Pillow."""
        if not _SHAPES:
            return {}
        return {"direction": self.direction, **({"language": self.language} if self.language else {})}


@dataclass(frozen=True, slots=True)
class Block:
    """Lines to be drawn. lines: their texts. type: how they are set. width: of the longest line. room: in which they
    are aligned, at least that wide; in pixels.

    align: left, centre or right.
    """

    lines: tuple[str, ...]
    type: Type
    width: int
    room: int
    align: str

    @property
    def height(self) -> int:
        return len(self.lines) * line_height(self.type.px)

    def draw(self, draw: ImageDraw.ImageDraw, x: int, y: int, fill: Colour) -> None:
        """Draws it with its top left corner at x, y."""
        share = {"left": 0.0, "centre": 0.5, "right": 1.0}[self.align]
        for number, line in enumerate(self.lines):
            left = x + share * max(0.0, self.room - _width(line, self.type))
            baseline = y + number * line_height(self.type.px) + round(1.05 * self.type.px)
            font = _font(self.type.font, self.type.px)
            draw.text((round(left), baseline), line, fill, font, anchor="ls", **self.type.shaping)


def line_height(px: int) -> int:
    """Pixels from one baseline to the next, for a font of ``px`` pixels."""
    return round(1.42 * px)


class Writer:
    """Sets texts. faces: the fonts. missing: by the name of each script that no font here has, a letter of it.
    unshaped: whether a text needed Raqm, which is not there.
    """

    def __init__(self, faces: Faces) -> None:
        self._faces = faces
        self.missing: dict[str, str] = {}
        self.unshaped = False

    def block(
        self, text: str, px: int, *, width: int, lines: int, align: str = "", direction: str | None = None
    ) -> Block:
        """At most ``lines`` lines of at most ``width`` pixels. A text that does not fit ends in an ellipsis.

        direction: by default that of the first letter that has one. align: by default where lines begin.
        """
        clean = _INVISIBLE.sub("", one_line(re.sub(r"\s+", " ", text), 4_000))
        font, missing = self._faces.of(clean)
        for char in missing:
            self.missing.setdefault(script(char), char)
        self.unshaped = self.unshaped or (not _SHAPES and _TO_BE_SHAPED.search(clean) is not None)
        language = next((name for name, letters in _LANGUAGES.items() if letters.search(clean)), None)
        kind = Type(font, px, direction or base_direction(clean), language)
        set_lines = tuple(_set(clean, lambda line: _width(line, kind), width, lines))
        widest = max((_width(line, kind) for line in set_lines), default=0.0)
        align = align or ("right" if kind.direction == RTL else "left")
        return Block(set_lines, kind, min(width, int(widest) + 1), width, align)


def _set(text: str, measure: Callable[[str], float], width: int, most: int) -> Iterator[str]:
    """Lines of whole words; a word that is longer than a line is cut."""
    words = [word for match in _WORD.finditer(text) for word in _cut(match[0], measure, width)]
    line, lines = "", 1
    for at, word in enumerate(words):
        if not line.strip() or measure((line + word).rstrip()) <= width:
            line = (line + word).lstrip()
        elif lines < most:
            yield line.rstrip()
            line = word.lstrip()
            lines += 1
        else:
            line = (line + "".join(words[at:]))[: len(line) + 200].rstrip()
            while line and measure(line + MORE) > width:
                line = line[:-1].rstrip()
            yield line + MORE
            return
    if line.strip():
        yield line.rstrip()


def _cut(word: str, measure: Callable[[str], float], width: int) -> Iterator[str]:
    """Pieces of a word that fit into a line; a mark stays with its letter."""
    while len(word) > 1 and measure(word) > width:
        widths = (measure(word[:end]) for end in range(1, len(word)))
        end = max(1, sum(1 for _ in takewhile(lambda wide: wide <= width, widths)))
        while end > 1 and (unicodedata.category(word[end])[0] == "M" or "\u200d" in word[end - 1 : end + 1]):
            end -= 1
        yield word[:end]
        word = word[end:]
    yield word


def base_direction(text: str) -> str:
    """That of the first letter that has one."""
    kinds = (unicodedata.bidirectional(char) for char in text)
    return next((LTR if kind == "L" else RTL for kind in kinds if kind in {"R", "AL", "L"}), LTR)


@lru_cache(maxsize=20_000)
def _width(line: str, kind: Type) -> float:
    return float(_font(kind.font, kind.px).getlength(line, **kind.shaping))


@lru_cache(maxsize=200)
def _font(path: Path, px: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.truetype(path, px)
    with suppress(OSError):  # most fonts have one weight
        font.set_variation_by_axes([_regular(axis) for axis in font.get_variation_axes()])
    return font


def _regular(axis: Mapping[str, Any]) -> float:
    return 400.0 if axis["name"] == b"Weight" else float(axis["default"] or 0)
