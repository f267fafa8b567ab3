"""What can be read only once (standard input, a pipe) is kept in a temporary file, as manifests are read twice."""

import os
import shutil
import stat
import tempfile
from typing import BinaryIO

from batcher.core.errors import DiskError


class Spool:
    """The temporary file of one manifest, if it needs one. Closing it twice is fine."""

    def __init__(self) -> None:
        self._path: str | None = None

    @property
    def is_used(self) -> bool:
        return self._path is not None

    def keep(self, stream: BinaryIO) -> str:
        """Where all that the stream gives is now; raises DiskError."""
        try:
            with tempfile.NamedTemporaryFile(prefix="batcher-manifest-", delete=False) as file:
                self._path = file.name
                shutil.copyfileobj(stream, file)
        except OSError as error:
            self.close()
            raise DiskError(f"the manifest could not be kept in a temporary file ({error.strerror})") from None
        return file.name

    def keep_pipe(self, path: str) -> str:
        """``path`` itself, or a copy when it is a pipe or a device."""
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116  a text, which may be odd
            if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
                return path
            with open(path, "rb") as stream:  # noqa: PTH123
                return self.keep(stream)
        except (OSError, ValueError):
            return path  # reading it will say what is wrong

    def close(self) -> None:
        if self._path is not None:
            path, self._path = self._path, None
            try:
                os.unlink(path)  # noqa: PTH108
            except FileNotFoundError:
                return
