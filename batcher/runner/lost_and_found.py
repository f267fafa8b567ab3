"""Moves files that are in the way to ``lost+found``; a file that may have been paid for is never deleted."""

import os
import shutil
from pathlib import Path

from batcher.core.errors import DiskError
from batcher.images.storage import bucket, url_of
from batcher.store.files.disk import disk, force_folder
from batcher.store.files.safe_reader import IMAGES, LOST_AND_FOUND


def move_to_lost_and_found(run_dir: Path, file: str) -> str | None:
    """Move ``file`` (a link as a link) and return its new path; None if there is none. Raises DiskError."""
    url = url_of(run_dir) if file.startswith(f"{IMAGES}/") else None
    if url is not None:
        return bucket(run_dir, url).move_to_lost_and_found(file)
    source = run_dir / file
    with disk(file):
        if not os.path.lexists(source):
            return None
        target = _free_name(_folder(run_dir, file) / source.name)
        shutil.move(source, target)
        force_folder(source.parent)
        force_folder(target.parent)
    return target.relative_to(run_dir).as_posix()


def _folder(run_dir: Path, file: str) -> Path:
    """The same folders below lost+found. None of them is a link."""
    folder = run_dir / LOST_AND_FOUND
    for part in (None, *file.removeprefix(f"{IMAGES}/").split("/")[:-1]):
        folder = folder if part is None else folder / part
        if folder.is_symlink():
            raise DiskError(
                f"{folder.relative_to(run_dir).as_posix()} is a link", hint="Remove it. Nothing was moved through it."
            )
        folder.mkdir(exist_ok=True)
    return folder


def _free_name(path: Path) -> Path:
    number = 1
    free = path
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.stem}.{number}{path.suffix}")
    return free
