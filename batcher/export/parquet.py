"""``parquet``: tables with the pictures in them, as ``datasets`` lays an ``Image`` out; DuckDB and pandas read them
too.

``image`` is a structure of ``bytes`` and ``path``; the other columns are plain, with the types settled over all rows.
What ``datasets`` makes of them is written into the file (its ``huggingface`` key), so it need not guess.
"""

from collections.abc import Iterator
from typing import Any

from batcher.export import arrow
from batcher.export.columns import Kind
from batcher.export.dataset_card import card
from batcher.export.folder import Folder
from batcher.export.request import SPLITS_OF_DATASETS, Order
from batcher.export.selection import Sample, Selection
from batcher.export.shards import Row, ShardTarget
from batcher.export.target import Advance


class Parquet(ShardTarget):
    extension = "parquet"

    def __init__(self, order: Order, selection: Selection) -> None:
        super().__init__(order, selection)
        arrow.require(order.folder)

    def values(self, sample: Sample) -> dict[str, Any]:
        values = super().values(sample)
        return values if self.order.pictures else {"file": sample.picture.file, **values}

    def write(self, folder: Folder, advance: Advance) -> None:
        super().write(folder, advance)
        folder.write("README.md", self._card())

    def write_shard(self, folder: Folder, name: str, rows: list[Row]) -> None:
        columns = self.columns.kinds()
        if not self.order.pictures:
            columns = {"file": Kind.TEXT, **columns}
        with folder.growing(name) as file:
            table = arrow.ParquetFile(file.name, columns, image=self.order.pictures)
            for (sample, *_), values in rows:
                table.add({**values, "image": self._image(sample)} if self.order.pictures else values)
            table.close()

    def _image(self, sample: Sample) -> dict[str, Any]:
        return {"bytes": self.content(sample), "path": f"{sample.name}.{sample.extension}"}

    def _card(self) -> Iterator[str]:
        return card(
            title=self.order.folder.absolute().name,
            load='from datasets import load_dataset\n\ndataset = load_dataset("parquet", data_dir="this folder")',
            paths={SPLITS_OF_DATASETS[split]: [f"{split}/*.parquet"] for split in self.shards},
            pictures={split: self.pictures[split] for split in self.shards},
            columns=self.columns.kinds(),
            models=sorted(self.models),
            simulated=self.simulated,
            notes=self.notes,
        )
