"""``--to pairs`` as a preference trainer reads it, and ``--to manifest`` as the next run does."""

import io
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from batcher.store import connect_to_read, exporting, picks
from batcher.store.exporting import Image as Exported
from batcher.store.picks import Verdict
from tests.export.conftest import Batcher
from tests.support.handmade_runs import Asked, a_run, seeds


def pictures(run: Path) -> list[Exported]:
    connection = connect_to_read(run)
    try:
        return list(exporting.images(connection, removed=False))
    finally:
        connection.close()


def judge(run: Path, *words: str | None) -> None:
    """``yes``, ``no`` or None for each picture, in their order."""
    judged = zip(pictures(run), words, strict=True)
    picks.append(run, [Verdict(job=one.key, pick=word, sha256=one.sha256) for one, word in judged if word])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two prompts of four seeds: one with two keepers and one reject, one with one of each; a third without."""
    folder = a_run(tmp_path / "run", seeds(["a heron", "a kite", "a boat"], 4))
    judge(folder, "yes", "no", "yes", None, "no", "yes", None, None, *[None] * 4)
    return folder


def rows(folder: Path, **words: Any) -> Any:
    return import_module("datasets").load_dataset("parquet", data_dir=str(folder), streaming=True, **words)


def test_the_columns_are_those_that_diffusion_dpo_reads(exported: Any, run: Path, tmp_path: Path) -> None:
    report = exported(run, "pairs")
    assert report["pictures"] == 3
    by_uid = {f"{one.key}-0": one for one in pictures(run)}
    picked = {f"{one.key}-0" for place, one in enumerate(pictures(run)) if place in {0, 2, 5}}
    seen = list(rows(tmp_path / "out")["train"])
    assert len(seen) == 3
    for row in seen:
        assert row["label_0"] in (0, 1)  # as the script keeps rows
        assert row["label_0"] + row["label_1"] == 1
        for column in ("jpg_0", "jpg_1"):  # as the script opens them
            Image.open(io.BytesIO(row[column])).convert("RGB")
        better, worse = ("0", "1") if row["label_0"] == 1 else ("1", "0")
        assert row[f"image_{better}_uid"] in picked
        assert row[f"image_{worse}_uid"] not in picked
        assert row["best_image_uid"] == row[f"image_{better}_uid"]
        one = by_uid[row["best_image_uid"]]
        assert row[f"jpg_{better}"] == (run / one.file).read_bytes()
        assert row["caption"] == json.loads(one.inputs)["prompt"]
    assert {row["caption"] for row in seen} == {"a heron", "a kite"}


def test_a_split_keeps_the_pairs_of_a_prompt_together(exported: Any, tmp_path: Path) -> None:
    run = a_run(tmp_path / "many", seeds([f"p{n}" for n in range(20)], 3))
    judge(run, *["yes", "no", "no"] * 20)
    report = exported(run, "pairs", "--split", "train=0.5,test=0.5")
    assert sum(report["splits"].values()) == 40
    splits = rows(tmp_path / "out")
    assert not {row["caption"] for row in splits["train"]} & {row["caption"] for row in splits["test"]}


def test_the_same_command_again_writes_nothing_new(exported: Any, run: Path) -> None:
    exported(run, "pairs")
    again = exported(run, "pairs")
    assert (again["unchanged"], again["written"]) == (1, 1)  # the shard; the card


def test_without_a_pair_it_says_what_is_missing(batcher: Batcher, tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", seeds(["a"], 2))
    judge(run, "yes", "yes")
    came = batcher("export", run, tmp_path / "out", "--to", "pairs")
    assert (came.code, "both a picked and a rejected" in came.err) == (64, True)
    assert not (tmp_path / "out").exists()


def test_the_chosen_jobs_are_a_prompt_file_that_runs_on_another_model(batcher: Batcher, tmp_path: Path) -> None:
    (tmp_path / "n.yaml").write_text(
        "prompts: [{prompt: a kite, id: kite, meta: {style: ink}}, a heron]\nmatrix: {seed: [1, 2]}\n"
    )
    quiet = ("--simulate", "--progress", "none", "--rate", "200/s", "--json")
    assert batcher("run", tmp_path / "n.yaml", "-o", tmp_path / "draft", *quiet).code == 0
    assert batcher("pick", tmp_path / "draft", "--where", "seed == 2", "yes").code == 0
    words = ("export", tmp_path / "draft", tmp_path / "best.jsonl", "--to", "manifest", "--where", 'pick == "yes"')
    came = batcher(*words, "--json")
    assert (came.code, came.json["jobs"]) == (0, 2)
    for model in ((), ("--model", "google/nano-banana-2/text-to-image")):
        out = tmp_path / f"again{len(model)}"
        came = batcher("run", tmp_path / "best.jsonl", "-o", out, *quiet, *model)
        assert (came.code, came.json["done"]) == (0, 2)
        records = [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]
        assert {one["prompt_id"] for one in records} >= {"kite"}
        assert all(one["inputs"]["seed"] == 2 for one in records)
        assert any(one["meta"] == {"style": "ink"} for one in records)
        assert all(one["model"] == model[1] for one in records if model)
    came = batcher(*words)
    assert (came.code, "--replace" in came.err) == (64, True)
    assert batcher(*words, "--replace").code == 0


def test_a_prompt_file_never_stands_among_the_files_of_a_run(batcher: Batcher, tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", [Asked(prompt="a")])
    came = batcher("export", run, run / "records.jsonl", "--to", "manifest", "--replace")
    assert (came.code, "can't be used for a new file" in came.err) == (64, True)
