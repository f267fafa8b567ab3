"""The reader for a file: by ``--format`` (or ``format:``), else by its extension."""

import os
from collections.abc import Callable
from pathlib import PurePath

from batcher.manifest.readers.json.records import Records, begins_with_record
from batcher.manifest.readers.json.rows import JsonDocument, JsonLines
from batcher.manifest.readers.prompt_lines import PromptLines
from batcher.manifest.readers.reading import FileReader, Reading
from batcher.manifest.readers.source import Source
from batcher.manifest.readers.tables.parquet import ParquetTable
from batcher.manifest.readers.tables.text import TextTable
from batcher.manifest.readers.tables.workbook import Workbook
from batcher.manifest.readers.texts import TextFolder, TextLines

FORMATS = (
    "yaml", "csv", "tsv", "tsv-quoted", "jsonl", "json", "records", "parquet", "xlsx", "txt", "a1111", "kohya",
    "folder",
)  # fmt: skip
_EXTENSIONS = {
    ".yaml": "yaml", ".yml": "yaml", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".jsonl": "jsonl",
    ".ndjson": "jsonl", ".json": "json", ".parquet": "parquet", **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls",
    ".ods"), "xlsx"), ".txt": "txt",
}  # fmt: skip
_SYNONYMS = {
    "text": "txt", "yml": "yaml", "ndjson": "jsonl", "dir": "folder", "automatic1111": "a1111", "excel": "xlsx",
    "xls": "xlsx", "ods": "xlsx",
}  # fmt: skip


def named_format(name: str) -> str | None:
    """The format of ``--format NAME``, None for an unknown name."""
    lower = name.strip().lower()
    lower = _SYNONYMS.get(lower, lower)
    return lower if lower in FORMATS else None


def format_of(path: str) -> str | None:
    """The format of a file or folder by its name, None if the name does not say."""
    if path.lower().endswith((".json", ".jsonl")) and begins_with_record(path):
        return "records"
    return "folder" if os.path.isdir(path) else _EXTENSIONS.get(PurePath(path).suffix.lower())  # noqa: PTH112  any str


def reader(source: Source, form: str, reading: Reading) -> FileReader:
    """The reader of a format. form: one of FORMATS, but not ``yaml``."""
    if form in {"a1111", "kohya"}:
        return PromptLines(source, form, reading)
    plain = _READERS.get(form)
    return plain(source, reading) if plain else TextTable(source, form, reading)


_READERS: dict[str, Callable[[Source, Reading], FileReader]] = {
    "txt": TextLines,
    "folder": TextFolder,
    "records": Records,
    "parquet": ParquetTable,
    "xlsx": Workbook,
    "json": JsonDocument,
    "jsonl": JsonLines,
}
