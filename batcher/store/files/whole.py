"""Writes files whole or not at all.

A file is written under a temp name, forced to the disk, and renamed to its final name; then its folder is forced to the
disk, because the folder holds the name. The temp name depends on the final name only, so a run that is killed leaves at
most one temp file for each file, and the next attempt overwrites it.

``write_whole`` and ``whole_file`` take all steps. ``Part`` has them one by one: many files that take each step together
cost the disk and the processor far less than one file after another.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from batcher.store.files.disk import create, discard, disk, force_folder, or_discarded, temp_beside

_BUFFER = 1 << 17  # bytes


def write_whole(path: Path, chunks: Iterable[bytes | str], *, durable: bool = True) -> None:
    """Replace the file at ``path`` by ``chunks``, one at a time.

    durable: False if the old file may come back after a power cut. Raises DiskError, and what ``chunks`` raises; then
    the old file stays.
    """
    with whole_file(path, durable=durable) as file:
        for chunk in chunks:
            file.write(encode(chunk) if isinstance(chunk, str) else chunk)


@contextmanager
def whole_file(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """A file to write to, for the block. It replaces ``path`` if the block does not raise. Raises DiskError."""
    temp = temp_beside(path)
    with or_discarded(temp), disk(path.name):
        # Opened by name, because some libraries that write to it need ``file.name``.
        with open(str(temp), "wb", buffering=_BUFFER, opener=lambda name, _: create(name)) as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        put_in_place(temp, path, durable=durable)


def put_in_place(temp: Path, path: Path, *, durable: bool = True) -> None:
    """Rename a file that is on the disk already, and force the rename too. Raises OSError."""
    os.replace(temp, path)  # noqa: PTH105  one spelling for all renames
    if durable:
        force_folder(path.parent)


def put_unless_there(temp: Path, path: Path) -> bool:
    """Force a file to the disk and give it its name. Not done, and False, if a file with content has that name, or
    ``temp`` is gone. Raises OSError.
    """
    try:
        force(temp)
    except FileNotFoundError:
        return False
    try:
        os.link(temp, path)  # fails where a rename would replace
    except OSError:  # a file is there, or the file system has no links
        if path.exists() and path.stat().st_size:
            return False
        os.replace(temp, path)  # noqa: PTH105  as above
    discard(temp)
    force_folder(path.parent)
    return True


def force(path: Path) -> None:
    """Force the content of a file to the disk that another program wrote. Raises OSError."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def encode(text: str) -> bytes:
    """UTF-8. Half of a surrogate pair, which JSON text may contain, becomes its JSON escape."""
    return text.encode(errors="backslashreplace")


class Part:
    """A file under its temp name. Call ``hint``, ``force`` and ``land`` in this order, or ``drop``.

    name: as messages name it.
    size: bytes to write, None if unknown.
    handle: descriptor of the open temp file.
    temp, target: paths of the temp file and the final file.

    Methods raise DiskError, or FileRefused if the disk can't have such a name.
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
        """Write the temp file."""
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
        """Take a temp file that has its content already."""
        with disk(name):
            return cls(name, None, os.open(temp, os.O_RDWR), temp, target)

    def hint(self) -> None:
        """Start writing to the disk without waiting, so that a later ``force`` of many files takes less time."""
        if hasattr(os, "posix_fadvise"):
            with suppress(OSError):
                os.posix_fadvise(self._handle, 0, 0, os.POSIX_FADV_DONTNEED)

    def force(self) -> None:
        """Force the content to the disk."""
        with disk(self._name, self._size):
            os.fsync(self._handle)

    def land(self) -> None:
        """Rename it to its final name. The folder still has to be forced to the disk."""
        with disk(self._name, self._size):
            self._close()
            os.replace(self._temp, self._target)  # noqa: PTH105

    def drop(self) -> None:
        """Close and remove the temp file."""
        with suppress(OSError):
            self._close()
        discard(self._temp)

    def _close(self) -> None:
        if self._handle >= 0:
            handle, self._handle = self._handle, -1
            os.close(handle)


def write_all(handle: int, content: bytes) -> None:
    """Write all of ``content`` to a descriptor. Raises OSError."""
    written = os.write(handle, content)
    while written < len(content):
        written += os.write(handle, content[written:])
