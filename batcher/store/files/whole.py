"""Writing a file whole or not at all: the one place that does it.

A file is written beside its final name, forced to the disk, and renamed over it; then the folder is forced to the disk,
because a rename lives in the folder. The temp name is made from the final name and nothing else, so that however often
a run is killed at most one is left behind for each file, and the next attempt writes over it.

``write_whole`` and ``whole_file`` do all of it. ``Part`` has the steps one by one, so that many files can take each
step together, which costs the disk and the processor far less than one file after the other.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from batcher.store.files.disk import create, discard, disk, force_folder, or_discarded, temp_beside

_BUFFER = 1 << 17  # bytes


def write_whole(path: Path, chunks: Iterable[bytes | str], *, durable: bool = True) -> None:
    """Replace the file at ``path`` by ``chunks``. A million chunks cost no memory.

    durable: False where a power cut may bring the old file back. Raises DiskError; whatever ``chunks`` itself raises
    comes through, and the old file stays.
    """
    with whole_file(path, durable=durable) as file:
        for chunk in chunks:
            file.write(encode(chunk) if isinstance(chunk, str) else chunk)


@contextmanager
def whole_file(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """A file to write to; it gets its name when the block is left without an error. Raises DiskError."""
    temp = temp_beside(path)
    with or_discarded(temp), disk(path.name):
        # It knows its name, which some libraries that write to it need.
        with open(str(temp), "wb", buffering=_BUFFER, opener=lambda name, _: create(name)) as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        put_in_place(temp, path, durable=durable)


def put_in_place(temp: Path, path: Path, *, durable: bool = True) -> None:
    """Rename a file that was forced to the disk, and force the rename too. Raises OSError."""
    os.replace(temp, path)  # noqa: PTH105  one spelling for all renames
    if durable:
        force_folder(path.parent)


def force(path: Path) -> None:
    """Make the content of a file durable that somebody else wrote. Raises OSError."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def encode(text: str) -> bytes:
    """UTF-8. Half a surrogate pair, which JSON text may hold, becomes the JSON escape for it."""
    return text.encode(errors="backslashreplace")


class Part:
    """A file that is not in its place yet. ``hint``, ``force`` and ``land`` in this order, or ``drop``.

    Methods raise DiskError, or FileRefused for a name that the disk can't have.
    """

    __slots__ = ("_handle", "_name", "_size", "_target", "_temp")

    def __init__(self, name: str, size: int | None, handle: int, temp: str, target: str) -> None:
        self._name = name
        self._size = size
        self._handle = handle
        self._temp = temp
        self._target = target

    @classmethod
    def written(cls, name: str, content: bytes, temp: str, target: str) -> "Part":
        with disk(name, len(content)):
            part = cls(name, len(content), create(temp), temp, target)
            try:
                write_all(part._handle, content)
            except BaseException:
                part.drop()
                raise
        return part

    @classmethod
    def of_temp(cls, name: str, temp: str, target: str) -> "Part":
        """The temp file has its content already."""
        with disk(name):
            return cls(name, None, os.open(temp, os.O_RDWR), temp, target)

    def hint(self) -> None:
        """Lets the disk begin, without waiting: what is forced later is then forced together."""
        if hasattr(os, "posix_fadvise"):
            with suppress(OSError):
                os.posix_fadvise(self._handle, 0, 0, os.POSIX_FADV_DONTNEED)

    def force(self) -> None:
        with disk(self._name, self._size):
            os.fsync(self._handle)

    def land(self) -> None:
        with disk(self._name, self._size):
            self._close()
            os.replace(self._temp, self._target)  # noqa: PTH105

    def drop(self) -> None:
        with suppress(OSError):
            self._close()
        discard(self._temp)

    def _close(self) -> None:
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            os.close(handle)


def write_all(handle: int, content: bytes) -> None:
    """All of ``content`` to an open file. Raises OSError."""
    written = os.write(handle, content)
    while written < len(content):
        written += os.write(handle, content[written:])
