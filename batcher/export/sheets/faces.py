"""Which font has a character: the bundled one, those installed for Python, those of the system, in this order.

DejaVu Sans comes with batcher (0.7 MB): Latin, Greek, Cyrillic, Arabic, Hebrew, Armenian, Georgian and a few emoji, the
same on every machine. Ideographs alone weigh 20 MB, so they and other scripts come from packages (the extra ``grid``)
or from the system's folders, and what nobody has is remembered, to be options.
"""

import os
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

from PIL import ImageFont

from batcher.export.sheets.coverage import Coverage, coverage

BUNDLED = Path(__file__).parent / "fonts" / "DejaVuSans.ttf"
_PACKAGES = ("noto-cjk-", "fontpkg-", "justmytype-")  # on PyPI: nothing but font files under free licences
_KINDS = {".ttf", ".otf", ".ttc"}
_MOST_FILES = 5_000
_PLAIN_LAST = ("bold", "italic", "oblique", "black", "light", "thin", "condensed", "mono", "serif", "kufi", "rashi")


class Faces:
    """extras: font files beside the bundled one, best first; by default those of this machine, found when needed."""

    def __init__(self, extras: tuple[Path, ...] | None = None) -> None:
        self._extras = extras
        self._known: dict[str, Path | None] = {}

    def of(self, char: str) -> Path | None:
        """The best font file that can draw this character, None when there is none."""
        if char not in self._known:
            has = (path for path in self._candidates() if char in _coverage(path) and _opens(path))
            self._known[char] = next(has, None)
        return self._known[char]

    def has(self, path: Path, char: str) -> bool:
        return char in _coverage(path)

    def _candidates(self) -> Iterator[Path]:
        yield BUNDLED
        yield from machine() if self._extras is None else self._extras


@cache
def _coverage(path: Path) -> Coverage:
    return coverage(path)


@cache
def _opens(path: Path) -> bool:
    try:
        ImageFont.truetype(path, 20)
    except OSError:
        return False
    return True


@cache
def machine() -> tuple[Path, ...]:
    """Font files on this machine: those of packages before those of the system, plain ones first."""
    return (*_ranked(_packaged()), *_ranked(_of_the_system()))


def _packaged() -> Iterator[Path]:
    for package in distributions():
        if (package.name or "").lower().replace("_", "-").startswith(_PACKAGES):
            for file in package.files or ():
                if file.suffix.lower() in _KINDS:
                    yield Path(str(package.locate_file(file)))


def _of_the_system() -> Iterator[Path]:
    left = _MOST_FILES
    for folder in folders():
        for place, below, names in os.walk(folder):
            below.sort()
            for name in sorted(names):
                if os.path.splitext(name)[1].lower() in _KINDS:  # noqa: PTH122  a name, not a path
                    yield Path(place, name)
                    left -= 1
                    if left == 0:
                        return


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


def _ranked(paths: Iterator[Path]) -> list[Path]:
    def rank(path: Path) -> tuple[int, bool, str, str]:
        name = path.name.lower()
        return sum(word in name for word in _PLAIN_LAST), not name.startswith("noto"), name, str(path)

    return sorted(paths, key=rank)
