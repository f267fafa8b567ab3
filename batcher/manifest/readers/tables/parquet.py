"""Parquet: one row one prompt, columns as in CSV, read a few rows at a time.

A file may have row groups of gigabytes, and cells that are pictures. So pages are read as they are needed, as many rows
at once as make some megabytes by the file's own account of itself, and columns of bytes are left where they are. Cells
have types already: null, and NaN, is a value that is not given; texts for an input are read as in CSV; dates and
decimals become text; lists and structs stay what they are. A "line" is the row's number, from 1.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from math import isfinite, isnan
from typing import Any

from batcher.core.errors import ManifestError
from batcher.manifest.extras import install_command
from batcher.manifest.problems import MOST, failure
from batcher.manifest.readers.columns import word
from batcher.manifest.readers.source import LONGEST_LINE, Source
from batcher.manifest.readers.tables.table import CellTable

_BATCH_BYTES, _MOST_ROWS = 4 * 2**20, 128  # at once; few, as a dictionary may hold texts far longer than it says
_BUFFER = 2**20
_MOST_COLUMNS = 16_384
_MOST_NAMED = 20


class ParquetTable(CellTable):
    """A reader of one Parquet file."""

    def _opened(self) -> tuple[list[str], Iterator[Iterator[tuple[Any, ...]]]]:
        """Raises ManifestError."""
        _require(self._source)
        import pyarrow.parquet as pq  # noqa: PLC0415  an extra

        with _readable(self._source.label):
            schema = pq.read_schema(self._source.path)
            left_out = [field.name for field in schema if _holds_bytes(field.type)]
            if len(schema) > _MOST_COLUMNS:
                what = f"a table of {len(schema):,} columns"
                raise failure(self._source.label, 0, 0, what, f"the maximum is {_MOST_COLUMNS:,}")
            self._nested = any(field.type.num_fields for field in schema)
            file = pq.ParquetFile(self._source.path, buffer_size=_BUFFER, pre_buffer=False)
        self._refuse_bytes(left_out, list(schema.names))
        names = [name for name in schema.names if name not in left_out]
        return names, self._batches(file, names if left_out else None)

    def _refuse_bytes(self, left_out: list[str], names: list[str]) -> None:
        """Columns of bytes are no text: an error where a prompt or an input is wanted, else left out with a warning."""
        columns = self._reading.layout(names)
        needed = {columns.prompt, columns.id, *(column for _, column in (*columns.inputs, *columns.special))}
        for name in left_out[:MOST]:
            if name in needed:
                what = f"the column `{word(name)}` holds bytes, not text"
                mend = "write it as a column of strings"
                if name == columns.prompt:
                    raise failure(self._source.label, 1, names.index(name) + 1, what, mend)
                self._reading.problems.add(self._source.label, 1, names.index(name) + 1, what, mend)
            else:
                self._reading.model_inputs.warn(f"{self._source.label}: `{word(name)}` holds bytes, and is left out")

    def _batches(self, file: Any, columns: list[str] | None) -> Iterator[Iterator[tuple[Any, ...]]]:
        with _readable(self._source.label):
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
        if _is_text(kind):
            if column.nbytes > LONGEST_LINE and pc.max(pc.binary_length(column)).as_py() > LONGEST_LINE:
                what = f"has a cell of more than {LONGEST_LINE // 2**20} MB"
                raise failure(self._source.label, 0, 0, what, "break it up: a prompt may have 1 MB at most")
        elif pa.types.is_temporal(kind) and not pa.types.is_duration(kind):
            column = column.cast(pa.string())
        elif not (pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
            return [_as_json(value) for value in column.to_pylist()]
        return list(column.to_pylist())


@contextmanager
def _readable(label: str) -> Iterator[None]:
    """What Arrow raises for a file that is none, cut off, damaged, or too large to be held, as an error of ours."""
    import pyarrow as pa  # noqa: PLC0415  an extra

    try:
        yield
    except ManifestError:
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError, RecursionError) as error:
        reason = word(str(error).split("\n", 1)[0][:120]) or type(error).__name__
        what = f"can't be read as Parquet: {reason}"
        raise failure(label, 0, 0, what, "check that the whole file is there, or write it again") from None


def _require(source: Source) -> None:
    if find_spec("pyarrow") is None:
        what = "is read with pyarrow, which is not installed"
        raise failure(source.label, 0, 0, what, install_command("parquet"))


def _is_text(kind: Any) -> bool:
    import pyarrow as pa  # noqa: PLC0415  an extra

    is_view = getattr(pa.types, "is_string_view", lambda _: False)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or is_view(kind))


def _holds_bytes(kind: Any) -> bool:
    import pyarrow as pa  # noqa: PLC0415  an extra

    if isinstance(kind, pa.BaseExtensionType):
        return _holds_bytes(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _holds_bytes(kind.value_type)
    is_view: Callable[[Any], bool] = getattr(pa.types, "is_binary_view", lambda _: False)
    bytes_kinds = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, is_view)
    if any(is_kind(kind) for is_kind in bytes_kinds):
        return True
    return any(_holds_bytes(kind.field(at).type) for at in range(kind.num_fields))


def _as_json(value: Any) -> Any:
    """Lists, structs and what else Arrow makes Python objects of, as JSON has them."""
    if isinstance(value, dict):
        return {str(name): _as_json(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(one) for one in value]
    if isinstance(value, float) and not isfinite(value):
        return None if isnan(value) else str(value)
    return value if value is None or isinstance(value, str | int | float) else str(value)
