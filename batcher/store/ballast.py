"""Disk space reserved for a disk that fills up while answers are on their way.

The request ids in those answers are paid for. If the state file can't grow, the ballast is deleted to make room.
"""

import os
from pathlib import Path

from batcher.core.errors import DiskError

NAME = ".ballast"
SIZE = 1024 * 1024  # bytes: a commit of some hundred request ids takes a few dozen kilobytes


class Ballast:
    """A file in the run directory ``run_dir`` that exists while a run goes."""

    def __init__(self, run_dir: Path) -> None:
        self.path = run_dir / NAME

    def lay(self) -> None:
        """Create the file. Raises DiskError if there is not enough room."""
        try:
            self.path.unlink(missing_ok=True)
            with self.path.open("xb") as file:  # never through a link
                file.write(os.urandom(SIZE))  # zeros would take no room on a file system that compresses
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise DiskError(
                f"{self.path.parent} can't be written: {error.strerror}",
                hint="Nothing was submitted. Free some space or fix the permissions, then run the same command again.",
            ) from error

    def drop(self) -> bool:
        """Delete the file. Returns whether there was one."""
        try:
            self.path.unlink()
        except OSError:
            return False
        return True
