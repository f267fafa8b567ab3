"""Parquet: one prompt a row, columns as in CSV, read a few rows at a time.

A file may have row groups of gigabytes, and cells that are images. So the reader takes as many rows at once as make a
few megabytes by the metadata of the file, and never reads columns of bytes. Null and NaN mean that no value is given.
Dates and decimals become text. Lists and structs stay what they are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from math import isfinite, isnan
from typing import Any

from batcher.core.errors import ManifestError
from batcher.core.suggest import printable, quoted
from batcher.manifest.extras import install_command
from batcher.manifest.problems import MOST
from batcher.manifest.readers.source import LONGEST_LINE, Source
from batcher.manifest.readers.tables.table import CellTable

_BATCH_BYTES, _MOST_ROWS = 4 * 2**20, 128  # at once; few rows, as metadata counts a text in a dictionary only once
_BUFFER = 2**20
_MOST_COLUMNS = 16_384


class ParquetTable(CellTable):
    """A reader of one Parquet file."""

    def _opened(self) -> tuple[list[str], Iterator[Iterator[tuple[Any, ...]]]]:
        """Raises ManifestError."""
        if find_spec("pyarrow") is None:
            raise self._source.failure("is read with pyarrow, which is not installed", install_command("parquet"))
        import pyarrow.parquet as pq  # noqa: PLC0415  an extra

        with _readable(self._source):
            schema = pq.read_schema(self._source.path)
            left_out = [field.name for field in schema if _holds_bytes(field.type)]
            if len(schema) > _MOST_COLUMNS:
                raise self._source.failure(f"a table of {len(schema):,} columns", f"the maximum is {_MOST_COLUMNS:,}")
            self._nested = any(field.type.num_fields for field in schema)
            file = pq.ParquetFile(self._source.path, buffer_size=_BUFFER, pre_buffer=False)
        self._refuse_bytes(left_out, list(schema.names))
        names = [name for name in schema.names if name not in left_out]
        return names, self._batches(file, names if left_out else None)

    def _refuse_bytes(self, left_out: list[str], names: list[str]) -> None:
        """Columns of bytes are an error where a prompt or an input is needed. Others are left out with a warning."""
        columns = self._reading.layout(names)
        needed = set(columns.named().values())
        for name in left_out[:MOST]:
            if name in needed:
                what = f"the column {quoted(name)} holds bytes, not text"
                mend, place = "write it as a column of strings", (1, names.index(name) + 1)
                if name == columns.prompt:
                    raise self._source.failure(what, mend, *place)
                self._wrong(place, what, mend)
            else:
                self._warn(f"{quoted(name)} holds bytes, and is left out")

    def _batches(self, file: Any, columns: list[str] | None) -> Iterator[Iterator[tuple[Any, ...]]]:
        with _readable(self._source):
            for at in range(file.num_row_groups):
                group = file.metadata.row_group(at)
                each = max(1, group.total_byte_size // max(1, group.num_rows))
                many = max(1, min(_MOST_ROWS, _BATCH_BYTES // each))
                for batch in file.iter_batches(many, row_groups=[at], columns=columns, use_threads=False):
                    cells = [self._cells(column) for column in batch.columns]
                    yield zip(*cells, strict=True) if cells else iter([()] * batch.num_rows)

    def _cells(self, column: Any) -> list[Any]:
        import pyarrow as pa  # noqa: PLC0415  an extra
        import pyarrow.compute as pc  # noqa: PLC0415

        kind = column.type
        if isinstance(kind, pa.BaseExtensionType):
            return self._cells(column.storage)
        if pa.types.is_dictionary(kind):
            values = [*self._cells(column.dictionary), None]
            return [values[at] for at in column.indices.fill_null(len(values) - 1).to_pylist()]
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
            if column.nbytes > LONGEST_LINE and pc.max(pc.binary_length(column)).as_py() > LONGEST_LINE:
                what = f"has a cell of more than {LONGEST_LINE // 2**20} MB"
                raise self._source.failure(what, "break it up: a prompt may have 1 MB at most")
        elif pa.types.is_temporal(kind) and not pa.types.is_duration(kind):
            column = column.cast(pa.string())
        elif not (pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
            return [_as_json(value) for value in column.to_pylist()]
        return list(column.to_pylist())


@contextmanager
def _readable(source: Source) -> Iterator[None]:
    """Turn what Arrow raises for a file that is no Parquet, is damaged or too large into a ManifestError."""
    import pyarrow as pa  # noqa: PLC0415  an extra

    try:
        yield
    except ManifestError:
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError, RecursionError) as error:
        reason = printable(str(error).split("\n", 1)[0][:120]) or type(error).__name__
        what = f"can't be read as Parquet: {reason}"
        raise source.failure(what, "check that the whole file is there, or write it again") from None


def _holds_bytes(kind: Any) -> bool:
    import pyarrow as pa  # noqa: PLC0415  an extra

    if isinstance(kind, pa.BaseExtensionType):
        return _holds_bytes(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _holds_bytes(kind.value_type)
    types = pa.types
    of_bytes = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary, types.is_binary_view)
    if any(is_kind(kind) for is_kind in of_bytes):
        return True
    return any(_holds_bytes(kind.field(at).type) for at in range(kind.num_fields))


def _as_json(value: Any) -> Any:
    """A Python object that Arrow made of a list, a struct or another value, as JSON data."""
    if isinstance(value, dict):
        return {str(name): _as_json(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(one) for one in value]
    if isinstance(value, float) and not isfinite(value):
        return None if isnan(value) else str(value)
    return value if value is None or isinstance(value, str | int | float) else str(value)
