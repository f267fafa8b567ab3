"""Basic steps on the disk: errors in words, temp names, fsync of folders, safe opening of files."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

from batcher.core.errors import Cause, DiskError, FileRefused
from batcher.core.one_line import one_line

_BAD_NAME = frozenset([errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EILSEQ])
_NO_FOLDER_SYNC = frozenset([errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EBADF])
_HINTS = {
    errno.ENOSPC: "Free some space on that disk",
    errno.EDQUOT: "Free some space within your quota",
    errno.EFBIG: "Raise the limit on the size of files (ulimit -f)",
    errno.EROFS: "Mount the disk writable, or give another folder",
    errno.EACCES: "Make the folder writable for you",
    errno.EPERM: "Make the folder writable for you",
    errno.EMFILE: "Raise the limit on open files (ulimit -n), or use fewer --downloads",
    errno.ENFILE: "Close other programs: the whole machine is out of open files",
    errno.ELOOP: "Remove the link",
    errno.ENOENT: "Put the run directory back where it was: it was moved or removed during the run",
}


class disk:  # noqa: N801  reads as what it is for: with disk("images/a.png"): ...
    """A context manager that turns an OSError into a DiskError; into FileRefused if it is about the name of the file.

    what: the file, as the message names it. size: bytes to write, None if unknown.
    """

    __slots__ = ("_size", "_what")

    def __init__(self, what: str, size: int | None = None) -> None:
        self._what = what
        self._size = size

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, OSError):
            return
        reason = one_line(error.strerror or str(error), 200)
        if error.errno in _BAD_NAME:
            message = f"{one_line(self._what, 200)} can't have that name: {reason}"
            raise FileRefused(Cause(kind="bad_name", message=message)) from None
        needs = f" ({self._size:,} bytes)" if self._size else ""
        fix = _HINTS.get(error.errno or 0, "Check the disk")
        hint = f"{fix}, and run the same command again. What is saved stays saved, nothing is paid twice."
        raise DiskError(f"cannot write {one_line(self._what, 300)}{needs}: {reason}", hint=hint) from error


def temp_beside(path: Path) -> Path:
    """``temp_for`` as a Path."""
    return Path(temp_for(str(path)))


def temp_for(path: str, writer: str = "") -> str:
    """The temp file in the same folder, always the same for one path.

    writer: tells writers apart if several machines may write the file at once.
    """
    folder, separator, name = path.rpartition(os.sep)
    digits = blake2b(name.encode(errors="surrogatepass"), digest_size=8).hexdigest()
    return f"{folder}{separator}.{digits}{writer}.part"


def force_folder(folder: Path) -> None:
    """Make the names in a folder durable, if the system can. Raises OSError."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:  # some network file systems
            raise
    finally:
        os.close(handle)


def discard(path: str | Path) -> None:
    """Remove a temp file; errors are ignored."""
    with suppress(OSError):
        os.unlink(path)  # noqa: PTH108  may be a text


@contextmanager
def or_discarded(temp: str | Path) -> Iterator[None]:
    """Remove the temp file if the block raises: a full disk needs the room."""
    try:
        yield
    except BaseException:
        discard(temp)
        raise


def open_own(path: Path, flags: int, mode: int = 0o666) -> int:
    """Open an ordinary file of a run directory; never through a link, and without waiting for a pipe.

    flags, mode: as for ``os.open``. Returns the descriptor. Raises OSError that says what is there instead.
    """
    try:
        return ordinary(path, flags | getattr(os, "O_NOFOLLOW", 0), mode)
    except OSError as error:
        if is_link(error):
            raise OSError(errno.ELOOP, "a link stands in its place", str(path)) from None
        if error.errno == errno.ENXIO:  # a pipe that nobody reads
            raise OSError(errno.ENXIO, "it is not an ordinary file", str(path)) from None
        raise


def ordinary(path: str | Path, flags: int, mode: int = 0o666) -> int:
    """An opener for ``open``: raises OSError for anything but an ordinary file, and never waits for a pipe."""
    handle = os.open(path, flags | sum(getattr(os, name, 0) for name in ("O_CLOEXEC", "O_NONBLOCK", "O_BINARY")), mode)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.ENXIO, "it is not an ordinary file", str(path))
    return handle


def is_link(error: OSError) -> bool:
    """Whether a file was not opened because it is a link."""
    return error.errno in {errno.ELOOP, errno.EMLINK}  # EMLINK: FreeBSD


def create(temp: str | Path) -> int:
    """Create a file with the usual permissions, never through a link. Returns the descriptor. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        return os.open(temp, flags, 0o666)
    except FileExistsError:  # of a run that was killed
        discard(temp)
        return os.open(temp, flags, 0o666)
