"""``webdataset``: tar shards for the ``webdataset`` and ``datasets`` libraries.

The members of a sample follow each other: ``key.png``, ``key.txt``, ``key.json``. The key ends at the first dot, so it
contains none. ``datasets`` takes all fields and types from the first five samples. So every sample has the same fields,
and every column in ``json`` has a value: missing text is "", and a column of numbers with missing values is text.
"""

import tarfile
from collections.abc import Iterator
from typing import Any

from batcher.core.errors import UsageError
from batcher.core.json_text import as_compact_json
from batcher.export.captions import Caption
from batcher.export.columns import Kind
from batcher.export.dataset_card import card
from batcher.export.folder import Folder
from batcher.export.matching import Sample
from batcher.export.request import Order
from batcher.export.selection import Selection
from batcher.export.shards import Row, ShardTarget
from batcher.export.target import Advance

_END = bytes(2 * tarfile.BLOCKSIZE)


class WebDataset(ShardTarget):
    """The ``webdataset`` target. order, selection: as of ``Target``."""

    extension = "tar"

    def __init__(self, order: Order, selection: Selection) -> None:
        super().__init__(order, selection)
        self.caption = Caption(order.caption)

    def see(self, sample: Sample) -> None:
        super().see(sample)
        self.columns.see_gaps(sample.places)

    def settle(self) -> None:
        super().settle()
        self.caption.template.require(self.selection.names)
        if len(self.extensions) > 1:
            counts = ", ".join(f"{count:,} {extension}" for extension, count in self.extensions.most_common())
            raise UsageError(
                f"the images are of different kinds ({counts}), and every sample must have the same fields",
                hint="Make them one kind with --convert webp:90, jpeg:95 or png.",
            )
        total = sum(self.images.values())
        self._as_text = {
            column.name: column.kind is not Kind.TEXT for column in self.columns.all if column.seen < total
        }
        gaps = [name for name, is_number in self._as_text.items() if is_number]
        self.notes += [f"{name} has no value in some samples, so it is text here" for name in gaps]

    def values(self, sample: Sample) -> dict[str, Any]:
        values = super().values(sample)
        for name in self._as_text:
            value = values[name]
            values[name] = "" if value is None else value if isinstance(value, str) else as_compact_json(value)
        return values

    def write(self, folder: Folder, advance: Advance) -> None:
        super().write(folder, advance)
        folder.write("index.json", [self._index()])
        folder.write("README.md", self._card())

    def write_shard(self, folder: Folder, name: str, rows: list[Row]) -> None:
        with folder.growing(name) as file:
            file.writelines(self._members(rows))

    def _members(self, rows: list[Row]) -> Iterator[bytes]:
        for (sample, *_), values in rows:
            yield from member(f"{sample.name}.{sample.extension}", self.content(sample))
            yield from member(f"{sample.name}.txt", self.caption.of(sample).encode())
            yield from member(f"{sample.name}.json", as_compact_json(values).encode(errors="replace"))
        yield _END

    def _index(self) -> str:
        splits = {
            split: {
                "samples": self.images[split],
                "urls": f"{split}/{{000000..{len(shards) - 1:06d}}}.tar",
                "shards": [shard._asdict() for shard in shards],
            }
            for split, shards in self.shards.items()
        }
        fields = [next(iter(self.extensions)), "txt", "json"]
        return as_compact_json({"format": "webdataset", "fields": fields, "splits": splits}) + "\n"

    def _card(self) -> Iterator[str]:
        first = next(iter(self.shards))
        last = len(self.shards[first]) - 1
        load = (
            f'\n\nimport webdataset\n\nshards = "{first}/{{000000..{last:06d}}}.tar"\n'
            "dataset = webdataset.WebDataset(shards, shardshuffle=False)"
        )
        note = "The image's field is called by its format, the caption is `txt`, all else in `json`."
        return card(self, "webdataset", "*.tar", self.columns.kinds(), load=load, note=note)


def member(name: str, content: bytes) -> Iterator[bytes]:
    """A file in a tar archive: header, content, padding. It has no owner and no time, so archives are reproducible."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    yield content
    if rest := len(content) % tarfile.BLOCKSIZE:
        yield bytes(tarfile.BLOCKSIZE - rest)
