"""The folder of an export, and which files in it batcher wrote.

``.batcher-export/export.json`` marks the folder as an export. It holds the options and whether the export is complete.
``files`` beside it lists the names of its files. A name is added to it *before* its file is written, so after a kill
every file that batcher wrote is in it. A file that is not in it is never replaced or removed. Files of an earlier
export that are no longer part of it are removed at the end, once no table refers to them.
"""

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from batcher.core.batched import batched
from batcher.core.errors import BusyError, UsageError
from batcher.export.marker_file import MARKER, write_marker
from batcher.store import locked
from batcher.store.files.disk import disk
from batcher.store.files.inside import is_plain, leads_inside
from batcher.store.files.link_or_copy import LinkOrCopy, Made
from batcher.store.files.name_sets import Names
from batcher.store.files.whole import encode, whole_file, write_whole

_BATCH = 512  # files


class Folder:
    """The folder of an export, to be used by one process (see ``opened``).

    path: the folder. copy: whether to copy images rather than to link them.
    anew: whether its files were made with other options, so that an unchanged time does not mean unchanged content.
    done: number of files by what was done (link, copy, written, same, removed).
    """

    def __init__(self, path: Path, *, copy: bool, anew: bool = False) -> None:
        self.path = path
        self._anew = anew
        self._root = os.path.realpath(path)
        self._list = path / MARKER / "files"
        self._folders: set[str] = set()
        self.old = Names(_lines(self._list))
        self._now = Names()  # names of this export; unused if the list was empty, as then all names are
        self._link_or_copy = LinkOrCopy(path, self.old, copy=copy, anew=anew)
        self._threads = min(8, os.cpu_count() or 1)
        self.done: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"Folder({str(self.path)!r}, done={dict(self.done)})"

    def claim(self, marker: Mapping[str, Any]) -> None:
        """Write the marker file, which says that the export is incomplete."""
        self._marker = {**marker, "complete": False, **({"anew": True} if self._anew else {})}
        write_marker(self.path, self._marker, durable=False)

    def remember(self, **facts: Any) -> None:
        """Add facts to the marker of an export that is not complete."""
        self.claim({**self._marker, **facts})

    def place(self, things: Iterable[Made]) -> Iterator[int]:
        """Make these files; gives the number made so far, from time to time. Raises DiskError, UsageError.

        Links and small texts are made in this thread. Files to be copied or encoded are made in one thread for each
        core, because the libraries that do so release the interpreter lock.
        """
        placed = 0
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="export")
        try:
            for batch in batched(things, _BATCH):
                self.note([thing.name for thing in batch])
                links = self._link_or_copy.links
                quick, slow = list[Made](), list[Made]()
                for thing in batch:
                    is_quick = links if thing.source is not None else isinstance(thing.content, bytes)
                    (quick if is_quick else slow).append(thing)
                under_way = pool.map(self._put, slow)
                self.done.update(map(self._put, quick))
                self.done.update(under_way)
                placed += len(batch)
                yield placed
        finally:
            pool.shutdown(cancel_futures=True)

    def _put(self, thing: Made) -> str:
        with disk(thing.name):
            return self._link_or_copy.put(thing, self._located(thing.name))

    def note(self, names: list[str]) -> None:
        """Add names to the list of files, before their files are made. Raises DiskError."""
        new = names
        if len(self.old):
            for name in names:
                self._now.add(name)
            new = [name for name in names if name not in self.old]
        if new:
            with disk("the list of files"), self._list.open("ab") as names_file:
                names_file.write(encode("\n" + "\n".join(new) + "\n"))

    def write(self, name: str, chunks: Iterable[bytes | str]) -> None:
        """Write a file whole or not at all, and force it to the disk. chunks: its content; text becomes UTF-8."""
        with self.growing(name) as file:
            file.writelines(encode(chunk) if isinstance(chunk, str) else chunk for chunk in chunks)

    @contextlib.contextmanager
    def growing(self, name: str) -> Iterator[BinaryIO]:
        """A file to write to. It gets its name when the block ends, whole and forced to the disk. Raises UsageError."""
        self.note([name])
        path = Path(self._located(name))
        self._link_or_copy.refuse_what_is_not_ours(name, str(path))
        with whole_file(path) as file:
            yield file
        self.done["written"] += 1

    def is_same(self, name: str, digest: str, digests: Mapping[str, str]) -> bool:
        """Whether a shard of an earlier export has the content that would be written now. digests: by name."""
        return digests.get(name) == digest and name in self.old and os.path.isfile(f"{self._root}/{name}")  # noqa: PTH113

    def keep(self, name: str) -> None:
        """Keep a file of an earlier export as it is."""
        self.note([name])
        self.done["same"] += 1

    def finish(self, marker: Mapping[str, Any]) -> None:
        """Remove files of earlier exports that are not part of this one, then write the marker of a complete export."""
        stale = [name for name in _lines(self._list) if name not in self._now] if len(self.old) else []
        for name in stale:
            self._remove(name)
        if stale:
            kept = (f"{name}\n" for name in _lines(self._list) if name in self._now)
            write_whole(self._list, kept)
        write_marker(self.path, {**marker, "complete": True})

    def _located(self, name: str) -> str:
        """The path for a file; its folder is made. Raises UsageError if a link leads out of the export."""
        folder = name.rpartition("/")[0]
        if folder not in self._folders:
            with disk(folder):
                made = f"{self._root}/{folder}"
                os.makedirs(made, exist_ok=True)  # noqa: PTH103
                if not leads_inside(made, self._root):
                    raise UsageError(f"{folder} is a link that leads out of the export", hint="Remove the link.")
            self._folders.add(folder)
        return f"{self._root}/{name}"

    def _remove(self, name: str) -> None:
        path = Path(self._root, name)
        if not is_plain(name) or not path.is_file() or path.parent.resolve() != path.parent:
            return
        path.unlink()
        self.done["removed"] += 1
        with contextlib.suppress(OSError):  # a folder that is not empty stays
            for parent in path.parents:
                if parent == Path(self._root):
                    break
                parent.rmdir()


@contextlib.contextmanager
def opened(path: Path, *, copy: bool, anew: bool = False) -> Iterator[Folder]:
    """Make the folder if it does not exist, and lock it for this process. Parameters as for ``Folder``.

    Raises BusyError if another process has it, and DiskError.
    """
    with disk(str(path)):
        (path / MARKER).mkdir(parents=True, exist_ok=True)
    try:
        with locked(path / MARKER):
            yield Folder(path, copy=copy, anew=anew)
    except BusyError:
        raise BusyError(f"another batcher is exporting to {path}", hint="Wait for it, or stop it.") from None


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as lines:
            for line in lines:
                if line.strip():
                    yield line.decode(errors="replace").rstrip("\n")
    except FileNotFoundError:
        return
