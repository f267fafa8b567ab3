"""Tar shards and parquet files, read by every library that is promised to read them."""

import io
import json
import os
import tarfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from batcher.export.webdataset import member
from tests.export.conftest import Batcher
from tests.support.handmade_runs import Asked, a_run, redo, seeds, tree, unlist

pytestmark = [  # the webdataset library leaves closing its files to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def by_webdataset(*shards: Path) -> list[dict[str, Any]]:
    library = import_module("webdataset")
    return list(library.WebDataset([str(shard) for shard in shards], shardshuffle=False))


def by_datasets(kind: str, folder: Path, cache: Path) -> Any:
    library = import_module("datasets")
    library.disable_progress_bars()
    return library.load_dataset(kind, data_dir=str(folder), cache_dir=str(cache))


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_both_libraries_read_every_sample(kind: str, exported: Any, tmp_path: Path) -> None:
    asked = [
        Asked(prompt="a test at night", inputs={"seed": 2**63 - 1}, meta={"x": "n.1"}, kind=kind),
        Asked(prompt="三只猫", id="三只猫", inputs={"seed": 2}, kind=kind),
        Asked(prompt="c", id="v1.png_dev", inputs={"seed": 3}, meta={"x": "é"}, kind=kind, images=2),
    ]
    run = a_run(tmp_path / "run", asked)
    exported(run, "webdataset")
    samples = by_webdataset(tmp_path / "out/train/000000.tar")
    assert [sample["txt"].decode() for sample in samples] == ["a test at night", "三只猫", "c", "c"]
    assert [json.loads(sample["json"])["seed"] for sample in samples] == [2**63 - 1, 2, 3, 3]
    assert [json.loads(sample["json"])["x"] for sample in samples] == ["n.1", "", "é", "é"]
    assert [sample[kind] for sample in samples] == [path.read_bytes() for path in sorted(run.rglob(f"*.{kind}"))]
    assert all({kind, "txt", "json"} < sample.keys() and "." not in sample["__key__"] for sample in samples)

    rows = list(by_datasets("webdataset", tmp_path / "out", tmp_path / "cache")["train"])
    assert [row["txt"] for row in rows] == ["a test at night", "三只猫", "c", "c"]
    assert [row["json"]["seed"] for row in rows] == [2**63 - 1, 2, 3, 3]
    assert [row[kind].size for row in rows] == [(8, 6)] * 4


def test_a_column_of_numbers_with_gaps_is_text(exported: Any, tmp_path: Path) -> None:
    asked = [*seeds(["a"] * 6), Asked(prompt="b", inputs={"steps": 4})]
    report = exported(a_run(tmp_path / "run", asked), "webdataset")
    rows = list(by_datasets("webdataset", tmp_path / "out", tmp_path / "cache")["train"])
    assert [row["json"]["steps"] for row in rows] == [""] * 6 + ["4"]
    assert [row["json"]["seed"] for row in rows] == ["0"] * 6 + [""]
    assert sum("is text here" in note for note in report["notes"]) == 2


def test_images_of_different_kinds_are_refused_unless_converted(
    batcher: Batcher, exported: Any, tmp_path: Path
) -> None:
    run = a_run(tmp_path / "run", [Asked(prompt="a"), Asked(prompt="b", kind="jpg")])
    came = batcher("export", run, tmp_path / "out", "--to", "webdataset")
    assert came.code == 64
    assert "1 jpg" in came.err
    assert not (tmp_path / "out").exists()
    exported(run, "webdataset", "--convert", "png")
    assert [Image.open(io.BytesIO(s["png"])).format for s in by_webdataset(tmp_path / "out/train/000000.tar")] == [
        "PNG"
    ] * 2


def test_shards_are_cut_by_count_and_by_size_and_listed_with_their_counts(exported: Any, tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", seeds(["a"], 7))
    exported(run, "webdataset", "--shard-count", "3")
    index = json.loads((tmp_path / "out/index.json").read_text())
    assert [shard["samples"] for shard in index["splits"]["train"]["shards"]] == [3, 3, 1]
    assert index["splits"]["train"]["urls"] == "train/{000000..000002}.tar"
    shards = sorted((tmp_path / "out/train").iterdir())
    assert [len(by_webdataset(shard)) for shard in shards] == [3, 3, 1]

    size = next(run.rglob("*.png")).stat().st_size
    exported(run, "webdataset", "--shard-size", f"{2 * size}B", folder="by_size")
    assert len(list((tmp_path / "by_size/train").iterdir())) == 4


@pytest.mark.parametrize("to", ["webdataset", "parquet"])
def test_growth_leaves_full_shards_alone(to: str, exported: Any, tmp_path: Path) -> None:
    asked = [Asked(prompt="late", inputs={"seed": 99}, fails=True), *seeds(["a"], 7)]
    run = a_run(tmp_path / "run", asked)
    words = ("--shard-count", "3")
    exported(run, to, *words)
    first = sorted((tmp_path / "out/train").iterdir())
    before = [shard.stat().st_ino for shard in first[:2]]
    a_run(run, seeds(["b"], 2))
    redo(run, "late", Asked(prompt="late"))  # the job that stood first comes last
    report = exported(run, to, *words)
    after = sorted((tmp_path / "out/train").iterdir())
    assert [shard.stat().st_ino for shard in after[:2]] == before
    assert (len(after), report["unchanged"], report["pictures"]) == (4, 2, 10)

    unlist(run, "a")
    report = exported(run, to, *words)
    assert (report["pictures"], report["removed"]) == (3, 3)
    assert [path.name for path in (tmp_path / "out/train").iterdir()] == [
        f"000000.{'tar' if to == 'webdataset' else to}"
    ]


def test_the_same_run_makes_the_same_archive(exported: Any, tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", seeds(["a"], 4))
    exported(run, "webdataset", folder="one")
    exported(run, "webdataset", folder="two")
    one, two = tree(tmp_path / "one"), tree(tmp_path / "two")
    assert one["train/000000.tar"] == two["train/000000.tar"]


@pytest.mark.parametrize("name", ["a.png", "x" * 100, "y" * 101 + ".png", "三只猫.png"])
@pytest.mark.parametrize("size", [0, 1, 511, 512, 513])
def test_a_member_is_what_tarfile_reads(name: str, size: int) -> None:
    content = os.urandom(size)
    archive = io.BytesIO(b"".join(member(name, content)) + bytes(1024))
    with tarfile.open(fileobj=archive) as tar:
        (entry,) = tar.getmembers()
        stored = tar.extractfile(entry)
        assert stored is not None
        assert (entry.name, stored.read(), entry.mode, entry.isfile()) == (name, content, 0o644, True)


@pytest.fixture
def table(exported: Any, tmp_path: Path) -> Callable[..., Path]:
    def made(*words: object) -> Path:
        asked = [
            Asked(prompt="a test", inputs={"seed": 2**63 - 1, "guidance": 1}, meta={"day": "2024-02-01", "n": 5}),
            Asked(prompt="三只猫", inputs={"seed": 2, "guidance": 2.5}, meta={"n": "five"}),
            Asked(prompt="c", inputs={"guidance": 3}, meta={"good": True}, kind="jpg"),
        ]
        exported(a_run(tmp_path / "run", asked), "parquet", *words)
        return tmp_path / "out/train/000000.parquet"

    return made


def test_datasets_reads_parquet_with_images_and_types(table: Callable[..., Path], tmp_path: Path) -> None:
    table()
    loaded = by_datasets("parquet", tmp_path / "out", tmp_path / "cache")["train"]
    assert str(loaded.features["image"]).startswith("Image")
    rows = list(loaded)
    assert [row["image"].size for row in rows] == [(8, 6)] * 3
    assert [row["prompt"] for row in rows] == ["a test", "三只猫", "c"]
    assert [row["seed"] for row in rows] == [2**63 - 1, 2, None]
    assert [row["guidance"] for row in rows] == [1.0, 2.5, 3.0]
    assert [row["day"] for row in rows] == ["2024-02-01", None, None]
    assert [row["n"] for row in rows] == ["5", "five", None]
    assert [row["good"] for row in rows] == [None, None, True]


def test_duckdb_reads_parquet(table: Callable[..., Path], tmp_path: Path) -> None:
    path = table()
    rows = (
        import_module("duckdb")
        .sql(f"SELECT prompt, seed, guidance, good, image.bytes, image.path FROM '{path}' ORDER BY job")
        .fetchall()
    )
    by_prompt = {row[0]: row[1:] for row in rows}
    assert by_prompt["a test"][:3] == (2**63 - 1, 1.0, None)
    assert by_prompt["c"][:3] == (None, 3.0, True)
    run = {path.read_bytes() for path in (tmp_path / "run").rglob("*.*g")}
    assert {row[4] for row in rows} == run
    assert all(row[5].endswith((".png", ".jpg")) for row in rows)


def test_pandas_reads_parquet_without_images(table: Callable[..., Path]) -> None:
    frame = import_module("pandas").read_parquet(table("--no-pictures"))
    assert list(frame["prompt"]) == ["a test", "三只猫", "c"]
    assert "image" not in frame.columns
    assert list(frame["file"]) == ["images/0000/p0.png", "images/0000/p1.png", "images/0000/p2.jpg"]


def test_many_rows_come_in_groups_of_rows(exported: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batcher.export.arrow._ROWS", 10)
    exported(a_run(tmp_path / "run", seeds(["a"], 25)), "parquet")
    facts = import_module("pyarrow.parquet").ParquetFile(tmp_path / "out/train/000000.parquet").metadata
    assert [facts.row_group(at).num_rows for at in range(facts.num_row_groups)] == [10, 10, 5]
