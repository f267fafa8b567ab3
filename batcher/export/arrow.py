"""Tables as Arrow knows them: the schema of our columns, and a parquet file written a few rows at a time."""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, BinaryIO

from batcher.errors import UsageError
from batcher.export.columns import Kind

_ROWS, _BYTES = 1_000, 64 << 20  # of a row group: what is in memory at once
_DATASETS = {Kind.TEXT: "string", Kind.INTEGER: "int64", Kind.NUMBER: "float64", Kind.BOOLEAN: "bool"}


def is_here() -> bool:
    return find_spec("pyarrow") is not None


def require() -> None:
    """Raises UsageError without pyarrow."""
    if not is_here():
        raise UsageError("parquet needs pyarrow, which is not installed", hint='pip install "batcher[parquet]"')


class ParquetFile:
    """Rows go in one by one. image: whether each has an ``image``, a mapping of ``bytes`` and ``path``."""

    def __init__(self, file: BinaryIO, columns: Mapping[str, Kind], *, image: bool) -> None:
        import pyarrow as pa  # noqa: PLC0415  an extra
        import pyarrow.parquet as pq  # noqa: PLC0415

        types = {
            Kind.TEXT: pa.string(), Kind.INTEGER: pa.int64(), Kind.NUMBER: pa.float64(), Kind.BOOLEAN: pa.bool_(),
        }  # fmt: skip
        fields = [pa.field(name, types[kind]) for name, kind in columns.items()]
        features: dict[str, Any] = {
            name: {"dtype": _DATASETS[kind], "_type": "Value"} for name, kind in columns.items()
        }
        if image:
            fields.insert(0, pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])))
            features = {"image": {"_type": "Image"}, **features}
        self._schema = pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})
        names = list(columns)
        packed = dict.fromkeys(names, "zstd") | ({"image.bytes": "none", "image.path": "zstd"} if image else {})
        self._writer = pq.ParquetWriter(
            file,
            self._schema,
            compression=packed,  # pictures are packed already
            use_dictionary=names,
            write_statistics=names,  # the smallest and largest picture of a group would be in the file twice
        )
        self._table = pa.Table
        self._rows: list[Mapping[str, Any]] = []
        self._bytes = 0

    def add(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)
        image = row.get("image")
        self._bytes += len(image["bytes"]) if isinstance(image, dict) else 0
        if len(self._rows) >= _ROWS or self._bytes >= _BYTES:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(self._table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()
            self._bytes = 0
