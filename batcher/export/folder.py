"""The folder of an export: whose it is, and what is in it by our hand.

``.batcher-export/export.json`` makes it ours: it says what was asked for and whether that was finished. ``files``
beside it is the ledger: every name is in it *before* the file is made, so that whatever a kill leaves behind is known
to be ours, and nothing else is ever replaced or removed. What was made and no longer belongs is removed at the end,
once the tables no longer speak of it.
"""

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from batcher.core.errors import BusyError, UsageError
from batcher.export.marker_file import MARK, write_mark
from batcher.store import locked
from batcher.store.files.disk import disk
from batcher.store.files.inside import is_plain, leads_inside
from batcher.store.files.link_or_copy import Landing, Made
from batcher.store.files.name_sets import Names
from batcher.store.files.whole import encode, whole_file, write_whole

_LOT = 512  # files


class Folder:
    """Ours while it is open. done: what was done, in files (link, copy, written, same, removed).

    anew: what is there was made with other options, so that a file's time does not tell that it is the same.
    """

    def __init__(self, path: Path, *, copy: bool, anew: bool = False) -> None:
        self.path = path
        self._anew = anew
        self._root = os.path.realpath(path)
        self._ledger = path / MARK / "files"
        self._folders: set[str] = set()
        self.old = Names(_lines(self._ledger))
        self._now = Names()  # what belongs here; of a folder that was empty, all that is in the ledger does
        self._landing = Landing(path, self.old, copy=copy, anew=anew)
        self._threads = min(8, os.cpu_count() or 1)
        self.done: Counter[str] = Counter()

    def claim(self, mark: Mapping[str, Any]) -> None:
        self._mark = {**mark, "complete": False, **({"anew": True} if self._anew else {})}
        write_mark(self.path, self._mark, durable=False)

    def remember(self, **facts: Any) -> None:
        """Into the mark, while the rest is not finished."""
        self.claim({**self._mark, **facts})

    def place(self, things: Iterable[Made]) -> Iterator[int]:
        """Makes these files; gives how many are there, now and then. Raises DiskError, UsageError.

        A link or a small text is made at once. What has to be copied, or made by decoding and encoding, goes to
        threads, one for each core: the libraries that do it leave the interpreter alone.
        """
        placed, walk = 0, iter(things)
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="export")
        try:
            while lot := list(islice(walk, _LOT)):
                self.note([thing.name for thing in lot])
                links = self._landing.links
                quick, slow = list[Made](), list[Made]()
                for thing in lot:
                    is_quick = links if thing.source is not None else isinstance(thing.content, bytes)
                    (quick if is_quick else slow).append(thing)
                under_way = pool.map(self._put, slow)
                self.done.update(map(self._put, quick))
                self.done.update(under_way)
                placed += len(lot)
                yield placed
        finally:
            pool.shutdown(cancel_futures=True)

    def _put(self, thing: Made) -> str:
        with disk(thing.name):
            return self._landing.put(thing, self._located(thing.name))

    def note(self, names: list[str]) -> None:
        """Into the ledger, before they are made."""
        new = names
        if len(self.old):
            for name in names:
                self._now.add(name)
            new = [name for name in names if name not in self.old]
        if new:
            with disk("the list of files"), self._ledger.open("ab") as ledger:
                ledger.write(encode("\n" + "\n".join(new) + "\n"))

    def write(self, name: str, chunks: Iterable[bytes | str]) -> None:
        """One table, whole or not at all, forced to the disk."""
        with self.growing(name) as file:
            file.writelines(encode(chunk) if isinstance(chunk, str) else chunk for chunk in chunks)

    @contextlib.contextmanager
    def growing(self, name: str) -> Iterator[BinaryIO]:
        """The same, for what is written bit by bit: under its name once the block is left."""
        self.note([name])
        path = Path(self._located(name))
        self._landing.refuse_what_is_not_ours(name, str(path))
        with whole_file(path) as file:
            yield file
        self.done["written"] += 1

    def is_same(self, name: str, digest: str, digests: Mapping[str, str]) -> bool:
        """Whether a shard of an earlier export is what would be written now."""
        return digests.get(name) == digest and name in self.old and os.path.isfile(f"{self._root}/{name}")  # noqa: PTH113

    def keep(self, name: str) -> None:
        self.note([name])
        self.done["same"] += 1

    def finish(self, mark: Mapping[str, Any]) -> None:
        """Removes what was made and no longer belongs, then says that all is there."""
        stale = [name for name in _lines(self._ledger) if name not in self._now] if len(self.old) else []
        for name in stale:
            self._remove(name)
        if stale:
            kept = (f"{name}\n" for name in _lines(self._ledger) if name in self._now)
            write_whole(self._ledger, kept)
        write_mark(self.path, {**mark, "complete": True})

    def _located(self, name: str) -> str:
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
        with contextlib.suppress(OSError):  # not empty: others' files are in it
            for parent in path.parents:
                if parent == Path(self._root):
                    break
                parent.rmdir()


@contextlib.contextmanager
def opened(path: Path, *, copy: bool, anew: bool = False) -> Iterator[Folder]:
    """The folder, made if it isn't there, and for this process alone. Raises BusyError, DiskError."""
    with disk(str(path)):
        (path / MARK).mkdir(parents=True, exist_ok=True)
    try:
        with locked(path / MARK):
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
