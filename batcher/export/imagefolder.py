"""``imagefolder``: a folder that ``datasets.load_dataset("imagefolder", data_dir=DIR)`` reads, with every column.

The library finds splits by words such as ``test`` in the names of folders and files. If it finds one, it silently drops
the files outside of that split, and the metadata. It looks at folders first. So every image is in a folder named after
its split (``train/`` if there is one split), file names contain no such word, and each split has its own metadata file.

The library takes the types of the columns from the first 10 MB of ``metadata.jsonl``, and refuses splits whose types
differ. If JSON can't show the types (a column has no value in one split, or dates in one and text in another), the
metadata is written as ``metadata.parquet``, which records them. If only the first rows don't show a type, a later row
that does is written early.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import BinaryIO

import msgspec

from batcher.core.errors import UsageError
from batcher.export import arrow
from batcher.export.columns import Column, Kind
from batcher.export.dataset_card import card
from batcher.export.folder import Folder
from batcher.export.matching import Sample
from batcher.export.target import Advance, FileTarget
from batcher.manifest.extras import install_command
from batcher.store.files.link_or_copy import Made

_FOLDER = 500  # jobs per folder of images: below 10,000 files, however many images a job has
_as_json = msgspec.json.Encoder().encode
_EARLY = 100  # this many rows are always within the first 10 MB


class ImageFolder(FileTarget):
    """The ``imagefolder`` target. moments: columns that datasets reads as moments in time."""

    def settle(self) -> None:
        super().settle()
        self.moments: list[str] = []
        self._witnesses: dict[str, set[int]] = {split: set() for split in self.images}
        reason = self._not_for_json()
        self._parquet = bool(reason)
        if not self._parquet:
            self._find_witnesses()
        elif arrow.is_here():
            arrow.require(self.order.folder)
            self.notes.append(f"{reason}; so the metadata is metadata.parquet, which records the types")
        else:
            raise UsageError(
                f"{reason}, and datasets refuses such a metadata.jsonl",
                hint=f"With pyarrow the metadata is written as parquet instead: {install_command('parquet')}",
            )

    def name(self, sample: Sample) -> str:
        return f"{sample.split}/{sample.image.job // _FOLDER:05d}/{sample.name}.{sample.extension}"

    def write(self, folder: Folder, advance: Advance) -> None:
        with ExitStack() as stack:
            self._sheets = {split: self._sheet(folder, split, stack) for split in sorted(self.images)}
            if any(self._witnesses.values()):
                for _ in self._with_rows(early=True):
                    pass
            for placed in folder.place(self._made()):
                advance(placed)
        folder.write("README.md", card(self, "imagefolder", "**", self.columns.kinds()))

    def _made(self) -> Iterator[Made]:
        for sample, name in self._with_rows(early=False):
            yield self.image(sample, name)

    def _with_rows(self, *, early: bool) -> Iterator[tuple[Sample, str]]:
        """Write rows of metadata. early: only the rows that show types, and give nothing; else all others, and give
        every image with its file name.
        """
        rows = dict.fromkeys(self.images, -1)
        for sample in self.selection.again():
            rows[sample.split] += 1
            name = self.name(sample)
            if (rows[sample.split] in self._witnesses[sample.split]) is early:
                self._sheets[sample.split](sample, name.partition("/")[2])
            if not early:
                yield sample, name

    def _sheet(self, folder: Folder, split: str, stack: ExitStack) -> Callable[[Sample, str], object]:
        """A function that adds a row (sample, file name) to the metadata of a split."""
        extension = "parquet" if self._parquet else "jsonl"
        file: BinaryIO = stack.enter_context(folder.growing(f"{split}/metadata.{extension}"))
        if self._parquet:
            columns = {"file_name": Kind.TEXT, **self.columns.kinds()}
            sheet = arrow.ParquetFile(file.name, columns, image=False)
            stack.callback(sheet.close)
            return lambda sample, name: sheet.add({"file_name": name, **self.values(sample)})
        return lambda sample, name: file.write(_as_json({"file_name": name, **self.values(sample)}) + b"\n")

    def _not_for_json(self) -> str:
        """Why JSON lines can't show the types, as part of a sentence; "" if they can."""
        for column in self.columns.all:
            without = [split for split in self.images if split not in column.filled]
            if without and column.kinds:
                return f"{column.name} has no value in {without[0]}"
            if len(set(_moments(column).values())) > 1:
                return f"{column.name} looks like dates in one split only"
        return ""

    def _find_witnesses(self) -> None:
        """Note the rows that have to be written early."""
        for column in self.columns.all:
            for split, row in column.filled.items():
                if row >= _EARLY:
                    self._witnesses[split].add(row)
            if any(_moments(column).values()) and column.kind is Kind.TEXT:
                self.moments.append(column.name)
                self.notes.append(f"{column.name} holds dates only: datasets reads them as timestamps")


def _moments(column: Column) -> dict[str, bool]:
    """By split, whether every value of a text column looks like a moment in time."""
    return column.moments if column.kinds == {"str"} else {}
