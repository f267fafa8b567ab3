"""How one file of an export gets to its place: a link, a copy, or content, whole or not at all.

A hard link appears whole by nature; everything else is written beside its name and renamed. Copies and converted
pictures carry the time of their source, so that a second export sees at a glance what is the same.
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
    """A file to be there. name: relative to the folder, ``/`` between parts. One of source (the same bytes), content.

    time_of: a file whose time the content carries, and by which it is known to be the same: content is asked for only
    when it has to be written, and may then say None: this very file.
    """

    name: str
    source: str | None = None
    content: Any = None  # bytes, or a function that gives them
    time_of: str | None = None


class Landing:
    """May be used from many threads. links: whether they can be made, as far as is known. ours: names we made.

    anew: what is there was made with other options, so that a file's time does not tell that it is the same.
    """

    def __init__(self, folder: Path, ours: Names, *, copy: bool, anew: bool) -> None:
        self._folder = folder
        self._ours = ours
        self._anew = anew
        self.links = not copy

    def put(self, thing: Made, path: str) -> str:
        """How it got there: link, copy, written, or same. Raises OSError, UsageError."""
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
        if os.path.lexists(path) and name not in self._ours:
            raise UsageError(
                f"{self._folder / name} is in the way, and this export did not make it",
                hint="It was left alone. Move it elsewhere and run the same command again.",
            )

    def _taken(self, source: str, path: str, name: str) -> str:
        how = self._linked(source, path, name) if self.links else ""
        return how or self._copied(source, path, name)

    def _linked(self, source: str, path: str, name: str) -> str:
        """How it got there; nothing where links can't be made."""
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
        self.links = error.errno == errno.EMLINK  # that one is about one file
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
        near = abs(there.st_mtime_ns - facts.st_mtime_ns) < 2_000_000_000  # FAT keeps every other second
        # What a power cut leaves of a file that was not forced to the disk is its name and time, with nothing in it.
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
