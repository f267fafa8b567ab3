"""``RUN/pruned``: files of finished jobs that left the manifest, moved out of the way and never deleted.

The state file is not told. A job that is done and not listed may have each of its files in either place, so a prune
that is killed has left nothing half done, and its row (with its name, its request id and what it cost) stays. A job
that comes back to the manifest has its files brought home *before* its row is listed again: whoever meets a listed row
finds them where they belong, and nothing is submitted for it.
"""

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection

from batcher.core.errors import DiskError
from batcher.store import auditing
from batcher.store.files.disk import disk, force_folder, temp_beside
from batcher.store.files.safe_reader import IMAGES, PRUNED, place_of

__all__ = ["IMAGES", "PRUNED", "Moved", "bring_all_back", "bring_back", "is_there", "place_of", "prune"]

Tell = Callable[[int], None]


@dataclass(slots=True)
class Moved:
    """files: images and sidecars, bytes in all; jobs: of which at least one was moved. left: what was no file."""

    jobs: int = 0
    files: int = 0
    bytes: int = 0
    left: int = 0


def is_there(run_dir: Path) -> bool:
    """Whether anything was ever pruned."""
    return (run_dir / PRUNED).is_dir()


def prune(run_dir: Path, connection: Connection, tell: Tell, *, dry_run: bool = False) -> Moved:
    """Moves aside what the manifest has no more. Hold the run lock, but for a dry run. Raises DiskError."""
    mover = _Mover(run_dir, dry_run=dry_run)
    for _, artifacts in auditing.finished(connection, auditing.removed(connection)):
        mover.job([(file, place_of(file)) for artifact in artifacts for file in _pair(artifact.file)])
        tell(mover.moved.jobs)
    mover.settle()
    return mover.moved


def bring_back(run_dir: Path, connection: Connection, ids: Iterable[int] | None) -> int:
    """Brings the files of these jobs home, of all listed ones for None; how many jobs had any. Hold the run lock."""
    if not is_there(run_dir):
        return 0
    mover = _Mover(run_dir)
    for _, artifacts in auditing.finished(connection, auditing.listed(connection) if ids is None else ids):
        mover.job([(place_of(file), file) for artifact in artifacts for file in _pair(artifact.file)], over=False)
    mover.settle()
    return mover.moved.jobs


def bring_all_back(run_dir: Path) -> None:
    """Whatever lies there: for when no state file says whose it is. Hold the run lock."""
    mover = _Mover(run_dir)
    for folder, _, names in os.walk(run_dir / PRUNED):
        below = Path(folder).relative_to(run_dir / PRUNED).as_posix()
        for name in names:
            file = f"{IMAGES}/{name}" if below == "." else f"{IMAGES}/{below}/{name}"
            mover.job([(place_of(file), file)], over=False)
    mover.settle()


def _pair(file: str) -> tuple[str, str]:
    return file, f"{file.rpartition('.')[0]}.json"


class _Mover:
    """Renames now, forces the folders at the end: until then a power cut may leave a file in either place.

    Paths are text, and what is known of a folder is kept: path objects and ``realpath`` cost more than the rename.
    """

    def __init__(self, run_dir: Path, *, dry_run: bool = False) -> None:
        self._run_dir = run_dir
        self._root = str(run_dir)
        self._dry_run = dry_run
        self._inside: dict[str, bool] = {}
        self._touched: set[str] = set()
        self.moved = Moved()

    def job(self, pairs: Iterable[tuple[str, str]], *, over: bool = True) -> None:
        """over: what is in the way makes room; else it stays, and the file stays too."""
        sizes = [size for source, target in pairs if (size := self._file(source, target, over=over)) is not None]
        self.moved.jobs += bool(sizes)
        self.moved.files += len(sizes)
        self.moved.bytes += sum(sizes)

    def settle(self) -> None:
        for name in sorted(self._touched, reverse=True):
            folder = self._run_dir / name
            with disk(folder.name):
                if folder.is_dir():
                    force_folder(folder)
            self._remove_if_empty(folder)

    def _file(self, source: str, target: str, *, over: bool) -> int | None:
        """Its size if it was moved."""
        if not _is_plain(source) or not _is_plain(target):
            return None
        path, goal = f"{self._root}/{source}", f"{self._root}/{target}"
        with disk(source):
            try:
                facts = os.lstat(path)
            except (FileNotFoundError, NotADirectoryError):
                return None
            if not stat.S_ISREG(facts.st_mode) or not self._is_inside(_folder_of(source)):
                self.moved.left += 1
                return None
            if not over and os.path.lexists(goal):
                return None
            if not self._dry_run:
                self._make_room(target, goal)
                self._move(path, goal)
                self._touched |= {_folder_of(source), _folder_of(target)}
        return facts.st_size

    def _make_room(self, target: str, goal: str) -> None:
        folder = _folder_of(target)
        if folder not in self._touched:
            os.makedirs(f"{self._root}/{folder}", exist_ok=True)  # noqa: PTH103
            self._inside.pop(folder, None)
        if not self._is_inside(folder):
            raise DiskError(f"{folder} is a link that leads elsewhere", hint="Remove it. Nothing was moved through it.")
        if os.path.lexists(goal):
            os.replace(goal, _free(Path(goal)))  # noqa: PTH105  one spelling for all renames

    @staticmethod
    def _move(path: str, goal: str) -> None:
        try:
            os.replace(path, goal)  # noqa: PTH105
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _carry(Path(path), Path(goal))

    def _is_inside(self, folder: str) -> bool:
        """The two folders may be links, to a bigger disk; nothing below them may lead out."""
        known = self._inside.get(folder)
        if known is None:
            root = os.path.realpath(f"{self._root}/{folder.partition('/')[0]}")
            real = os.path.realpath(f"{self._root}/{folder}")
            known = self._inside[folder] = real == root or real.startswith(root + os.sep)
        return known

    def _remove_if_empty(self, folder: Path) -> None:
        with suppress(OSError):  # not empty
            while folder.parent != self._run_dir:
                folder.rmdir()
                folder = folder.parent
        if folder.name == PRUNED:
            with suppress(OSError):
                folder.rmdir()


def _folder_of(file: str) -> str:
    return file.rpartition("/")[0]


def _is_plain(file: str) -> bool:
    parts = file.split("/")
    return parts[0] in {IMAGES, PRUNED} and len(parts) > 1 and not {"", ".", ".."} & set(parts) and "\0" not in file


def _carry(path: Path, goal: Path) -> None:
    """To another disk: there whole, before it goes here."""
    temp = temp_beside(goal)
    shutil.copy2(path, temp)
    with temp.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(temp, goal)  # noqa: PTH105
    force_folder(goal.parent)
    path.unlink()


def _free(path: Path) -> Path:
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.stem}.{number}{path.suffix}")
    return free
