"""Fuzz targets: the manifest readers, one for each format, and the flags that sweep and format them."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any
from zlib import crc32

import yaml

from batcher.core.errors import BatcherError, DiskError, ManifestError, UsageError
from batcher.core.job import Job, canonical_json
from batcher.core.settings import Given, fold
from batcher.manifest import Loader, Overrides, open_manifest
from batcher.manifest.schema import DEFAULT_MODEL, ModelSchema, bundled
from tests.fuzz.mutation import as_json, mutated_tree
from tests.fuzz.target import Target
from tests.support.terminal import harmless

SAMPLES = Path(__file__).parents[2] / "samples"
_WALKED = 200  # jobs of each manifest that are made
_RICH = {
    "properties": {
        "prompt": {"type": "string"},
        "seed": {"type": ["integer", "null"], "minimum": 0},
        "aspect_ratio": {"enum": ["16:9", "1:1"]},
        "images": {"type": "array", "items": {"type": "string", "format": "image_uri"}},
        "strength": {"type": "float", "maximum": 1},
        "lora": {"type": "object", "properties": {"path": {"type": "string", "pattern": "^(a+)+$"}}},
        "turbo": {"type": "boolean"},
    },
    "required": ["prompt"],
}
_TREE: dict[str, Any] = {
    "model": DEFAULT_MODEL,
    "defaults": {"negative_prompt": "text, watermark"},
    "prompts": [
        "a heron",
        {"prompt": "a {time} lake", "id": "lake", "seed": 7, "vars": {"time": ["misty", "frozen"]}, "meta": {"n": [1]}},
        {"file": "rows.csv", "prompt_column": "prompt", "meta": {"set": "rows"}},
        {"file": "rows.jsonl", "format": "jsonl", "seed": 3},
        {"file": "folder", "vars": {"x": "y"}},
        {"prompt": "{a|2::b} {1-2$$c|__colour__}", "dynamic": {"sample": 3, "from": 7}},
        {"file": "lines.txt", "format": "kohya", "dynamic": {"wildcards": "wildcards", "most": 50}},
    ],
    "matrix": {"aspect_ratio": ["16:9", "1:1"], "seed": {"start": 1, "count": 3, "step": 2}},
    "exclude": [{"aspect_ratio": "1:1", "seed": 3}],
    "include": [{"aspect_ratio": "16:9", "seed": 999}],
    "output": {"path": "{prompt_id}/{aspect_ratio}_s{seed:04d}"},
    "run": {"rate": "5/s", "in_flight": 64, "deadline": "07:00", "budget": 10},
}
_GROUPS: dict[str, Any] = {
    "defaults": {"negative_prompt": "text", "repeat": 2},
    "prompts": ["a heron", {"prompt": "a {time} lake", "vars": {"time": ["misty", {"file": "times.txt"}]}}],
    "groups": {
        "wide": {"matrix": {"aspect_ratio": ["16:9"]}, "output": {"path": "{group}/{prompt_id}_{copy}"}},
        "tall": {
            "defaults": {"negative_prompt": "hands", "repeat": 3},
            "prompts": [
                {"file": "rows.csv", "vars": {"x": {"file": "rows.csv", "column": "note"}}},
                {"file": "folder", "vars": {"x": {"file": "times.txt", "format": "txt"}}},
            ],
            "zip": {"aspect_ratio": ["16:9", "1:1"], "negative_prompt": ["a", "b"]},
        },
        "more": {"include": [{"aspect_ratio": "16:9"}], "exclude": []},
    },
}
_ROWS: list[Any] = [
    {"prompt": "a kite", "seed": 1, "id": "k", "category": "toys", "meta": {"a": [1, {"b": None}]}},
    {"Prompt": "a boat\nat sea", "aspect_ratio": "1:1", "Seed": 2.0},
    "a bare string",
    {"prompt": "é \u2028 \U0001f600", "negative_prompt": "", "note": 12345678901234567890},
]


@cache
def scratch() -> Path:
    """A folder of this process, in memory where there is such a disk, with the files that manifests name."""
    folder = Path(tempfile.mkdtemp(prefix="batcher-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))  # noqa: PTH112
    import atexit  # noqa: PLC0415  only here

    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "rows.csv").write_text("prompt,seed,note\na kite,1,x\n")
    (folder / "rows.jsonl").write_text('{"prompt": "a boat"}\n')
    (folder / "times.txt").write_text("misty\n\nfrozen\n")
    (folder / "lines.txt").write_text("a {boat|__colour__ kite} --n blur --d 1,2\n")
    (folder / "wildcards").mkdir()
    (folder / "wildcards" / "colour.txt").write_text("red\n{dark|light} blue\n")
    (folder / "wildcards" / "circle.txt").write_text("__circle__\n")
    (folder / "folder").mkdir()
    (folder / "folder" / "1.txt").write_text("a tree {x}")
    return folder


@cache
def _schemas() -> list[ModelSchema | None]:
    return [bundled(DEFAULT_MODEL), bundled(DEFAULT_MODEL), ModelSchema.from_json("a/b", _RICH), None]


def _flags(data: bytes) -> Overrides:
    """Some flags, told by the input itself, so that a kept input is all that a finding needs."""
    number = crc32(data) >> 8
    return Overrides(
        matrix=(("seed=1..3", "aspect_ratio=16:9,1:1"), ("seed=5",), (), ())[number % 4],
        set=((("negative_prompt", "blur"),), ())[number // 4 % 2],
        limit=(None, None, 3)[number // 8 % 3],
        prompt_column=(None, None, None, "note")[number // 24 % 4],
    )


def reader_of(suffix: str, form: str | None = None, *, dynamic: bool = False) -> Callable[[bytes], None]:
    def check(data: bytes) -> None:
        path = scratch() / f"manifest{suffix}"
        path.write_bytes(data)
        flags = _flags(data)
        flags = replace(flags, format=form, dynamic=dynamic)
        read_manifest(str(path), flags, _schemas()[crc32(data) % 4])

    return check


def read_manifest(path: str, flags: Overrides, schema: ModelSchema | None) -> None:
    """All that ``plan`` and ``run`` do with a manifest before anything is sent."""
    try:
        with open_manifest(path, flags) as loader:
            given = {n: Given(o.text, file=o.file, line=o.line, column=o.column) for n, o in loader.run_options.items()}
            try:
                fold({}, given)
            finally:
                with_jobs(loader, flags, schema)
    except (ManifestError, UsageError, DiskError) as error:
        readable(error)


def readable(error: BatcherError) -> None:
    for line in str(error).split("\n"):
        assert harmless(line), f"not fit for a terminal: {line!r}"
        short(line)


def short(message: str) -> None:
    assert len(message) < 3_000, f"a message of {len(message):,} characters: {message[:80]}"


def with_jobs(loader: Loader, flags: Overrides, schema: ModelSchema | None) -> None:
    loader.digest(schema)
    made = list(loader.jobs(schema, limit=min(_WALKED, flags.limit or _WALKED), lenient=True))
    totals = loader.totals
    assert totals is not None
    for warning in totals.warnings:
        assert harmless(warning), repr(warning)
    assert len(made) == totals.jobs, "counted and made differ"
    assert len({job.key for job in made}) == len(made), "two jobs with one key"
    for job in made:
        _can_be_kept(job)
    assert sum(share.jobs for share in totals.shares) == totals.jobs
    for share in totals.shares:
        assert all(sum(counts.values()) == share.jobs for counts in share.axes.values())


def _can_be_kept(job: Job) -> None:
    """Whether it can be sent, written to the state file, and have a picture and a sidecar."""
    sent = json.dumps(job.inputs, ensure_ascii=False)
    assert json.loads(sent.encode()) == job.inputs
    for text in (job.prompt_id, job.source, job.path, canonical_json(job.meta), canonical_json(job.inputs)):
        text.encode()
    json.dumps({"inputs": dict(job.inputs), "meta": dict(job.meta)}, ensure_ascii=False, indent=2, default=str)
    parts = job.path.split("/")
    assert all(part and part.strip(". ") and harmless(part) and len(part.encode()) <= 200 for part in parts), parts
    assert not job.path.startswith("/")
    assert "\\" not in job.path
    assert len(job.path.encode()) <= 900


def _tree(rng: Random, _corpus: Sequence[bytes]) -> bytes:
    """A YAML manifest from a changed tree: as JSON, which is YAML, or as PyYAML writes it."""
    tree = mutated_tree(rng.choice((_TREE, _TREE, _GROUPS)), rng)
    if rng.random() < 0.5:
        return as_json(tree, rng)
    try:
        return yaml.safe_dump(tree, allow_unicode=True, default_flow_style=rng.choice((None, True, False))).encode(
            errors="surrogatepass"
        )
    except (RecursionError, ValueError):
        return as_json(tree, rng)


def _json_rows(rng: Random, _corpus: Sequence[bytes]) -> bytes:
    tree: Any = _ROWS if rng.random() < 0.7 else {f"id{at}": row for at, row in enumerate(_ROWS)}
    return as_json(mutated_tree(tree, rng), rng)


def _json_lines(rng: Random, _corpus: Sequence[bytes]) -> bytes:
    rows = [mutated_tree(row, rng) if rng.random() < 0.5 else row for row in _ROWS]
    return b"\n".join(as_json(row, rng).replace(b"\n", b" ") for row in rows)


def _flags_check(data: bytes) -> None:
    """Lines of the input as ``--set``, ``--matrix``, ``--format``, ``--prompt-column`` and run options."""
    lines = data.decode(errors="surrogateescape").split("\n")
    path = scratch() / "flags.csv"
    path.write_text("prompt,note\na kite,x\na boat,y\n")
    pairs = [tuple(line[1:].split("=", 1)) for line in lines if line.startswith("s") and "=" in line]
    overrides = Overrides(
        set=tuple((name, value) for name, value in pairs),
        matrix=tuple(line[1:] for line in lines if line.startswith("m")),
        format=next((line[1:] for line in lines if line.startswith("f")), None),
        prompt_column=next((line[1:] for line in lines if line.startswith("c")), None),
    )
    read_manifest(str(path), overrides, _schemas()[crc32(data) % 4])
    for line in lines:
        name, _, text = line.partition("=")
        try:
            fold({name: Given(text, flag=f"--{name}")}, {})
        except UsageError:
            continue


def _parquet_files() -> list[bytes]:
    """None where its reader is not installed: then there is nothing to find."""
    if find_spec("pyarrow") is None:
        return [b"PAR1"]
    import pyarrow as pa  # noqa: PLC0415  an extra
    import pyarrow.parquet as pq  # noqa: PLC0415

    contents = []
    for options in ({"row_group_size": 2}, {"compression": "none", "use_dictionary": False}):
        sink = pa.BufferOutputStream()
        rows = {
            "prompt": ["a kite", "a boat", None],
            "seed": [1, None, 3],
            "tags": [["x"], [], None],
            "raw": [b"x"] * 3,
        }
        pq.write_table(pa.table(rows), sink, **options)
        contents.append(bytes(sink.getvalue()))
    return contents


def _sample(name: str, *more: bytes) -> Callable[[], list[bytes]]:
    return lambda: [(SAMPLES / name).read_bytes(), *more]


_CSV = (
    b'\xef\xbb\xbfid;Prompt;seed\n1;"a ""big"" kite\non a hill";7\n',
    b'prompt,aspect_ratio,images,strength,turbo,lora\r\na,16:9,"[""https://e.example/x.png""]",0.5,yes,{}\r\n',
    "prompt,seed\nvögel,1\n".encode("utf-16"),
)
_TEMPLATES = b"a {red|{dark|light} blue} {2$$ and $$kite|boat|__colour__}\n# a comment\n{3::a|b} costs $5 \\{x\\}\n"
_FLAG_LINES = (
    b"mseed=1..20\nmaspect_ratio=16:9,1:1\nsnegative_prompt=blur\nrate=5/s\ndeadline=07:00\nbudget=$10\ntimeout=1h30m",
    b'mimages=["https://e.example/a.png"]\nsstrength=0.5\nfcsv\ncnote\napi_rate=none\ncheck=decode\nattempts=2',
)

TARGETS = (
    Target(
        "manifest/yaml",
        "YAML manifests",
        18,
        lambda: [*_sample("prompts.yaml")(), yaml.safe_dump(_TREE).encode(), yaml.safe_dump(_GROUPS).encode()],
        reader_of(".yaml"),
        make=_tree,
        tokens=(
            b"prompts:",
            b"matrix:",
            b"exclude:\n  - {",
            b"include:",
            b"vars: {",
            b"meta: ",
            b"file: rows.csv",
            b"file: folder",
            b"vars: {x: {file: times.txt}}",
            b"groups: {g: {",
            b"output: {path: ",
            b"run: {",
            b"*a, *a, *a",
            b"&a [",
            b"? ",
            b"seed: 1..9",
            b"{meta.n}",
        ),
    ),
    Target(
        "manifest/csv",
        "CSV prompt files",
        10,
        _sample("prompts.csv", *_CSV),
        reader_of(".csv"),
        tokens=(b"seed,", b'","'),
    ),
    Target(
        "manifest/tsv", "TSV prompt files", 4, _sample("prompts.tsv"), reader_of(".tsv"), tokens=(b"\tseed", b"\t\t")
    ),
    Target("manifest/tsv-quoted", "TSV with quotes", 3, _sample("prompts.tsv", *_CSV), reader_of(".tsv", "tsv-quoted")),
    Target("manifest/jsonl", "JSON lines", 8, _sample("prompts.jsonl"), reader_of(".jsonl"), make=_json_lines),
    Target("manifest/json", "JSON prompt files", 8, _sample("prompts.json"), reader_of(".json"), make=_json_rows),
    Target("manifest/txt", "text files", 3, _sample("prompts.txt"), reader_of(".txt")),
    Target(
        "manifest/dynamic",
        "templates",
        4,
        lambda: [_TEMPLATES],
        reader_of(".txt", dynamic=True),
        tokens=(b"{", b"|", b"}", b"__", b"$$", b"::", b"__colour__", b"__circle__", b"../", b"\\", b"#", b"${", b"%{"),
    ),
    Target(
        "manifest/a1111",
        "a1111 lines",
        3,
        lambda: [b'--prompt "a kite" --seed 7 --width 1024 --height 1024 --negative_prompt bad, ugly\na boat'],
        reader_of(".txt", "a1111"),
        tokens=(b" --", b"'", b'"', b"\\", b" --seed ", b" --width ", b" --ar 1:1"),
    ),
    Target(
        "manifest/kohya",
        "kohya lines",
        3,
        lambda: [b"a kite --n bad, ugly --w 1408 --h 768 --d 7,8\n# a comment\na boat --ar 1:1"],
        reader_of(".txt", "kohya"),
        tokens=(b" --", b" --d 1,2", b" --w ", b" --h ", b" --n ", b"#"),
    ),
    Target("manifest/parquet", "Parquet files", 4, _parquet_files, reader_of(".parquet")),
    Target(
        "manifest/flags",
        "--set, --matrix and run options",
        4,
        lambda: list(_FLAG_LINES),
        _flags_check,
        tokens=(b"\nmseed=", b"\nsseed=", b"\nmlora=", b"\nmstrength=", b"..", b"-", b"1e400", b"\nbudget=", b"d1h"),
    ),
)
