"""Puts one file of an export in its place: a hard link, a copy, or new content, whole or not at all.

A hard link is whole at once; everything else is written under a temp name and renamed. Copies and converted images get
the modification time of their source, so that a second export can skip them without reading them.
"""

import errno
import os
import shutil
import stat
from pathlib import Path
from typing import Any, NamedTuple

from batcher.core.errors import UsageError
from batcher.store.files.disk import create, discard, or_discarded, temp_beside
from batcher.store.files.name_sets import Names

_ONE_FILE_SYSTEM = frozenset([errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES, errno.ENOSYS])


class Made(NamedTuple):
    """A file that an export makes, with either ``source`` or ``content``.

    name: relative to the folder of the export, ``/`` between parts.
    source: path of a file with the same bytes.
    content: the bytes, or a function that returns them; it may return None to use the file ``time_of`` itself.
    time_of: path of the file that gives the content its modification time. If the file in place has that time, it is
        up to date, and ``content`` is not called.
    """

    name: str
    source: str | None = None
    content: Any = None
    time_of: str | None = None


class LinkOrCopy:
    """Puts files into the folder of an export. May be used from many threads.

    folder: of the export.
    ours: names of the files that earlier exports made: only these are replaced.
    copy: make copies, never links.
    anew: the files there were made with other options, so none of them is up to date.

    Attribute ``links``: whether hard links are made; False once the file system has refused one.
    """

    def __init__(self, folder: Path, ours: Names, *, copy: bool, anew: bool) -> None:
        self._folder = folder
        self._ours = ours
        self._anew = anew
        self.links = not copy

    def put(self, thing: Made, path: str) -> str:
        """Put a file at ``path``. Returns ``link``, ``copy``, ``written`` or ``same``. Raises OSError, UsageError."""
        if thing.source is not None:
            return self._taken(thing.source, path, thing.name)
        facts = os.stat(thing.time_of) if thing.time_of else None  # noqa: PTH116  half of Path's price
        if facts is not None and self._is_there(path, facts, same_size=False):
            return "same"
        content = thing.content() if callable(thing.content) else thing.content
        if content is None:
            return self._taken(thing.time_of or "", path, thing.name)
        if os.path.lexists(path):
            if facts is None and _content(path, len(content)) == content:
                return "same"
            self.refuse_what_is_not_ours(thing.name, path)
        self._write(path, content, facts)
        return "written"

    def refuse_what_is_not_ours(self, name: str, path: str) -> None:
        """Raises UsageError if there is a file at ``path`` that no earlier export made."""
        if os.path.lexists(path) and name not in self._ours:
            raise UsageError(
                f"{self._folder / name} is in the way, and this export did not make it",
                hint="It was left alone. Move it elsewhere and run the same command again.",
            )

    def _taken(self, source: str, path: str, name: str) -> str:
        how = self._linked(source, path, name) if self.links else ""
        return how or self._copied(source, path, name)

    def _linked(self, source: str, path: str, name: str) -> str:
        """``link`` or ``same``; "" if links can't be made."""
        try:
            os.link(source, path)
        except FileExistsError:
            if os.path.samefile(source, path):  # noqa: PTH121
                return "same"
            self.refuse_what_is_not_ours(name, path)
            temp = temp_beside(Path(path))
            discard(temp)
            try:
                os.link(source, temp)
                os.replace(temp, path)  # noqa: PTH105
            except OSError as error:
                return self._gives_up_links(error)
        except OSError as error:
            return self._gives_up_links(error)
        return "link"

    def _gives_up_links(self, error: OSError) -> str:
        if error.errno not in _ONE_FILE_SYSTEM:
            raise error
        self.links = error.errno == errno.EMLINK  # too many links to this one file
        return ""

    def _copied(self, source: str, path: str, name: str) -> str:
        facts = os.stat(source)  # noqa: PTH116  half of Path's price
        if self._is_there(path, facts, same_size=True):
            return "same"
        self.refuse_what_is_not_ours(name, path)
        temp = temp_beside(Path(path))
        discard(temp)
        with or_discarded(temp):
            shutil.copyfile(source, temp)
            os.utime(temp, ns=(facts.st_atime_ns, facts.st_mtime_ns))
            os.replace(temp, path)  # noqa: PTH105
        return "copy"

    def _is_there(self, path: str, facts: os.stat_result, *, same_size: bool) -> bool:
        if self._anew:
            return False
        try:
            there = os.lstat(path)
        except OSError:
            return False
        near = abs(there.st_mtime_ns - facts.st_mtime_ns) < 2_000_000_000  # FAT stores times in steps of 2 s
        # After a power cut a file that was not forced to the disk may have its name and time but no content.
        right_size = there.st_size == facts.st_size if same_size else there.st_size > 0
        return stat.S_ISREG(there.st_mode) and near and right_size

    @staticmethod
    def _write(path: str, content: bytes, facts: os.stat_result | None) -> None:
        folder, _, last = path.rpartition("/")
        temp = f"{folder}/.{last}.part" if len(last) < 200 else str(temp_beside(Path(path)))
        with or_discarded(temp):
            handle = create(temp)
            try:
                at = 0
                while at < len(content):
                    at += os.write(handle, content[at:] if at else content)
            finally:
                os.close(handle)
            if facts is not None:
                os.utime(temp, ns=(facts.st_atime_ns, facts.st_mtime_ns))
            os.replace(temp, path)  # noqa: PTH105


def _content(path: str, most: int) -> bytes | None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read(most + 1)
    except OSError:
        return None
