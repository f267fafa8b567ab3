"""A model that calls the prompt ``text``: every place that shows, names or uses a prompt has it."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import batcher
from batcher.view import details
from batcher.view.joined_reader import JoinedReader
from batcher.view.run_reader import RunReader
from tests.support.command_line import Shell

PROMPTS = ("a red kite", "a blue heron")
MANIFEST = """\
model: bytedance/seedream-4-0/sequential
defaults: {max_images: 1}
prompts: [a red kite, {prompt: a blue heron, id: heron}]
matrix: {seed: [1, 2]}
"""
QUIET = ("--simulate", "--rate", "200/s", "--progress", "none")


def made(shell: Shell, run: str = "r", *words: str) -> Path:
    shell.file("m.yaml", MANIFEST)
    came = shell("run", "m.yaml", *QUIET, "-o", run, *words)
    assert came.code == 0, came
    return shell.folder / run


def prompts_of_page(reader: RunReader) -> set[str]:
    loaded: Any = reader.load()
    return {text for text, _ in loaded["tables"]["prompts"][1]}


def test_a_prompt_called_text_is_shown_named_and_used_like_any_other(shell: Shell) -> None:
    plan = shell("plan", shell.file("m.yaml", MANIFEST), "--simulate")
    assert "'a red kite'\n      max_images 1, seed 1\n" in plan.out
    run = made(shell)
    assert {image.prompt for image in batcher.open(run).images()} == {*PROMPTS}

    with closing(RunReader(run)) as reader:
        assert prompts_of_page(reader) == {*PROMPTS}
        facts = details.job(reader, batcher.open(run).images()[0].job)
    assert facts["sections"][0] == ["Inputs", {"max_images": 1, "seed": 1}]  # the prompt stands above them
    assert facts["values"]["prompt"] == "a red kite"
    sheets = shell("grid", "r", "--json").json
    assert (sheets["rows"], sheets["cols"]) == (None, "seed")
    assert [file["per"] for file in sheets["files"]] == [{"prompt": text} for text in PROMPTS]

    assert shell("export", "r", "captions", "--to", "captions").code == 0
    texts = {path.read_text("utf-8") for path in (shell.folder / "captions").glob("*.txt")}
    assert texts == {f"{text}\n" for text in PROMPTS}
    split = ("--split", "train=0.5,test=0.5", "--split-by", "prompt")
    assert shell("export", "r", "folder", "--to", "imagefolder", *split).code == 0
    files = (shell.folder / "folder").rglob("metadata.jsonl")
    rows = [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]
    assert {(row["prompt"], row["text"]) for row in rows} == {(text, text) for text in PROMPTS}

    for where in ('"kite" in prompt', 'text == "a red kite"'):
        assert len(batcher.open(run).images(where)) == 2
    assert "2 images match" in shell("pick", "r", "--where", '"kite" in prompt', "yes").out
    kites = shell("more", "r", "--seeds", "1", "--where", '"kite" in prompt', "--dry-run", "--json").json
    assert (kites["groups"], kites["jobs"]) == (1, 1)


def test_parquet_has_the_prompt_of_such_a_model(shell: Shell) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra `parquet` is not installed")
    made(shell)
    assert shell("export", "r", "pq", "--to", "parquet").code == 0
    (file,) = (shell.folder / "pq").rglob("*.parquet")
    assert {*parquet.read_table(file).column("prompt").to_pylist()} == {*PROMPTS}


def test_its_exported_manifest_and_its_records_are_the_same_jobs_again(shell: Shell) -> None:
    made(shell)
    note = " ".join(shell("export", "r", "back", "--to", "manifest").out.split())
    assert "`batcher run back/prompts.jsonl --prompt-input text`" in note
    for words in (("back/prompts.jsonl",), ("back/prompts.jsonl", "--prompt-input", "text")):
        plan = shell("plan", *words, "--simulate", "-o", "r", "--json").json
        assert (plan["against"]["new"], plan["against"]["unchanged"]) == (0, 4)
    (shell.folder / "records.jsonl").write_bytes((shell.folder / "r" / "records.jsonl").read_bytes())
    assert shell("plan", "records.jsonl", "--simulate", "-o", "r", "--json").json["against"]["unchanged"] == 4


def test_each_of_several_runs_has_its_own_name_for_the_prompt(shell: Shell) -> None:
    text = made(shell)
    shell.file("p.txt", "a green boat\n")
    assert shell("run", "p.txt", *QUIET, "-o", "other").code == 0
    both = [text, shell.folder / "other"]
    assert {image.prompt for image in batcher.open(both).images()} == {*PROMPTS, "a green boat"}
    assert len(batcher.open(both).images('"boat" in prompt or "kite" in prompt')) == 3
    with closing(JoinedReader(both)) as reader:
        assert prompts_of_page(reader) == {*PROMPTS, "a green boat"}


@pytest.mark.parametrize("when", ["run", "export"])
def test_embedded_metadata_begins_with_the_prompt(shell: Shell, when: str) -> None:
    embed = ("--embed", "infotext,xmp")
    run = made(shell, "r", *(embed if when == "run" else ()))
    folder = run / "images"
    if when == "export":
        assert shell("export", "r", "out", "--to", "captions", *embed).code == 0
        folder = shell.folder / "out"
    for path in folder.rglob("*.png"):
        content = path.read_bytes()
        assert b"parameters\x00a " in content, "the infotext lacks the prompt"
        assert content.count(b"a red kite") + content.count(b"a blue heron") == 3  # infotext, and two fields of XMP
