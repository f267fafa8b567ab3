"""Reads a run directory that may have been tampered with: no file outside of it is ever opened.

The folder of images may itself be a link (to a bigger disk). Below it, links that stay inside are followed, and links
that lead out are reported. Only ordinary files are opened, because a pipe would block.
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
LOST_AND_FOUND = "lost+found"
EXTENSIONS = frozenset({  # of files that batcher writes: sidecars, temp files, media; a text file may be a person's
    "json", "part", "png", "jpg", "webp", "gif", "avif", "bmp", "tif", "heic", "jxl", "jp2", "psd", "exr", "hdr", "svg",
    "mp4", "mov", "webm", "mkv", "avi", "ogv", "m4a", "mp3", "aac", "wav", "ogg", "flac", "aiff", "mid", "glb", "fbx",
    "ply", "usdz", "3mf",
})  # fmt: skip
_AT_ONCE = 64 << 20  # bytes: larger files are mapped


class Absent(Exception):
    """There is no such file."""


class Outside(Exception):
    """The path leads out of the folder of images."""


class NotAFile(Exception):
    """It is a folder, a pipe or a device."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A file on disk. file: relative to the run directory. outside: whether it is a link that leads out."""

    file: str
    outside: bool


class SafeReader:
    """Reads files of one run directory by their recorded names. May be used from many threads.

    run_dir: what the names are relative to.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self._folders = inside.Folders(run_dir, run_dir / IMAGES)

    def path(self, file: str) -> Path:
        """The path of a recorded file. Raises Outside."""
        if not is_plain(file) or not self._folders.is_inside(file.rpartition("/")[0]):
            raise Outside
        return self.run_dir / file

    def regular(self, file: str) -> Path:
        """The path of a recorded file, if it is an ordinary file. Raises Absent, Outside, NotAFile or OSError."""
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
        """The content of a recorded file, for the block. Raises Absent, Outside, NotAFile or OSError."""
        path = self.regular(file)
        with path.open("rb") as open_file:
            if os.fstat(open_file.fileno()).st_size <= _AT_ONCE:
                yield open_file.read()
            else:
                with mmap.mmap(open_file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    yield data

    def sha256(self, file: str) -> str | None:
        """The SHA-256 of a recorded file in hex; None if it can't be read."""
        try:
            with self.reading(file) as data:
                return hashlib.sha256(data).hexdigest()
        except (Absent, Outside, NotAFile, OSError, ValueError):
            return None

    def walk(self) -> Iterator[list[Seen]]:
        """Files below the folder of images with one of EXTENSIONS, and links that lead out; a list for each folder."""
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
    """Whether a recorded name is below the folder of images."""
    return file.startswith(f"{IMAGES}/") and inside.is_plain(file)


def stem(file: str) -> str:
    """The name without extension: ``images/a/b`` for ``images/a/b.png``."""
    return file.rpartition(".")[0]


def extension(file: str) -> str:
    """The extension in lower case, without the dot."""
    return file.rpartition(".")[2].lower()


def sidecar_of(file: str) -> str:
    """The recorded name of the sidecar beside a file."""
    return f"{stem(file)}.json"
