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

# By name: its reader (YAML is read elsewhere), the endings of its files, and other names for ``--format``.
_Reader = Callable[[Source, str, Reading], FileReader]
FORMATS: dict[str, tuple[_Reader | None, tuple[str, ...], tuple[str, ...]]] = {
    "yaml": (None, (".yaml", ".yml"), ("yml",)),
    "csv": (TextTable, (".csv",), ()),
    "tsv": (TextTable, (".tsv", ".tab"), ()),
    "tsv-quoted": (TextTable, (), ()),
    "jsonl": (JsonLines, (".jsonl", ".ndjson"), ("ndjson",)),
    "json": (JsonDocument, (".json",), ()),
    "records": (Records, (), ()),
    "parquet": (ParquetTable, (".parquet",), ()),
    "xlsx": (Workbook, (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"), ("excel", "xls", "ods")),
    "txt": (TextLines, (".txt",), ("text",)),
    "a1111": (PromptLines, (), ("automatic1111",)),
    "kohya": (PromptLines, (), ()),
    "folder": (TextFolder, (), ("dir",)),
}


def named_format(name: str) -> str | None:
    """The format of ``--format NAME``, None for an unknown name."""
    wanted = name.strip().lower()
    return next((form for form, (_, _, also) in FORMATS.items() if wanted in {form, *also}), None)


def format_of(path: str) -> str | None:
    """The format of a file or folder by its name, None if the name does not say."""
    if path.lower().endswith((".json", ".jsonl")) and begins_with_record(path):
        return "records"
    if os.path.isdir(path):  # noqa: PTH112  any str
        return "folder"
    ending = PurePath(path).suffix.lower()
    return next((form for form, (_, endings, _) in FORMATS.items() if ending in endings), None)


def reader(source: Source, form: str, reading: Reading) -> FileReader:
    """The reader of a format. form: one of FORMATS, but not ``yaml``."""
    made, _, _ = FORMATS[form]
    assert made is not None
    return made(source, form, reading)
