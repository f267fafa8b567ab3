"""Measures a disk with temporary files: times of fsync and rename, locks, letter case, free space."""

import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import filelock

TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """fsync, rename: seconds, the median of a few tries. locks: whether a held lock can't be taken twice.

    folds_case: ``A`` and ``a`` are the same name. free: bytes. trouble: why nothing could be measured.
    """

    fsync: float = 0.0
    rename: float = 0.0
    locks: bool = True
    folds_case: bool = False
    free: int = 0
    trouble: str = ""


def measure(folder: Path) -> Disk:
    """Measure in a temporary folder below ``folder``, or below its nearest existing parent."""
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryDirectory(prefix=".batcher-doctor-", dir=folder) as made:
            return _measured(Path(made))
    except OSError as error:
        return Disk(trouble=f"{folder} can't be written: {error.strerror or error}")


def _measured(folder: Path) -> Disk:
    fsyncs, renames = [], []
    for number in range(TRIES):
        path = folder / f"a{number}"
        with path.open("wb") as file:
            file.write(b"x" * 4096)
            file.flush()
            began = time.monotonic()
            os.fsync(file.fileno())
            fsyncs.append(time.monotonic() - began)
        began = time.monotonic()
        path.rename(folder / f"b{number}")
        renames.append(time.monotonic() - began)
    return Disk(
        fsync=median(fsyncs),
        rename=median(renames),
        locks=_locks(folder / "lock"),
        folds_case=(folder / "B0").exists(),
        free=shutil.disk_usage(folder).free,
    )


def _locks(path: Path) -> bool:
    """Whether a second lock on a held file is refused."""
    with filelock.FileLock(path):
        try:
            with filelock.FileLock(path, timeout=0):
                return False
        except filelock.Timeout:
            return True
