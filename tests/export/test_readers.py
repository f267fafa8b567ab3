"""What the real readers see of every export, and that damage is seen through them."""

import gc
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.export.conftest import Batcher
from tests.support.handmade_runs import Asked, a_run, seeds, unlist

pytestmark = [  # the webdataset library leaves closing its files to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
READERS = ("imagefolder", "webdataset", "parquet", "captions")
ASKED = [
    *seeds(["a train at night", "三只猫", "a test"], 4),
    Asked(prompt="last", inputs={"seed": 2**63 - 1, "guidance": 2.5}, meta={"day": "2024-02-01", "tags": ["x"]}),
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return a_run(tmp_path / "run", ASKED)


@pytest.mark.parametrize(
    "words", [(), ("--split", "train=0.5,val=0.25,test=0.25"), ("--convert", "webp:90"), ("--where", "seed < 3")]
)
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_sees_the_run_as_it_is(
    reader: str, words: tuple[str, ...], exported: Any, checked: Any, run: Path
) -> None:
    exported(run, reader, *words)
    facts = checked(reader)
    assert facts["findings"] == {}
    assert facts["seen"] == facts["expected"] == (9 if "--where" in words else 13)


def test_a_table_without_images_is_checked_too(exported: Any, checked: Any, run: Path) -> None:
    exported(run, "parquet", "--no-pictures")
    assert checked("parquet")["findings"] == {}


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "train/metadata.jsonl").read_text("utf-8").split("\n") if line]


def rewrite(folder: Path, rows: list[dict[str, Any]]) -> None:
    (folder / "train/metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def findings(facts: Any) -> dict[str, int]:
    return {kind: finding["count"] for kind, finding in facts["findings"].items()}


def test_a_caption_and_a_seed_that_changed_are_shown_with_both_sides(
    exported: Any, checked: Any, run: Path, tmp_path: Path
) -> None:
    exported(run, "imagefolder", "--copy")
    rows = lines(tmp_path / "out")
    rows[0]["prompt"], rows[1]["seed"] = "another", 77
    rewrite(tmp_path / "out", rows)
    facts = checked("imagefolder")
    assert findings(facts) == {"columns differ": 2}
    assert any(
        "'another' to the reader, 'a train at night'" in example
        for example in facts["findings"]["columns differ"]["examples"]
    )
    assert any(
        "seed is 77 to the reader, 1 in the run" in example
        for example in facts["findings"]["columns differ"]["examples"]
    )


def test_rows_that_are_gone_or_there_twice_are_found(exported: Any, checked: Any, run: Path, tmp_path: Path) -> None:
    exported(run, "imagefolder")
    rows = lines(tmp_path / "out")
    rewrite(tmp_path / "out", [*rows[1:], rows[5]])
    assert findings(checked("imagefolder")) == {"twice": 1, "missing": 1}


def test_a_changed_image_and_a_missing_one_are_found(exported: Any, checked: Any, run: Path, tmp_path: Path) -> None:
    exported(run, "imagefolder", "--copy")
    first, second = sorted((tmp_path / "out").rglob("*.png"))[:2]
    shutil.copy(second, first)
    assert findings(checked("imagefolder")) == {"picture differs": 1}
    second.unlink()
    assert set(findings(checked("imagefolder"))) & {"broken", "the reader fails"}


def test_metadata_that_the_reader_can_not_read_is_told_in_its_words(
    exported: Any, checked: Any, run: Path, tmp_path: Path
) -> None:
    exported(run, "imagefolder")
    with (tmp_path / "out/train/metadata.jsonl").open("ab") as file:
        file.write(b'{"file_name": "x')
    facts = checked("imagefolder")
    assert findings(facts) == {"the reader fails": 1, "missing": 13}
    assert "JSON" in facts["findings"]["the reader fails"]["examples"][0]
    assert facts["findings"]["missing"]["examples"] == []  # nothing that an export made anew would mend


def test_the_trap_of_split_words_would_be_seen(exported: Any, checked: Any, run: Path, tmp_path: Path) -> None:
    """datasets drops all but these files, and the metadata, without a word."""
    exported(run, "imagefolder", "--copy")
    out = tmp_path / "out"
    for path in sorted((out / "train").rglob("*")):
        if path.is_file():
            path.rename(out / path.name)
    shutil.rmtree(out / "train")
    pictures = sorted(out.glob("*.png"))
    pictures[0].rename(out / "a-test-tube.png")
    (out / "README.md").unlink()
    assert "missing" in findings(checked("imagefolder"))


def test_a_shard_that_was_cut_is_found(exported: Any, checked: Any, run: Path, tmp_path: Path) -> None:
    exported(run, "webdataset")
    shard = tmp_path / "out/train/000000.tar"
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2 // 512 * 512])
    assert {"missing"} <= set(findings(checked("webdataset")))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_missing_shard_is_found(exported: Any, checked: Any, run: Path, tmp_path: Path) -> None:
    exported(run, "webdataset", "--shard-count", "5")
    (tmp_path / "out/train/000001.tar").unlink()
    assert {"the reader fails", "missing"} <= set(findings(checked("webdataset")))
    gc.collect()  # the reader that fails leaves a file open, which no later test may be blamed for


def test_a_shard_that_nobody_asked_for_is_found(exported: Any, checked: Any, run: Path, tmp_path: Path) -> None:
    """``datasets``, and whoever writes ``train/*.tar``, read it with the others."""
    exported(run, "webdataset", "--shard-count", "5")
    shutil.copy(tmp_path / "out/train/000001.tar", tmp_path / "out/train/000009.tar")
    assert findings(checked("webdataset")) == {"twice": 5}


@pytest.mark.parametrize("change", [{"target": None}, {"options": "x"}, {"options": {"new": 1}}, {"run": 3}])
def test_a_mark_that_makes_no_sense_is_said(
    change: dict[str, Any], batcher: Batcher, exported: Any, run: Path, tmp_path: Path
) -> None:
    exported(run, "captions")
    marker = tmp_path / "out/.batcher-export/export.json"
    marker.write_text(json.dumps(json.loads(marker.read_text()) | change))
    came = batcher("export", run, tmp_path / "out", "--to", "captions")
    assert (came.code, "another version of batcher" in came.err) == (64, True)


def test_captions_that_trainers_would_stumble_over_are_found(
    exported: Any, checked: Any, run: Path, tmp_path: Path
) -> None:
    exported(run, "captions", "--copy")
    texts = sorted((tmp_path / "out").glob("*.txt"))
    texts[0].unlink()
    texts[1].write_text("")
    texts[2].write_text("two\nlines\n")
    texts[3].write_bytes("é".encode("latin-1"))
    texts[4].write_text("another\n")
    (tmp_path / "out/mine.png").write_bytes(b"x")
    facts = checked("captions")
    assert findings(facts) == {"broken": 4, "columns differ": 1, "not of the run": 1}
    examples = " ".join(facts["findings"]["broken"]["examples"])
    assert all(words in examples for words in ("no .txt", "empty", "2 lines", "not UTF-8"))


@pytest.mark.parametrize("reader", READERS)
def test_what_a_run_gained_or_lost_since_is_told(reader: str, exported: Any, checked: Any, run: Path) -> None:
    exported(run, reader)
    a_run(run, seeds(["new"], 2))
    unlist(run, "a test")
    assert findings(checked(reader)) == {"missing": 2, "not of the run": 4}


def test_an_export_that_was_interrupted_is_told(exported: Any, checked: Any, run: Path, tmp_path: Path) -> None:
    exported(run, "captions")
    marker = tmp_path / "out/.batcher-export/export.json"
    marker.write_text(marker.read_text().replace('"complete": true', '"complete": false'))
    assert findings(checked("captions")) == {"unfinished": 1}
