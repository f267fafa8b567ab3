"""The common part of all targets: a target first sees every image, then writes them."""

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from batcher.core.command_line import repair
from batcher.core.errors import DiskError, FileUnavailable, UsageError
from batcher.core.one_line import one_line
from batcher.core.units import show_count
from batcher.export.columns import Columns
from batcher.export.embed_metadata import MetadataEmbedder
from batcher.export.folder import Folder
from batcher.export.matching import Sample
from batcher.export.request import Order
from batcher.export.selection import Selection
from batcher.store.files.link_or_copy import Made
from batcher.store.files.name_sets import Names, number
from batcher.store.joined import runs_of

Advance = Callable[[int], None]
_PATTERN = re.compile(r"[*?\[\]]")


class Target(ABC):
    """A kind of export. Call ``see`` for every image, then ``settle``, then ``write``.

    order: the export. selection: its images.
    columns, images, extensions, models, bytes: what was seen; ``images`` counts by split.
    notes: sentences for the user, about the reader of the files. facts: fields of the marker beside the options.
    has_columns: whether the reader uses columns. way_out: how to make file names unique, for an error message.
    embedder: writes metadata into images; None without ``--embed``.
    """

    has_columns = True
    way_out = "Add what tells them apart to the template, such as {sample:04d} or {seed}."

    def __init__(self, order: Order, selection: Selection) -> None:
        self.order = order
        self.selection = selection
        self.simulated = selection.simulated
        self.embedder = MetadataEmbedder(order.run, order.words, simulated=self.simulated) if order.words else None
        self.columns = Columns()
        self.images: Counter[str] = Counter()
        self.extensions: Counter[str] = Counter()
        self.models: set[str] = set()
        self.bytes = 0
        self.notes: list[str] = []
        self.facts: dict[str, Any] = {}

    def see(self, sample: Sample) -> None:
        """Take an image into account. Nothing is written yet."""
        if self.has_columns:
            self.columns.see(sample.places, sample.split)
        self.images[sample.split] += 1
        self.extensions[sample.extension] += 1
        self.models.add(sample.image.model)
        self.bytes += sample.image.bytes

    def settle(self) -> None:
        """Check all images together, after every ``see``. Raises UsageError if the reader could not read the export."""
        self.columns.settle()
        self.notes += self.columns.warnings()
        if self.has_columns and _PATTERN.search(str(self.order.folder)):
            self.notes.append(
                "datasets reads the characters * ? [ ] in a path as patterns: choose a folder without them"
            )
        self._row = self.columns.reader()

    def values(self, sample: Sample) -> dict[str, Any]:
        """The columns of an image, by name."""
        return {**self._row(sample.places), **sample.facts}

    @abstractmethod
    def write(self, folder: Folder, advance: Advance) -> None:
        """Write all files. advance: is called with the number of images written so far."""

    def image(self, sample: Sample, name: str) -> Made:
        """The file of an image, to be made at ``name``: unchanged, converted, or with embedded metadata."""
        path = self.selection.path(sample.image)
        if self.embedder is None and not self.is_recoded(sample):
            return Made(name, source=path)
        if self.embedder is not None and self.selection.was_judged(sample.image):
            # New stars don't change the time of the file, so its content is compared.
            return Made(name, content=partial(self.content, sample))
        return Made(name, content=partial(self._anew, sample, path), time_of=path)

    def content(self, sample: Sample) -> bytes:
        """The bytes of an image's file, to be part of a larger file. Raises DiskError, UsageError."""
        path = self.selection.path(sample.image)
        return self._anew(sample, path) or self._read(sample, path)

    def is_recoded(self, sample: Sample) -> bool:
        """Whether the image is converted to another format."""
        return self.order.recode is not None and sample.image.mime != self.order.recode.kind.mime

    def _anew(self, sample: Sample, path: str) -> bytes | None:
        """The bytes of the converted image, with metadata; None if they are those of the file."""
        recoded = self._recoded(path) if self.is_recoded(sample) else None
        if self.embedder is None:
            return recoded
        plain = recoded or self._read(sample, path)
        embedded = self.embedder.embed(sample, plain)
        return recoded if embedded == plain else embedded

    @staticmethod
    def _read(sample: Sample, path: str) -> bytes:
        try:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123  a third of Path's price
                return file.read()
        except OSError as error:
            raise DiskError(f"{sample.image.file} can't be read: {error.strerror}", hint="Nothing is lost.") from None

    def _recoded(self, path: str) -> bytes:
        assert self.order.recode is not None
        with self.decoding():
            return self.order.recode(Path(path))

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """Inside, an image that can't be decoded is a UsageError."""
        try:
            yield
        except FileUnavailable as error:
            verify = repair(*runs_of(self.order.run))
            raise UsageError(
                f"an image can't be decoded: {error.cause.message}",
                hint=f"`{verify}` fixes what can be fetched free.",
            ) from None


class FileTarget(Target):
    """A target with one or more files for each image, whose names are checked before anything is written.

    order, selection: as of ``Target``.
    """

    def __init__(self, order: Order, selection: Selection) -> None:
        super().__init__(order, selection)
        self._names = Names()

    @abstractmethod
    def name(self, sample: Sample) -> str:
        """The name of the image's file, relative to the folder, with its extension."""

    def made(self, sample: Sample) -> Iterable[Made]:
        """All files of an image."""
        return (self.image(sample, self.name(sample)),)

    def see(self, sample: Sample) -> None:
        super().see(sample)
        self._names.add(self.name(sample))

    def settle(self) -> None:
        super().settle()
        if twice := self._names.repeated():
            raise self._collision(twice)

    def write(self, folder: Folder, advance: Advance) -> None:
        each = len(tuple(self.made(next(self.selection.again()))))
        for placed in folder.place(self._all()):
            advance(placed // each)

    def _all(self) -> Iterator[Made]:
        for sample in self.selection.again():
            yield from self.made(sample)

    def _collision(self, twice: set[int]) -> UsageError:
        """twice: hashes of the names that are used more than once."""
        return self._shared(
            sorted(
                (self.name(sample).lower(), sample.image.file)
                for sample in self.selection.again()
                if number(self.name(sample)) in twice
            ),
            len(twice),
        )

    def _shared(self, examples: Sequence[tuple[str, str]], names: int) -> UsageError:
        """The error that images share names. examples: a name and a file of the run for each. names: how many names."""
        lines = [f"  {one_line(name, 200)}  <-  {one_line(file, 200)}" for name, file in examples[:6]]
        more = f"\n  ... and {len(examples) - 6:,} more" if len(examples) > 6 else ""
        return UsageError(
            f"{len(examples):,} images would share {show_count(names, 'file name')},"
            " and nothing was written:\n" + "\n".join(lines) + more,
            hint=self.way_out,
        )
