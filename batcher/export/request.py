"""The options of an export, checked before anything is read or written."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from batcher.core.errors import UsageError
from batcher.core.one_line import one_line
from batcher.core.settings import parse_embed
from batcher.export import TARGETS
from batcher.export.benchmarks import BENCHMARKS
from batcher.export.splits import ONE, Splits, parse_splits
from batcher.images.kinds import PNG
from batcher.images.recode import FORMATS, Recode

# By folder name, the split that datasets loads it as. It ignores other folders, or loads them as part of train.
SPLITS_OF_DATASETS: Mapping[str, str] = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation", "dev": "validation",
    "val": "validation", "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(B|kB|MB|GB|KiB|MiB|GiB)", re.IGNORECASE)
_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options as typed, with defaults for the others.

    to: the target, one of TARGETS.
    where: an expression that selects images; None for all.
    split: such as ``train=0.9,test=0.1``; None for no splits.
    split_by: what stays together in one split: ``job``, ``prompt`` or ``meta.NAME``.
    convert: a format for the images, such as ``webp:90``; None to keep theirs.
    embed: what to write into the copies of the images; None for nothing.
    include_removed: whether to include jobs that are no longer in the manifest.
    allow_missing: whether jobs without an image leave the exit code 0, rather than 3.
    copy: whether to copy images rather than to link them.
    shard_size: most bytes of images in a shard, with a unit.
    shard_count: most samples in a shard.
    no_pictures: whether a parquet file has no images.
    caption: the template of captions.
    layout: the name of a benchmark, or a template for file names.
    """

    to: str
    where: str | None = None
    split: str | None = None
    split_by: str = "job"
    convert: str | None = None
    embed: str | None = None
    include_removed: bool = False
    allow_missing: bool = False
    copy: bool = False
    shard_size: str = "500MB"
    shard_count: int = 10_000
    no_pictures: bool = False
    caption: str = "{prompt}"
    layout: str = ""

    def given(self) -> dict[str, Any]:
        """The options that differ from their defaults, by name; always with ``to``."""
        return {one.name: value for one in fields(self) if (value := getattr(self, one.name)) != one.default}


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Options):
    """The options of one export, checked.

    run: the run directory. folder: the folder to export to. splits, recode: as parsed. words: what to embed.
    shard_bytes: ``shard_size`` in bytes. identity: the options that an export must share to be continued, by name.
    """

    run: Path
    folder: Path
    splits: Splits
    recode: Recode | None
    words: frozenset[str]
    shard_bytes: int
    identity: Mapping[str, Any]


_ONLY: Mapping[str, tuple[str, ...]] = {  # by option, the targets that it is for
    "shard_size": ("webdataset", "parquet", "pairs"),
    "shard_count": ("webdataset", "parquet", "pairs"),
    "no_pictures": ("parquet",),
    "caption": ("captions", "webdataset", "pairs"),
    "layout": ("layout",),
    "split": ("imagefolder", "webdataset", "parquet", "captions", "pairs"),  # a benchmark is scored whole
    **dict.fromkeys(("convert", "embed", "copy"), TARGETS[:-1]),  # with manifest no image is written
}


def ordered(run: Path, folder: Path, options: Options) -> Order:
    """Check the options. Raises UsageError if one is wrong, or is not for this target."""
    given = options.given()
    for name, targets in _ONLY.items():
        if name in given and options.to not in targets:
            raise UsageError(f"--{name.replace('_', '-')} is for --to {', '.join(targets)}, not for {options.to}")
    if options.to == "layout" and not options.layout:
        raise UsageError(
            "--to layout needs --layout", hint="Such as --layout geneval, or --layout '{index:05d}/{sample:04d}'."
        )
    splits = _splits(options)
    words = _embed(options)
    identity = {name: value for name, value in given.items() if name not in {"embed", "allow_missing"}}
    return Order(
        **asdict(options), run=run, folder=folder, splits=splits, words=words,
        recode=_layout_recode(options) or _recode(options.convert), shard_bytes=_size(options.shard_size),
        identity=identity | ({"embed": ",".join(sorted(words))} if words else {}),
    )  # fmt: skip


def _splits(options: Options) -> Splits:
    if options.split is None:
        if options.split_by != "job":
            raise UsageError("--split-by needs --split", hint="Such as --split train=0.9,test=0.1 --split-by prompt.")
        return ONE
    if options.to == "pairs" and options.split_by not in {"job", "prompt"}:
        raise UsageError("--to pairs keeps the pairs of a prompt together", hint="Leave --split-by out.")
    splits = parse_splits(options.split)
    if options.to in {"imagefolder", "webdataset", "parquet", "pairs"}:
        strange = [name for name in splits.names if name not in SPLITS_OF_DATASETS]
        names = [SPLITS_OF_DATASETS.get(name) for name in splits.names]
        if strange:
            raise UsageError(
                f"--split: datasets would not find a split called {strange[0]}",
                hint="It knows train, validation and test (and other words for these, such as val, dev and eval).",
            )
        if len(set(names)) < len(names):
            raise UsageError(
                f"--split: datasets would take two of {', '.join(splits.names)} for one split",
                hint="Use train, validation and test, each once.",
            )
    return splits


def _recode(text: str | None) -> Recode | None:
    if text is None:
        return None
    name, colon, quality = text.partition(":")
    kind = FORMATS.get(name.strip().lower())
    if kind is None or (colon and not (quality.isdecimal() and 1 <= int(quality) <= 100)):
        raise UsageError(
            f"--convert {text!r}: not a format with a quality from 1 to 100",
            hint="Write --convert webp:90, --convert jpeg:95 or --convert png.",
        )
    if kind is PNG and colon:
        raise UsageError(f"--convert {text!r}: png keeps every pixel and has no quality", hint="Write --convert png.")
    return Recode(kind, int(quality) if colon else 90)


def _embed(options: Options) -> frozenset[str]:
    if options.embed is None:
        return frozenset()
    try:
        words = parse_embed(options.embed)
    except ValueError as error:
        raise UsageError(f"--embed {one_line(options.embed, 60)!r}: {error}", hint="Nothing was written.") from None
    layout = BENCHMARKS.get(options.layout)
    if words and layout is not None and layout.tiles:
        raise UsageError(f"--embed is not for {options.layout}: each of its files is made of four images")
    if words and options.no_pictures:
        raise UsageError("--embed and --no-pictures contradict each other", hint="Leave one of them out.")
    return words


def _layout_recode(options: Options) -> Recode | None:
    """The format of the images in a benchmark's layout. Raises UsageError if ``--convert`` asks for another one."""
    layout = BENCHMARKS.get(options.layout)
    if layout is None:
        if options.layout and "{" not in options.layout:
            raise UsageError(
                f"--layout {options.layout!r}: no such layout, and a template has a {{field}} in it",
                hint=f"There are {', '.join(BENCHMARKS)}, and templates: '{{stem}}/{{index:05d}}_{{sample:02d}}'.",
            )
        return None
    wanted = _recode(options.convert)
    if wanted is not None and layout.recode is not None and wanted.kind is not layout.recode.kind:
        raise UsageError(f"--convert {options.convert}: {options.layout} reads {layout.recode.kind.extension} only")
    return wanted or layout.recode


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text.strip())
    size = float(match[1]) * _UNITS[match[2].lower()] if match else 0
    if size < 1:
        raise UsageError(f"--shard-size {text!r}: a size looks like 500MB or 2GB")
    return round(size)
