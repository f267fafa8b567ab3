"""A little room kept back for the worst moment: a disk that fills up while the service is answering.

The ids in those answers are paid for. When the state file can't take them, the ballast is dropped, and they fit.
"""

import os
from pathlib import Path

NAME = ".ballast"
SIZE = 1024 * 1024  # bytes: a group commit of some hundred request ids takes a few dozen kilobytes


class Ballast:
    """Lies in the run directory while a run goes."""

    def __init__(self, run_dir: Path) -> None:
        self.path = run_dir / NAME

    def lay(self) -> None:
        """Raises OSError when there isn't even that much room."""
        self.path.unlink(missing_ok=True)
        with self.path.open("xb") as file:  # never through a link that somebody put there
            file.write(os.urandom(SIZE))  # a file system that compresses or leaves out zeros would keep nothing back
            file.flush()
            os.fsync(file.fileno())

    def drop(self) -> bool:
        """Whether there was anything to drop."""
        try:
            self.path.unlink()
        except OSError:
            return False
        return True
