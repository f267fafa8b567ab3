"""Reading a run directory that may have been tampered with: nothing outside of it is ever opened.

The folder of images may itself be a link, to a bigger disk. Below it, a link that stays inside is read, one that leads
out is a finding. Only ordinary files are opened: a pipe would never answer.
"""

import hashlib
import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from batcher.store.files import inside

IMAGES = "images"
ASIDE = "lost+found"
EXTENSIONS = frozenset({  # of what is plainly ours: sidecars, temp files, media; a text may be somebody's notes
    "json", "part", "png", "jpg", "webp", "gif", "avif", "bmp", "tif", "heic", "jxl", "jp2", "psd", "exr", "hdr", "svg",
    "mp4", "mov", "webm", "mkv", "avi", "ogv", "m4a", "mp3", "aac", "wav", "ogg", "flac", "aiff", "mid", "glb", "fbx",
    "ply", "usdz", "3mf",
})  # fmt: skip
_AT_ONCE = 64 << 20  # bytes: larger files are mapped


class Absent(Exception):
    """There is no such file."""


class Outside(Exception):
    """The way there leads out of the folder of images."""


class NotAFile(Exception):
    """A folder, a pipe, a device."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Something on disk. file: relative to the run directory. outside: a link that leads out."""

    file: str
    outside: bool


class SafeReader:
    """May be used from many threads."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self._folders = inside.Folders(run_dir, run_dir / IMAGES)

    def path(self, file: str) -> Path:
        """Where a recorded file is. Raises Outside for a name that could lead elsewhere."""
        if not is_plain(file) or not self._folders.is_inside(file.rpartition("/")[0]):
            raise Outside
        return self.run_dir / file

    def regular(self, file: str) -> Path:
        """The same for a file that is there and an ordinary one. Raises Absent, Outside, NotAFile or OSError."""
        path = self.path(file)
        try:
            facts = path.lstat()
            if stat.S_ISLNK(facts.st_mode):
                if not self._is_inside(path):
                    raise Outside
                facts = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise Absent from None
        if not stat.S_ISREG(facts.st_mode):
            raise NotAFile
        return path

    @contextmanager
    def reading(self, file: str) -> Iterator[bytes | mmap.mmap]:
        """Its content. Raises Absent, Outside, NotAFile or OSError."""
        path = self.regular(file)
        with path.open("rb") as open_file:
            if os.fstat(open_file.fileno()).st_size <= _AT_ONCE:
                yield open_file.read()
            else:
                with mmap.mmap(open_file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    yield data

    def sha256(self, file: str) -> str | None:
        """Of its content, hex; None where that can't be read."""
        try:
            with self.reading(file) as data:
                return hashlib.sha256(data).hexdigest()
        except (Absent, Outside, NotAFile, OSError, ValueError):
            return None

    def walk(self) -> Iterator[list[Seen]]:
        """Every file below the folder of images whose name could be ours, a list for each folder."""
        waiting = [IMAGES]
        while waiting:
            folder = waiting.pop()
            entries: list[Seen] = []
            try:
                with os.scandir(self.run_dir / folder) as items:
                    for item in sorted(items, key=lambda one: one.name):
                        file = f"{folder}/{item.name}"
                        if item.is_symlink() and not self._is_inside(Path(item.path)):
                            entries.append(Seen(file, outside=True))
                        elif item.is_dir(follow_symlinks=False):
                            waiting.append(file)
                        elif extension(file) in EXTENSIONS and not item.is_dir():
                            entries.append(Seen(file, outside=False))
            except (FileNotFoundError, NotADirectoryError):
                continue
            yield entries

    def _is_inside(self, path: Path) -> bool:
        return inside.leads_inside(path, *self._folders.roots)


def is_plain(file: str) -> bool:
    """Whether a recorded name is one that batcher gives: below the folder of images, without a way back up."""
    return file.startswith(f"{IMAGES}/") and inside.is_plain(file)


def stem(file: str) -> str:
    """``images/a/b.png`` is ``images/a/b``; a temp file has none but itself."""
    return file.rpartition(".")[0]


def extension(file: str) -> str:
    return file.rpartition(".")[2].lower()


def sidecar_of(file: str) -> str:
    return f"{stem(file)}.json"
