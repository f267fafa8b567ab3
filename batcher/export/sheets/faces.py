"""Finds a font that has the letters of a text: the bundled one, those of installed packages, those of the system.

DejaVu Sans comes with batcher (0.7 MB): Latin, Greek, Cyrillic, Arabic, Hebrew, Armenian, Georgian and a few emoji, the
same on every machine. A font with ideographs is 20 MB, so fonts for these and other scripts come from packages (the
extra ``grid``) or from the system's folders. Letters that no font has get a warning.
"""

import os
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.metadata import distributions
from itertools import chain, islice
from pathlib import Path

from PIL import ImageFont

BUNDLED = Path(__file__).parent / "fonts" / "DejaVuSans.ttf"
_PACKAGES = ("noto-cjk-", "fontpkg-", "justmytype-")  # on PyPI: nothing but font files under free licences
_KINDS = (".ttf", ".otf", ".ttc")
_MOST_FILES = 2_000
_MOST_LETTERS = 60  # different letters of a text that a font is checked for
_NO_CHARACTER = "\U0010ffff"  # no font has it, so its image is that of every missing letter
_PLAIN_LAST = ("bold", "italic", "oblique", "black", "light", "thin", "condensed", "mono", "serif", "kufi", "rashi")


class Faces:
    """extras: font files beside the bundled one, best first; by default those of this machine."""

    def __init__(self, extras: tuple[Path, ...] | None = None) -> None:
        self._extras = extras
        self._best: dict[str, tuple[Path, str]] = {}

    def of(self, text: str) -> tuple[Path, str]:
        """The first font that has all letters of a text, else the one that lacks the fewest; and those it lacks."""
        if text.isascii():
            return BUNDLED, ""
        seen = "".join(dict.fromkeys(char for char in text if unicodedata.category(char)[0] not in "ZC"))
        letters = seen[:_MOST_LETTERS]
        if letters not in self._best:
            best, lacks = BUNDLED, letters
            for path in chain([BUNDLED], machine() if self._extras is None else self._extras):
                missing = "".join(char for char in letters if not _has(path, char))
                if len(missing) < len(lacks):
                    best, lacks = path, missing
                if not missing:
                    break
            self._best[letters] = best, lacks
        return self._best[letters]


def script(char: str) -> str:
    """The name of the script that a letter belongs to: ``Devanagari``, ``CJK``, ``emoji``."""
    if ord(char) >= 0x1F000 and unicodedata.category(char) in {"So", "Sk"}:
        return "emoji"
    word = unicodedata.name(char, f"U+{ord(char):04X}").split()[0]
    return word if word == "CJK" or word.startswith("U+") else word.title()


@lru_cache(maxsize=100_000)
def _has(path: Path, char: str) -> bool:
    """Whether a font has a letter. For one that it lacks it draws a box, or nothing."""
    return _drawn(path, char) not in {None, _drawn(path, _NO_CHARACTER)}


@lru_cache(maxsize=4_000)
def _drawn(path: Path, char: str) -> tuple[tuple[int, int], bytes] | None:
    """Size and pixels of a letter; None where the font can't draw."""
    try:
        mask = _opened(path).getmask(char)
        return mask.size, bytes(mask)
    except (OSError, ValueError):
        return None


@cache
def _opened(path: Path) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, 20, layout_engine=ImageFont.Layout.BASIC)


@cache
def machine() -> tuple[Path, ...]:
    """Font files on this machine: those of packages before those of the system, plain ones first."""
    return (*sorted(_packaged(), key=_rank), *sorted(_of_the_system(), key=_rank))


def _packaged() -> Iterator[Path]:
    for package in distributions():
        if (package.name or "").lower().replace("_", "-").startswith(_PACKAGES):
            for file in package.files or ():
                if file.suffix.lower() in _KINDS:
                    yield Path(str(package.locate_file(file)))


def _of_the_system() -> Iterator[Path]:
    files = chain.from_iterable(os.walk(folder) for folder in folders())
    fonts = (Path(place, name) for place, _, names in files for name in names if name.lower().endswith(_KINDS))
    return islice(fonts, _MOST_FILES)


def folders() -> list[Path]:
    """Where fonts are installed, the user's own first."""
    home = Path.home()
    if sys.platform == "darwin":
        return [home / "Library/Fonts", Path("/Library/Fonts"), Path("/System/Library/Fonts")]
    if sys.platform == "win32":
        local, windows = os.environ.get("LOCALAPPDATA", home), os.environ.get("WINDIR", r"C:\Windows")
        return [Path(local, "Microsoft", "Windows", "Fonts"), Path(windows, "Fonts")]
    shared = (os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")
    own = os.environ.get("XDG_DATA_HOME") or home / ".local/share"
    return [Path(own, "fonts"), home / ".fonts", *(Path(place, "fonts") for place in shared if place)]


def _rank(path: Path) -> tuple[int, bool, str, str]:
    name = path.name.lower()
    return sum(word in name for word in _PLAIN_LAST), not name.startswith("noto"), name, str(path)
