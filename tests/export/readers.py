"""The real readers, each giving what it sees in an export, sample by sample.

Nothing here knows how an export is made: this is the other side. They are kept off the network, and what they cache is
removed.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple


class Seen(NamedTuple):
    """A sample as a reader gives it. values: of its columns. picture: encoded; None when it could not be had.

    problem: what went wrong with it, nothing when nothing did.
    """

    split: str
    values: Mapping[str, Any]
    picture: bytes | None
    problem: str = ""


Look = tuple[list[str], Iterator[Seen]]  # what the reader says of the whole, in lines; its samples


def library(name: str) -> Any:
    return import_module(name)


@contextmanager
def imagefolder(folder: Path, marker: Mapping[str, Any]) -> Iterator[Look]:
    """``datasets.load_dataset("imagefolder", data_dir=folder)``"""
    del marker
    with _datasets() as (datasets, cache):
        splits = datasets.load_dataset("imagefolder", data_dir=str(folder), cache_dir=cache)
        samples = (
            _of_row(split, row)
            for split, table in splits.items()
            for row in table.cast_column("image", datasets.Image(decode=False))
        )
        yield _described(splits), samples


@contextmanager
def parquet(folder: Path, marker: Mapping[str, Any]) -> Iterator[Look]:
    """``datasets.load_dataset("parquet", data_dir=folder)``, streamed, so that no picture is copied."""
    with _datasets() as (datasets, _):
        splits = datasets.load_dataset("parquet", data_dir=str(folder), streaming=True)
        pictures = not marker["options"].get("no_pictures")

        def samples() -> Iterator[Seen]:
            for split, table in splits.items():
                rows = table.cast_column("image", datasets.Image(decode=False)) if pictures else table
                for row in rows:
                    yield _of_row(split, row)

        yield _described(splits), samples()


@contextmanager
def webdataset(folder: Path, marker: Mapping[str, Any]) -> Iterator[Look]:
    """``webdataset.WebDataset`` for the samples; ``datasets`` too, where it is there: it has stricter rules."""
    del marker
    library("webdataset")
    index = _index(folder)
    lines = _as_datasets_sees(folder) if _is_here("datasets") else ["datasets is not installed, so it was not asked"]
    yield lines, _of_tars(folder, index)


@contextmanager
def captions(folder: Path, marker: Mapping[str, Any]) -> Iterator[Look]:
    """As trainers do: a picture, and the ``.txt`` with its stem; no library is needed."""
    splits = marker["pictures"]
    flat = "split" not in marker["options"]
    yield (
        ["kohya, SimpleTuner, OneTrainer, ai-toolkit: .txt beside each picture"],
        (seen for split in splits for seen in _of_folder(folder if flat else folder / split, split)),
    )


READERS: Mapping[str, Callable[[Path, Mapping[str, Any]], Any]] = {
    "imagefolder": imagefolder,
    "webdataset": webdataset,
    "parquet": parquet,
    "captions": captions,
}


@contextmanager
def _datasets() -> Iterator[tuple[Any, str]]:
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        os.environ.setdefault(name, "1")
    datasets = library("datasets")
    bars = datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory(prefix="batcher-check-") as cache:
        try:
            yield datasets, cache
        finally:
            if not bars:
                datasets.enable_progress_bars()


def _described(splits: Any) -> list[str]:
    lines = []
    for split, table in splits.items():
        rows = getattr(table, "num_rows", None)
        kinds = ", ".join(f"{name} ({_kind(feature)})" for name, feature in (table.features or {}).items())
        lines.append(f"datasets sees {split}: {f'{rows:,} rows of ' if rows is not None else ''}{kinds}")
    return lines


def _kind(feature: Any) -> str:
    return str(getattr(feature, "dtype", None) or type(feature).__name__).removeprefix("PIL.").removesuffix(".Image")


def _of_row(split: str, row: Mapping[str, Any]) -> Seen:
    values = {name: value for name, value in row.items() if name != "image"}
    image = row.get("image")
    if image is None:
        return Seen(split, values, None)
    try:
        content = image["bytes"] if image["bytes"] is not None else Path(image["path"]).read_bytes()
    except OSError as error:
        return Seen(split, values, None, f"{type(error).__name__}: {error.strerror}")
    return Seen(split, values, content)


def _is_here(name: str) -> bool:
    try:
        library(name)
    except ImportError:
        return False
    return True


def _as_datasets_sees(folder: Path) -> list[str]:
    with _datasets() as (datasets, _):
        splits = datasets.load_dataset("webdataset", data_dir=str(folder), streaming=True)
        counts = {split: sum(1 for _ in table.decode(False)) for split, table in splits.items()}
        return [*_described(splits), *(f"datasets sees {split}: {count:,} samples" for split, count in counts.items())]


def _index(folder: Path) -> Mapping[str, Any]:
    index: Mapping[str, Any] = json.loads((folder / "index.json").read_bytes())
    return index["splits"]  # type: ignore[no-any-return]  # as we wrote it


def _of_tars(folder: Path, index: Mapping[str, Any]) -> Iterator[Seen]:
    webdataset_library = library("webdataset")
    for split, facts in index.items():
        urls = [str(folder / shard["name"]) for shard in facts["shards"]]
        urls += sorted(
            {str(path) for path in (folder / split).glob("*.tar")} - set(urls)
        )  # who names them by * does too
        for sample in webdataset_library.WebDataset(urls, shardshuffle=False):
            values = json.loads(sample["json"]) if "json" in sample else {}
            extension = next((name for name in ("png", "jpg", "webp", "gif", "avif") if name in sample), None)
            missing = [name for name in ("json", "txt") if name not in sample]
            problem = f"{sample['__key__']} has no {missing[0]}" if missing else ""
            values = {**values, "txt": sample.get("txt", b"").decode(errors="replace")}
            yield Seen(split, values, sample[extension] if extension else None, problem)


def _of_folder(folder: Path, split: str) -> Iterator[Seen]:
    with os.scandir(folder) as items:
        for item in items:
            stem, _, extension = item.name.rpartition(".")
            if extension.lower() in {"png", "jpg", "jpeg", "webp", "bmp", "gif", "avif"}:
                yield _captioned(Path(item.path), stem, split)


def _captioned(path: Path, stem: str, split: str) -> Seen:
    values = {"file_name": path.name}
    try:
        text = path.with_name(f"{stem}.txt").read_bytes().decode("utf-8")
    except FileNotFoundError:
        return Seen(split, values, path.read_bytes(), "it has no .txt: trainers take it without a caption")
    except UnicodeDecodeError:
        return Seen(split, values, path.read_bytes(), "its .txt is not UTF-8: kohya stops at it")
    lines = text.splitlines()
    problem = ""
    if not text.strip():
        problem = "its .txt is empty: kohya stops at it"
    elif len(lines) > 1:
        problem = f"its .txt has {len(lines)} lines: kohya reads the first, SimpleTuner takes each for a caption"
    return Seen(split, {**values, "caption": lines[0] if lines else ""}, path.read_bytes(), problem)
