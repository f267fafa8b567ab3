"""As the benchmarks' own scripts read them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.export.conftest import Batcher
from tests.support.handmade_runs import Asked, a_run, redo, seeds, tree

BENCH: dict[str, Any] = {"tag": "counting", "include": [{"class": "cow", "count": 3}]}


def geneval() -> list[Asked]:
    prompts: list[tuple[str, dict[str, Any]]] = [
        ("a photo of a bench", {"tag": "single_object"}),
        ("a photo of three cows", BENCH),
    ]
    return [
        Asked(
            prompt=prompt, meta=meta, inputs={"seed": seed}, source="evaluation_metadata.jsonl", line=line, kind="webp",
        )
        for line, (prompt, meta) in enumerate(prompts, 1)
        for seed in range(4)
    ]  # fmt: skip


def test_geneval_finds_a_folder_a_prompt_with_its_line_and_png_samples(exported: Any, tmp_path: Path) -> None:
    exported(a_run(tmp_path / "run", geneval()), "layout", "--layout", "geneval")
    out = tmp_path / "out"
    folders = [path for path in out.iterdir() if path.name.isdigit()]
    assert {path.name for path in folders} == {"00000", "00001"}
    assert json.loads((out / "00001/metadata.jsonl").read_text()) == {**BENCH, "prompt": "a photo of three cows"}
    for folder in folders:
        names = sorted(path.name for path in (folder / "samples").iterdir())
        assert names == ["0000.png", "0001.png", "0002.png", "0003.png"]
        assert all(re.match(r"\d+\.png", name) for name in names)
        with Image.open(folder / "samples/0000.png") as image:
            assert image.format == "PNG"


def test_a_failed_job_keeps_its_place_free(exported: Any, tmp_path: Path) -> None:
    """Places are counted over all jobs, so that nothing moves when the missing one comes."""
    asked = geneval()
    asked[1].fails = True
    run = a_run(tmp_path / "run", asked)
    exported(run, "layout", "--layout", "geneval")
    before = tree(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out/00000/samples").iterdir()) == [
        "0000.png",
        "0002.png",
        "0003.png",
    ]
    redo(run, "a photo of a bench", Asked(prompt="", kind="webp"))
    exported(run, "layout", "--layout", "geneval")
    after = tree(tmp_path / "out")
    assert before.items() <= after.items()
    assert set(after) - set(before) == {"00000/samples/0001.png"}


def test_the_place_of_a_prompt_is_that_in_its_file_whatever_came_first(exported: Any, tmp_path: Path) -> None:
    asked = [
        Asked(prompt=f"prompt of line {line}", source=source, line=line, kind="jpg")
        for source, line in (("photo.json", 9), ("photo.json", 2), ("anime.json", 5), ("photo.json", 4))
    ]
    exported(a_run(tmp_path / "run", asked), "layout", "--layout", "hpsv2")
    assert set(tree(tmp_path / "out")) == {"photo/00000.jpg", "photo/00001.jpg", "photo/00002.jpg", "anime/00000.jpg"}
    run = tmp_path / "run/images/0000"
    assert (tmp_path / "out/photo/00002.jpg").read_bytes() == (run / "p0.jpg").read_bytes()
    assert (tmp_path / "out/photo/00000.jpg").read_bytes() == (run / "p1.jpg").read_bytes()


def test_a_file_that_was_named_from_two_places_is_one_file(exported: Any, tmp_path: Path) -> None:
    """The run was begun in one folder, and grown from another."""
    asked = [
        Asked(prompt=f"prompt of line {line}", source=source, line=line, kind="jpg")
        for source, line in (("prompts/anime.json", 1), ("prompts/anime.json", 2), ("anime.json", 3))
    ]
    exported(a_run(tmp_path / "run", asked), "layout", "--layout", "hpsv2")
    assert set(tree(tmp_path / "out")) == {"anime/00000.jpg", "anime/00001.jpg", "anime/00002.jpg"}


def test_prompts_on_one_line_are_numbered_as_they_stand(exported: Any, tmp_path: Path) -> None:
    asked = [Asked(prompt=word, source="all.json", line=1, kind="jpg") for word in ("c", "a", "b")]
    exported(a_run(tmp_path / "run", asked), "layout", "--layout", "hpsv2")
    run = tmp_path / "run/images/0000"
    for at in range(3):
        assert (tmp_path / f"out/all/0000{at}.jpg").read_bytes() == (run / f"p{at}.jpg").read_bytes()


def test_t2i_compbench_finds_the_prompt_before_the_underscore_and_a_number_behind(
    exported: Any, tmp_path: Path
) -> None:
    prompts = ["a green bench and a blue bowl", 'a "red"/blue: car?', "x" * 300]
    exported(a_run(tmp_path / "run", seeds(prompts, 2)), "layout", "--layout", "t2i-compbench")
    names = [path.name for path in (tmp_path / "out/samples").iterdir()]
    names.sort(key=lambda name: int(name.split("_")[-1].split(".")[0]))
    assert names[:2] == ["a green bench and a blue bowl_000000.png", "a green bench and a blue bowl_000001.png"]
    assert [name.split("_")[0] for name in names[2:4]] == ['a "red"-blue: car?'] * 2
    assert [int(name[-10:-4]) for name in names[:4]] == [0, 1, 2, 3]
    assert all(len(name.encode()) < 256 for name in names)


def test_dpg_bench_finds_two_by_two_tiles_named_by_the_prompt_file(exported: Any, tmp_path: Path) -> None:
    asked = [
        Asked(prompt=stem, id=stem, source=f"prompts/{stem}.txt", line=1, inputs={"seed": seed}, size=(20, 20))
        for stem, several in (("COCOval3", 4), ("whoops4", 3), ("5", 6))
        for seed in range(several)
    ]
    report = exported(a_run(tmp_path / "run", asked), "layout", "--layout", "dpg-bench")
    out = tmp_path / "out"
    assert sorted(path.name for path in out.glob("*.png")) == ["5.png", "COCOval3.png", "whoops4.png"]
    with Image.open(out / "COCOval3.png") as sheet:
        sheet.load()
    assert sheet.size == (40, 40)
    middles = [sheet.getpixel(at) for at in ((10, 10), (30, 10), (10, 30), (30, 30))]
    assert middles == [(0, 0, 0), (7, 0, 0), (14, 0, 0), (21, 0, 0)]
    with Image.open(out / "whoops4.png") as gappy:
        assert gappy.getpixel((30, 30)) == (0, 0, 0)
    assert report["notes"] == [
        "1 sheet has fewer than four images; the rest is black",
        "2 images are in no sheet: a sheet takes four of a prompt",
    ]


def test_any_layout_by_a_template(exported: Any, tmp_path: Path) -> None:
    run = a_run(
        tmp_path / "run",
        [Asked(prompt="a", inputs={"seed": 3}, meta={"c": "x/y"}), Asked(prompt="b", meta={"c": ".."})],
    )
    exported(run, "layout", "--layout", "{stem}/{meta.c}_{index:03d}/{seed}-{sample}")
    assert set(tree(tmp_path / "out")) == {"birds/x-y_000/3-0.png", "birds/_001/-0.png"}


def test_a_value_can_not_lead_out_of_the_folder(exported: Any, tmp_path: Path) -> None:
    asked = [
        Asked(prompt="a", meta={"c": "../../x"}),
        Asked(prompt="b", meta={"c": "/etc/y"}),
        Asked(prompt="c", meta={"c": ""}),
    ]
    exported(a_run(tmp_path / "run", asked), "layout", "--layout", "{meta.c}/{index}")
    assert {path.name for path in tmp_path.iterdir()} == {"run", "out"}
    assert len(tree(tmp_path / "out")) == 3


def test_files_that_would_share_a_name_are_refused_before_anything_is_written(batcher: Batcher, tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", seeds(["a", "A"], 2))
    came = batcher("export", run, tmp_path / "out", "--to", "layout", "--layout", "{prompt}")
    assert came.code == 64
    assert "4 images would share 1 file name" in came.err
    assert "images/0000/p3.png" in came.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("/tmp/{index}", "inside the folder"),
        ("../{index}", "inside the folder"),
        ("a//{index}", "inside the folder"),
        ("gen-eval", "no such layout"),
        ("{indx}", "did you mean {index}?"),
        ("{prompt:03d}", "does not fit"),
    ],
)
def test_a_template_that_can_not_be_is_refused(layout: str, message: str, refused: Any) -> None:
    refused(message, "--to", "layout", "--layout", layout)


def test_only_what_is_asked_for_counts(exported: Any, tmp_path: Path) -> None:
    """A sweep over ratios, of which a benchmark scores one: its samples are numbered without gaps."""
    asked = [
        Asked(prompt="a", inputs={"seed": seed, "aspect_ratio": ratio}, line=1)
        for seed in range(2)
        for ratio in ("1:1", "16:9")
    ]
    exported(
        a_run(tmp_path / "run", asked), "layout", "--layout", "{index}/{sample}", "--where", 'aspect_ratio == "16:9"'
    )
    assert set(tree(tmp_path / "out")) == {"0/0.png", "0/1.png"}


def test_two_prompts_that_would_share_a_sheet_are_refused(batcher: Batcher, tmp_path: Path) -> None:
    asked = [
        Asked(prompt=prompt, id="1", inputs={"seed": seed}, source=f"{folder}/1.txt", line=1)
        for folder, prompt in (("a", "a kite"), ("b", "a fox"))
        for seed in range(4)
    ]
    run = a_run(tmp_path / "run", asked)
    came = batcher("export", run, tmp_path / "out", "--to", "layout", "--layout", "dpg-bench")
    assert came.code == 64
    assert "would share 1 file name" in came.err
    assert "--where 'source ==" in " ".join(came.err.split())
    assert not (tmp_path / "out").exists()


def test_a_benchmark_of_two_files_says_how_to_export_each(batcher: Batcher, tmp_path: Path) -> None:
    asked = seeds(["a"], 2, source="x.txt", line=1)
    came = batcher("export", a_run(tmp_path / "run", asked), tmp_path / "out", "--to", "layout", "--layout", "hpsv2")
    assert came.code == 64
    assert "export each prompt file on its own" in " ".join(came.err.split())


def test_compbench_finds_the_prompt_in_the_name_as_it_is(exported: Any, tmp_path: Path) -> None:
    asked = [Asked(prompt='a clock that "reads" 11:44.'), Asked(prompt="half/half?")]
    report = exported(a_run(tmp_path / "run", asked), "layout", "--layout", "t2i-compbench")
    names = {path.name for path in (tmp_path / "out/samples").iterdir()}
    assert names == {'a clock that "reads" 11:44._000000.png', "half-half?_000001.png"}
    assert any("1 prompt can't be a file name" in note for note in report["notes"])
