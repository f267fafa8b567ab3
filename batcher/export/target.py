"""What every kind of export has in common: it sees all pictures once, then writes them."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batcher.core.errors import DiskError, FileUnavailable, UsageError
from batcher.core.one_line import one_line
from batcher.export.columns import Columns
from batcher.export.folder import Folder
from batcher.export.request import Order
from batcher.export.selection import Selection, Shot
from batcher.store.files.link_or_copy import Made
from batcher.store.files.name_sets import Names, number

if TYPE_CHECKING:
    from batcher.export.embed_metadata import Dresser

Tell = Callable[[int], None]


class Target(ABC):
    """columns, pictures (by split), extensions: of what is meant, complete once ``settle`` is called.

    notes: what a user of the reader has to know. facts: what the mark remembers beside the options. has_columns:
    whether this reader knows of any. dresser: does what ``--embed`` asks for, None where nothing is.
    """

    has_columns = True

    def __init__(self, order: Order, selection: Selection) -> None:
        self.order = order
        self.selection = selection
        self.simulated = selection.simulated
        self.dresser = _dresser(order, simulated=self.simulated) if order.embed else None
        self.columns = Columns()
        self.pictures: Counter[str] = Counter()
        self.extensions: Counter[str] = Counter()
        self.bytes = 0
        self.notes: list[str] = []
        self.facts: dict[str, Any] = {}

    def see(self, shot: Shot) -> None:
        if self.has_columns:
            self.columns.see(shot.inputs, shot.meta, shot.split)
        self.pictures[shot.split] += 1
        self.extensions[shot.extension] += 1
        self.bytes += shot.picture.bytes

    def settle(self) -> None:
        """All were seen. Raises UsageError for what this reader can't hold; nothing is written yet."""
        self.columns.settle()
        self.notes += self.columns.warnings()
        self._row = self.columns.reader()

    def values(self, shot: Shot) -> dict[str, Any]:
        """The columns of a picture, as its reader will give them."""
        return {**self._row(shot.inputs, shot.meta), **shot.facts}

    @abstractmethod
    def write(self, folder: Folder, tell: Tell) -> None:
        """Makes all files. ``tell``: how many pictures are there."""

    def picture(self, shot: Shot, name: str) -> Made:
        """The file of a picture, as it is, in another format, or with what ``--embed`` adds."""
        path = self.selection.path(shot.picture)
        if self.dresser is not None:
            return Made(name, content=partial(self._dressed, shot, path), time_of=path)
        if self.is_recoded(shot):
            return Made(name, content=partial(self.recoded, path), time_of=path)
        return Made(name, source=path)

    def content(self, shot: Shot) -> bytes:
        """Its bytes, where they go into a larger file. Raises DiskError, UsageError."""
        made = self.picture(shot, "")
        content: bytes | None = made.content() if made.content is not None else None
        return self._read(shot, made.source or made.time_of or "") if content is None else content

    def sha256(self, shot: Shot) -> bytes:
        """Of what ``picture`` makes; of the run's own file where that is recoded, which no two encoders do alike.

        A file that was damaged since it was saved is no measure: what is due is what was saved.
        """
        saved = bytes.fromhex(shot.picture.sha256)
        if self.dresser is None or self.is_recoded(shot):
            return saved
        plain = self._read(shot, self.selection.path(shot.picture))
        return sha256(self.dresser.dress(shot, plain)).digest() if sha256(plain).digest() == saved else saved

    def is_recoded(self, shot: Shot) -> bool:
        return self.order.recode is not None and shot.picture.mime != self.order.recode.kind.mime

    def _dressed(self, shot: Shot, path: str) -> bytes | None:
        """None where the file is right as it is."""
        assert self.dresser is not None
        plain = self.recoded(path) if self.is_recoded(shot) else self._read(shot, path)
        dressed = self.dresser.dress(shot, plain)
        return dressed if dressed != plain or self.is_recoded(shot) else None

    @staticmethod
    def _read(shot: Shot, path: str) -> bytes:
        try:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123  a third of Path's price
                return file.read()
        except OSError as error:
            raise DiskError(f"{shot.picture.file} can't be read: {error.strerror}", hint="Nothing is lost.") from None

    def recoded(self, path: str) -> bytes:
        assert self.order.recode is not None
        try:
            return self.order.recode(Path(path))
        except FileUnavailable as error:
            raise UsageError(
                f"a picture can't be decoded: {error.cause.message}",
                hint=f"`batcher verify {self.order.run} --repair` mends what can be had free.",
            ) from None


def _dresser(order: Order, *, simulated: bool) -> "Dresser":
    from batcher.export.embed_metadata import Dresser  # noqa: PLC0415  start-up time

    return Dresser(order.run, order.embed, simulated=simulated)


class FileTarget(Target):
    """An export of a file a picture, or a few: their names are known before any is made."""

    def __init__(self, order: Order, selection: Selection) -> None:
        super().__init__(order, selection)
        self._names = Names()

    @abstractmethod
    def name(self, shot: Shot) -> str:
        """Of the picture, relative to the folder, with its extension."""

    def made(self, shot: Shot) -> Iterable[Made]:
        return (self.picture(shot, self.name(shot)),)

    def see(self, shot: Shot) -> None:
        super().see(shot)
        self._names.add(self.name(shot))

    def settle(self) -> None:
        super().settle()
        if twice := self._names.twice():
            raise self._collision(twice)

    def write(self, folder: Folder, tell: Tell) -> None:
        each = len(tuple(self.made(next(self.selection.again()))))
        for placed in folder.place(self._all()):
            tell(placed // each)

    def _all(self) -> Iterator[Made]:
        for shot in self.selection.again():
            yield from self.made(shot)

    def _collision(self, twice: set[int]) -> UsageError:
        found = sorted(
            (self.name(shot).lower(), shot.picture.file)
            for shot in self.selection.again()
            if number(self.name(shot)) in twice
        )
        lines = [f"  {one_line(name, 200)}  <-  {one_line(file, 200)}" for name, file in found[:6]]
        more = f"\n  ... and {len(found) - 6:,} more" if len(found) > 6 else ""
        return UsageError(
            f"{len(found):,} pictures would share {len(twice):,} file names, and nothing was written:\n"
            + "\n".join(lines)
            + more,
            hint="Put what tells them apart into the template, such as {sample:04d} or {seed}.",
        )
