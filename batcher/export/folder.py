"""The folder of an export: whose it is, what is in it by our hand, and how files get there whole.

``.batcher-export/export.json`` makes it ours: it says what was asked for and whether that was finished. ``files``
beside it is the ledger: every name is in it *before* the file is made, so that whatever a kill leaves behind is known
to be ours, and nothing else is ever replaced or removed. What was made and no longer belongs is removed at the end,
once the tables no longer speak of it.

A file appears under its name whole: a hard link does so by nature, everything else is written beside it and renamed.
Copies and converted pictures carry the time of their source, so that a second export sees at a glance what is the
same.
"""

import contextlib
import errno
import os
import shutil
import stat
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from batcher.artifacts import write_whole
from batcher.artifacts.disk import discard, disk, force_folder, temp_beside
from batcher.artifacts.part import encode
from batcher.errors import BusyError, UsageError
from batcher.export.linker import Linker
from batcher.export.mark import MARK, write_mark
from batcher.export.names import Names
from batcher.store import locked

_ONE_FILE_SYSTEM = frozenset([errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES, errno.ENOSYS])
_BATCH = 512


class Made(NamedTuple):
    """A file to be there. name: relative to the folder, ``/`` between parts. One of source (the same bytes), content.

    time_of: a file whose time the content carries, and by which it is known to be the same: content is asked for only
    when it has to be written, and may then say None: this very file.
    """

    name: str
    source: str | None = None
    content: Any = None  # bytes, or a function that gives them
    time_of: str | None = None


class Folder:
    """Ours while it is open. done: what was done, in files (link, copy, written, same, removed).

    anew: what is there was made with other options, so that a file's time does not tell that it is the same.
    """

    def __init__(self, path: Path, *, copy: bool, anew: bool = False) -> None:
        self.path = path
        self._anew = anew
        self._root = os.path.realpath(path)
        self._copy = copy
        self._ledger = path / MARK / "files"
        self._folders: set[str] = set()
        self.old = Names(_lines(self._ledger))
        self.now = Names()
        self.done: Counter[str] = Counter()

    def claim(self, mark: Mapping[str, Any]) -> None:
        self._mark = {**mark, "complete": False, **({"anew": True} if self._anew else {})}
        write_mark(self.path, self._mark, durable=False)

    def remember(self, **facts: Any) -> None:
        """Into the mark, while the rest is not finished."""
        self.claim({**self._mark, **facts})

    def place(self, things: Iterable[Made]) -> Iterator[int]:
        """Makes these files, many at once; gives how many are there, now and then. Raises DiskError, UsageError."""
        threads = min(4, os.cpu_count() or 1)
        waiting: deque[Future[Counter[str]]] = deque()
        pool = ThreadPoolExecutor(threads, thread_name_prefix="export")
        linkers = ThreadPoolExecutor(1, thread_name_prefix="link")  # they are made one after the other anyway
        linker = Linker()
        placed = 0
        try:
            for batch in _batches(things):
                self.note([thing.name for thing in batch])
                links = [] if self._copy or len(batch) < _BATCH else [thing for thing in batch if thing.source]
                rest = [thing for thing in batch if not thing.source] if links else batch
                if links:
                    waiting.append(linkers.submit(self._link_all, links, linker))
                if rest:
                    waiting.append(pool.submit(self._place_all, rest))
                while len(waiting) > 2 * threads:
                    placed += self._count(waiting.popleft())
                    yield placed
            while waiting:
                placed += self._count(waiting.popleft())
                yield placed
        finally:
            pool.shutdown(cancel_futures=True)
            linkers.shutdown(cancel_futures=True)
            linker.close()

    def _count(self, future: "Future[Counter[str]]") -> int:
        found = future.result()
        self.done += found
        return found.total()

    def note(self, names: list[str]) -> None:
        """Into the ledger, before they are made."""
        for name in names:
            self.now.add(name)
        new = [name for name in names if name not in self.old] if len(self.old) else names
        if new:
            with disk("the list of files"), self._ledger.open("ab") as ledger:
                ledger.write(encode("\n" + "\n".join(new) + "\n"))

    def write(self, name: str, chunks: Iterable[bytes | str]) -> None:
        """One table or shard, whole or not at all, forced to the disk."""
        self.note([name])
        path = self._located(name)
        self._refuse_what_is_not_ours(name, path)
        write_whole(Path(path), chunks)
        self.done["written"] += 1

    @contextlib.contextmanager
    def growing(self, name: str) -> Iterator[BinaryIO]:
        """The same, for what is written bit by bit beside other work: under its name once the block is left."""
        self.note([name])
        path = Path(self._located(name))
        self._refuse_what_is_not_ours(name, str(path))
        temp = temp_beside(path)
        try:
            with _created(temp) as file:
                yield file
                with disk(name):
                    file.flush()
                    os.fsync(file.fileno())
            with disk(name):
                os.replace(temp, path)  # noqa: PTH105  one spelling for all renames
                force_folder(path.parent)
        except BaseException:
            discard(temp)
            raise
        self.done["written"] += 1

    def is_same(self, name: str, digest: str, digests: Mapping[str, str]) -> bool:
        """Whether a shard of an earlier export is what would be written now."""
        return digests.get(name) == digest and name in self.old and os.path.isfile(f"{self._root}/{name}")  # noqa: PTH113

    def keep(self, name: str) -> None:
        self.note([name])
        self.done["same"] += 1

    def finish(self, mark: Mapping[str, Any]) -> None:
        """Removes what was made and no longer belongs, then says that all is there."""
        stale = [name for name in _lines(self._ledger) if name not in self.now] if len(self.old) else []
        for name in stale:
            self._remove(name)
        if stale:
            kept = (f"{name}\n" for name in _lines(self._ledger) if name in self.now)
            write_whole(self._ledger, kept)
        write_mark(self.path, {**mark, "complete": True})

    def _link_all(self, batch: list[Made], linker: Linker) -> "Counter[str]":
        """A batch that is all links; what the other process can't link is looked at here."""
        with disk(batch[0].name):
            pairs = [(thing.source or "", self._located(thing.name)) for thing in batch]
            rest = [batch[place] for place in linker.link(pairs)]
        return Counter(link=len(batch) - len(rest)) + self._place_all(rest)

    def _place_all(self, batch: list[Made]) -> "Counter[str]":
        with disk(batch[0].name if batch else ""):
            return Counter(map(self._placed, batch))

    def _placed(self, thing: Made) -> str:
        path = self._located(thing.name)
        return self._put(thing, path) if thing.source is None else self._taken(thing.source, path, thing.name)

    def _taken(self, source: str, path: str, name: str) -> str:
        how = "" if self._copy else self._linked(source, path, name)
        return how or self._copied(source, path, name)

    def _linked(self, source: str, path: str, name: str) -> str:
        """How it got there; nothing where links can't be made."""
        try:
            os.link(source, path)
        except FileExistsError:
            if os.path.samefile(source, path):  # noqa: PTH121
                return "same"
            self._refuse_what_is_not_ours(name, path)
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
        self._copy = error.errno != errno.EMLINK  # that one is about one file
        return ""

    def _copied(self, source: str, path: str, name: str) -> str:
        facts = os.stat(source)  # noqa: PTH116  half of Path's price
        if self._is_there(path, facts, same_size=True):
            return "same"
        self._refuse_what_is_not_ours(name, path)
        temp = temp_beside(Path(path))
        discard(temp)
        shutil.copyfile(source, temp)
        os.utime(temp, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        os.replace(temp, path)  # noqa: PTH105
        return "copy"

    def _put(self, thing: Made, path: str) -> str:
        facts = os.stat(thing.time_of) if thing.time_of else None  # noqa: PTH116  as above
        if facts is not None and self._is_there(path, facts, same_size=False):
            return "same"
        content = thing.content() if callable(thing.content) else thing.content
        if content is None:
            return self._taken(thing.time_of or "", path, thing.name)
        if facts is None and os.path.lexists(path) and _content(path, len(content)) == content:
            return "same"
        self._refuse_what_is_not_ours(thing.name, path)
        folder, _, last = path.rpartition("/")
        temp = f"{folder}/.{last}.part" if len(last) < 200 else str(temp_beside(Path(path)))
        _write(temp, content)
        if facts is not None:
            os.utime(temp, ns=(facts.st_atime_ns, facts.st_mtime_ns))
        os.replace(temp, path)  # noqa: PTH105
        return "written"

    def _is_there(self, path: str, facts: os.stat_result, *, same_size: bool) -> bool:
        if self._anew:
            return False
        try:
            found = os.lstat(path)
        except OSError:
            return False
        near = abs(found.st_mtime_ns - facts.st_mtime_ns) < 2_000_000_000  # FAT keeps every other second
        return stat.S_ISREG(found.st_mode) and near and (not same_size or found.st_size == facts.st_size)

    def _refuse_what_is_not_ours(self, name: str, path: str) -> None:
        if os.path.lexists(path) and name not in self.old:
            raise UsageError(
                f"{self.path / name} is in the way, and this export did not make it",
                hint="It was left alone. Move it elsewhere and run the same command again.",
            )

    def _located(self, name: str) -> str:
        folder = name.rpartition("/")[0]
        if folder not in self._folders:
            with disk(folder):
                made = f"{self._root}/{folder}"
                os.makedirs(made, exist_ok=True)  # noqa: PTH103
                if os.path.realpath(made) != os.path.join(os.path.realpath(self._root), folder).rstrip("/"):  # noqa: PTH118
                    raise UsageError(f"{folder} is a link that leads out of the export", hint="Remove the link.")
            self._folders.add(folder)
        return f"{self._root}/{name}"

    def _remove(self, name: str) -> None:
        path = Path(self._root, name)
        if {"", ".", ".."} & set(name.split("/")) or not path.is_file() or path.parent.resolve() != path.parent:
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


def _write(temp: str, content: bytes) -> None:
    """A new file, never through a link that somebody put there; for very many small ones."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    try:
        handle = os.open(temp, flags, 0o666)
    except FileExistsError:  # left by one that was killed
        discard(Path(temp))
        handle = os.open(temp, flags, 0o666)
    try:
        at = 0
        while at < len(content):
            at += os.write(handle, content[at:] if at else content)
    finally:
        os.close(handle)


def _created(temp: Path) -> BinaryIO:
    """A new file, never through a link that somebody put there."""
    try:
        return temp.open("xb")
    except FileExistsError:  # left by one that was killed
        discard(temp)
        return temp.open("xb")


def _lines(path: Path) -> Iterator[str]:
    try:
        with path.open("rb") as lines:
            for line in lines:
                if line.strip():
                    yield line.decode(errors="replace").rstrip("\n")
    except FileNotFoundError:
        return


def _batches(things: Iterable[Made]) -> Iterator[list[Made]]:
    batch: list[Made] = []
    for thing in things:
        batch.append(thing)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _content(path: str, most: int) -> bytes | None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read(most + 1)
    except OSError:
        return None
