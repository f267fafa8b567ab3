"""``parquet``: tables that contain the images, for ``datasets``, DuckDB and pandas.

``image`` is a structure of ``bytes`` and ``path``, as an ``Image`` of ``datasets``. The other columns are plain values,
with types that hold all rows. The key ``huggingface`` of the file's metadata names the types for ``datasets``.
"""

from typing import Any

from batcher.export import arrow
from batcher.export.columns import Kind
from batcher.export.dataset_card import card
from batcher.export.folder import Folder
from batcher.export.matching import Sample
from batcher.export.request import Order
from batcher.export.selection import Selection
from batcher.export.shards import Row, ShardTarget
from batcher.export.target import Advance


class Parquet(ShardTarget):
    """The ``parquet`` target. With ``--no-pictures`` a column ``file`` replaces the images.

    order, selection: as of ``Target``. Raises UsageError if pyarrow is not installed.
    """

    extension = "parquet"

    def __init__(self, order: Order, selection: Selection) -> None:
        super().__init__(order, selection)
        arrow.require(order.folder)

    def values(self, sample: Sample) -> dict[str, Any]:
        values = super().values(sample)
        return {"file": sample.image.file, **values} if self.order.no_pictures else values

    def write(self, folder: Folder, advance: Advance) -> None:
        super().write(folder, advance)
        folder.write("README.md", card(self, "parquet", "*.parquet", self.columns.kinds()))

    def write_shard(self, folder: Folder, name: str, rows: list[Row]) -> None:
        columns = self.columns.kinds()
        if self.order.no_pictures:
            columns = {"file": Kind.TEXT, **columns}
        with folder.growing(name) as file:
            table = arrow.ParquetFile(file.name, columns, image=not self.order.no_pictures)
            for (sample, *_), values in rows:
                table.add(values if self.order.no_pictures else {**values, "image": self._image(sample)})
            table.close()

    def _image(self, sample: Sample) -> dict[str, Any]:
        return {"bytes": self.content(sample), "path": f"{sample.name}.{sample.extension}"}
