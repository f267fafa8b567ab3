"""Read by the real ``datasets``, as its users do."""

import datetime as dt
import json
import os
from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from batcher.export.imagefolder import ImageFolder
from batcher.export.request import Options, ordered
from batcher.export.selection import Selection
from batcher.manifest.extras import install_command
from batcher.store import connect_to_read
from tests.export.conftest import Batcher
from tests.support.handmade_runs import Asked, a_run, picture, seeds, tree
from tests.support.state_files import MODEL

SPLIT_WORDS = [
    "a train at night",
    "test tube",
    "the dev and the val",
    "training wheels, evaluation",
    "a validation-test",
]


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Any]:
    def loaded(**options: Any) -> Any:
        library = import_module("datasets")
        library.disable_progress_bars()
        options = options or {"path": "imagefolder", "data_dir": str(tmp_path / "out")}
        return library.load_dataset(**options, cache_dir=str(tmp_path / "cache"))

    return loaded


def test_every_caption_column_and_image_is_there_though_prompts_and_ids_hold_split_words(
    exported: Any, load: Callable[..., Any], tmp_path: Path
) -> None:
    asked = [
        Asked(
            prompt=prompt,
            id=prompt.replace(" ", "-"),
            inputs={"seed": 2**63 - 1 - at, "guidance": at / 2},
            meta={"good": at > 1},
        )
        for at, prompt in enumerate(SPLIT_WORDS)
    ]
    exported(a_run(tmp_path / "run", asked), "imagefolder")
    splits = load()
    assert list(splits) == ["train"]
    rows = list(splits["train"])
    assert [row["prompt"] for row in rows] == SPLIT_WORDS
    assert [row["seed"] for row in rows] == [2**63 - 1 - at for at in range(5)]
    assert [row["guidance"] for row in rows] == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert [row["good"] for row in rows] == [False, False, True, True, True]
    assert {row["model"] for row in rows} == {MODEL}
    assert [row["image"].size for row in rows] == [(8, 6)] * 5
    assert [row["image"].getpixel((5, 5)) for row in rows] == [(at * 7, 0, 0) for at in range(5)]


def test_the_folder_alone_is_enough_too(exported: Any, load: Callable[..., Any], tmp_path: Path) -> None:
    exported(
        a_run(tmp_path / "run", seeds(SPLIT_WORDS, 20)), "imagefolder", "--split", "train=0.7,validation=0.2,test=0.1"
    )
    splits = load(path=str(tmp_path / "out"))
    assert set(splits) == {"train", "validation", "test"}
    assert sorted(row["prompt"] for split in splits.values() for row in split) == sorted(SPLIT_WORDS * 20)


def test_seeds_beyond_64_bits_are_text_in_the_whole_column_and_a_warning_says_so(
    exported: Any, load: Callable[..., Any], tmp_path: Path
) -> None:
    asked = [Asked(prompt="a", inputs={"seed": 3}), Asked(prompt="b", inputs={"seed": 2**63 + 5})]
    report = exported(a_run(tmp_path / "run", asked), "imagefolder")
    assert [row["seed"] for row in load()["train"]] == ["3", str(2**63 + 5)]
    assert any("seed" in note and "2^63-1" in note for note in report["notes"])


def test_a_column_that_begins_late_is_whole(exported: Any, load: Callable[..., Any], tmp_path: Path) -> None:
    """datasets takes the types from the first 10 MB, and drops a key that comes later."""
    long = "words " * 20_000
    asked = [Asked(prompt=f"{long}{number}") for number in range(115)]
    asked += [Asked(prompt="last", inputs={"seed": 7}, meta={"note": "late"})]
    exported(a_run(tmp_path / "run", asked), "imagefolder")
    assert (tmp_path / "out/train/metadata.jsonl").stat().st_size > 12_000_000
    rows = list(load()["train"])
    assert len(rows) == 116
    assert [(row["seed"], row["note"]) for row in rows if row["prompt"] == "last"] == [(7, "late")]
    assert sum(row["seed"] is None for row in rows) == 115


def test_a_column_without_a_value_in_one_split_goes_into_parquet(
    exported: Any, load: Callable[..., Any], tmp_path: Path
) -> None:
    asked = [
        *seeds([f"kite {n}" for n in range(40)]),
        Asked(prompt="x", inputs={"seed": 1}, meta={"rare": "only here"}),
    ]
    report = exported(a_run(tmp_path / "run", asked), "imagefolder", "--split", "train=0.5,test=0.5")
    assert any("rare" in note and "metadata.parquet" in note for note in report["notes"])
    splits = load()
    rows = [row for split in splits.values() for row in split]
    assert sorted(row["prompt"] for row in rows) == sorted(one.prompt for one in asked)
    assert [row["rare"] for row in rows if row["rare"]] == ["only here"]


def test_without_pyarrow_such_a_column_is_an_error_before_anything_is_written(
    batcher: Batcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batcher.export.arrow.is_here", lambda: False)
    asked = [
        *seeds([f"kite {n}" for n in range(40)]),
        Asked(prompt="x", inputs={"seed": 1}, meta={"rare": "only here"}),
    ]
    run = a_run(tmp_path / "run", asked)
    came = batcher("export", run, tmp_path / "out", "--to", "imagefolder", "--split", "train=0.5,test=0.5")
    assert came.code == 64
    assert "rare has no value in" in came.err
    assert install_command("parquet") in came.err
    assert not (tmp_path / "out").exists()


def test_mixed_nested_and_taken_columns_keep_their_values(
    exported: Any, load: Callable[..., Any], tmp_path: Path
) -> None:
    asked = [
        Asked(
            prompt="a", inputs={"seed": 1, "image": "https://x/y.png"},
            meta={"seed": "s", "x_file_name": "f.png", "rank": 5, "tags": ["a"], "Note": "n", "note": "m", "e": None},
        ),
        Asked(prompt="b", inputs={"seed": 2}, meta={"rank": "fifth", "tags": [{"k": 1}]}),
        Asked(prompt="c \u2028 \0", inputs={}, meta={"rank": 2.5}),
    ]  # fmt: skip
    exported(a_run(tmp_path / "run", asked), "imagefolder")
    rows = list(load()["train"])
    assert [row["seed"] for row in rows] == [1, 2, None]
    assert [row["rank"] for row in rows] == ["5", "fifth", "2.5"]
    assert [row["tags"] and json.loads(row["tags"]) for row in rows] == [["a"], [{"k": 1}], None]
    first = rows[0]
    assert (first["meta_seed"], first["x_file_name_text"], first["input_image"]) == ("s", "f.png", "https://x/y.png")
    assert (first["Note"], first["meta_note"]) == ("n", "m")
    assert "e" not in first
    assert rows[2]["prompt"] == "c \u2028 \0"


def test_dates_are_said_to_become_moments(exported: Any, load: Callable[..., Any], tmp_path: Path) -> None:
    asked = [Asked(prompt="a", meta={"day": "2024-02-01"}), Asked(prompt="b", meta={"day": "2024-02-02"})]
    report = exported(a_run(tmp_path / "run", asked), "imagefolder")
    assert [row["day"] for row in load()["train"]] == [dt.datetime(2024, 2, day) for day in (1, 2)]  # noqa: DTZ001
    assert any("day" in note for note in report["notes"])


def test_folders_stay_small(exported: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batcher.export.imagefolder._FOLDER", 10)
    exported(a_run(tmp_path / "run", seeds(["a"], 25)), "imagefolder")
    folders = [path for path in (tmp_path / "out/train").iterdir() if path.is_dir()]
    assert sorted(len(list(folder.iterdir())) for folder in folders) == [6, 9, 10]


def test_jobs_of_several_images_and_other_files(exported: Any, load: Callable[..., Any], tmp_path: Path) -> None:
    asked = [Asked(prompt="four", images=4), Asked(prompt="film", kind="mp4"), Asked(prompt="三只猫", id="三只猫")]
    report = exported(a_run(tmp_path / "run", asked), "imagefolder")
    assert report["left_out"] == {"no images": 1}
    rows = list(load()["train"])
    assert [(row["prompt"], row["output_index"]) for row in rows] == [("four", n) for n in range(4)] + [("三只猫", 0)]


def test_images_are_links_and_the_card_tells_what_is_there(exported: Any, tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", seeds(["a"], 2))
    report = exported(run, "imagefolder")
    assert (report["linked"], report["copied"]) == (2, 0)
    out = tmp_path / "out"
    assert {path.stat().st_ino for path in out.rglob("*.png")} == {path.stat().st_ino for path in run.rglob("*.png")}
    card = (out / "README.md").read_text("utf-8")
    assert "| train | 2 |" in card
    assert "| seed | integer |" in card
    assert "simulator" in card


def test_converted_images_are_whole_and_made_once(exported: Any, load: Callable[..., Any], tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", seeds(["a"], 3))
    exported(run, "imagefolder", "--convert", "webp:80")
    names = [name for name in tree(tmp_path / "out") if name.endswith(".webp")]
    assert len(names) == 3
    assert [row["image"].size for row in load()["train"]] == [(8, 6)] * 3
    assert exported(run, "imagefolder", "--convert", "webp:80")["unchanged"] == 3
    assert picture(0) in {path.read_bytes() for path in run.rglob("*.png")}  # the run's own are as they were


def test_a_converted_image_that_a_power_cut_left_empty_is_made_again(exported: Any, tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", seeds(["a"], 2))
    exported(run, "imagefolder", "--convert", "webp:80")
    first, *_ = sorted((tmp_path / "out").rglob("*.webp"))
    before, facts = first.read_bytes(), first.stat()
    first.write_bytes(b"")
    os.utime(first, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    report = exported(run, "imagefolder", "--convert", "webp:80")
    assert (report["unchanged"], first.read_bytes()) == (1, before)


def test_a_line_of_metadata_is_the_row_it_stands_for(exported: Any, tmp_path: Path) -> None:
    asked = [
        Asked(
            prompt='a "quoted" \\ \t\n 三\x7f',
            id='a "q" \\',
            inputs={"seed": 2**62, "f": 1e-7, "on": True},
            meta={"k": [1]},
        ),
        Asked(prompt="b", inputs={"f": 2, "big": 2**70}),
    ]
    run = a_run(tmp_path / "run", asked)
    exported(run, "imagefolder")
    order = ordered(run, tmp_path / "out", Options(to="imagefolder"))
    with closing(connect_to_read(run)) as connection:
        target = ImageFolder(order, Selection(order, connection))
        shots = list(target.selection.first_look())
        for sample in shots:
            target.see(sample)
        target.settle()
        rows = [{"file_name": target.name(sample).removeprefix("train/"), **target.values(sample)} for sample in shots]
    lines = (tmp_path / "out/train/metadata.jsonl").read_text("utf-8").rstrip("\n").split("\n")
    assert [json.loads(line) for line in lines] == rows
    assert [list(json.loads(line)) for line in lines] == [list(row) for row in rows]


def test_the_reader_of_these_tests_is_the_real_one() -> None:
    assert "site-packages" in str(import_module("datasets").__file__)


@pytest.mark.parametrize(
    ("convert", "message"),
    [("png:3", "has no quality"), ("webp:0", "from 1 to 100"), ("webp:101", "from 1 to 100"), ("gif", "not a format")],
)
def test_a_format_that_can_not_be_is_refused(convert: str, message: str, refused: Any) -> None:
    refused(message, "--to", "imagefolder", "--convert", convert)
