"""Writes parquet files with pyarrow: the Arrow schema of our columns, and rows a few at a time."""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from batcher.core.errors import UsageError
from batcher.export.columns import Kind
from batcher.manifest.extras import install_command

_ROWS, _BYTES = 1_000, 8 << 20  # most rows and bytes of a row group, which is held in memory
_TYPES = {  # the names that both pyarrow and datasets use
    Kind.TEXT: "string", Kind.INTEGER: "int64", Kind.NUMBER: "float64", Kind.BOOLEAN: "bool", Kind.BINARY: "binary",
}  # fmt: skip


def is_here() -> bool:
    """Whether pyarrow is installed."""
    return find_spec("pyarrow") is not None


def require(folder: Path) -> None:
    """Raises UsageError if pyarrow is not installed, or can't open paths in this folder."""
    if not is_here():
        raise UsageError("parquet needs pyarrow, which is not installed", hint=install_command("parquet"))
    try:
        str(folder).encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"{folder} has bytes in it that are not UTF-8, and pyarrow can't open such a path",
            hint="Nothing was written. Choose another folder.",
        ) from None


class ParquetFile:
    """A parquet file to which rows are added one by one.

    path: an empty file. columns: their types by name, in order.
    image: whether there is also a column ``image``, whose values are ``{"bytes": ..., "path": ...}``.
    """

    def __init__(self, path: str, columns: Mapping[str, Kind], *, image: bool) -> None:
        import pyarrow as pa  # noqa: PLC0415  an extra
        import pyarrow.parquet as pq  # noqa: PLC0415

        self._pa, self._image = pa, image
        fields = [pa.field(name, pa.type_for_alias(_TYPES[kind])) for name, kind in columns.items()]
        features: dict[str, Any] = {n: {"dtype": _TYPES[kind], "_type": "Value"} for n, kind in columns.items()}
        self._heavy = [name for name, kind in columns.items() if kind is Kind.BINARY]
        names = [name for name in columns if name not in self._heavy]
        packed = dict.fromkeys(self._heavy, "none") | dict.fromkeys(names, "zstd")
        if image:
            fields.insert(0, pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])))
            features = {"image": {"_type": "Image"}, **features}
            packed |= {"image.bytes": "none", "image.path": "zstd"}
        self._schema = pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})
        self._writer = pq.ParquetWriter(
            path,
            self._schema,
            compression=packed,
            use_dictionary=names,
            # Values per page. A page of many images does not fit into the processor's cache while it is copied from
            # buffer to buffer, which takes three times as long.
            write_batch_size=1 if image or self._heavy else None,
            write_statistics=names,  # else the smallest and the largest image of a group are in the file twice
        )
        self._rows: list[Mapping[str, Any]] = []
        self._bytes = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Add a row: a value for each column, by name."""
        self._rows.append(row)
        self._bytes += len(row["image"]["bytes"]) if self._image else sum(len(row[name]) for name in self._heavy)
        if len(self._rows) >= _ROWS or self._bytes >= _BYTES:
            self._flush()

    def close(self) -> None:
        """Write the remaining rows and the footer."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._pa.Table.from_pylist(self._rows, self._schema))
        self._rows = []
        self._bytes = 0
