from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from batcher.images.kinds import JPEG
from batcher.images.recode import Recode
from tests.export.conftest import Batcher
from tests.support.handmade_runs import Asked, a_run, seeds


def texts(folder: Path) -> list[str]:
    return sorted(path.read_bytes().decode("utf-8") for path in folder.glob("*.txt"))


def test_each_image_has_one_line_beside_it_in_one_folder(exported: Any, tmp_path: Path) -> None:
    prompts = ["a heron", " two\nlines\r\n\tand a tab ", "三只猫\u2028x", "a \0\x1b[31m red kite"]
    exported(a_run(tmp_path / "run", [Asked(prompt=prompt, images=2) for prompt in prompts]), "captions")
    out = tmp_path / "out"
    assert texts(out) == sorted(["a heron\n", "two lines and a tab\n", "三只猫 x\n", "a [31m red kite\n"] * 2)
    pictures = [path for path in out.iterdir() if path.suffix == ".png"]
    assert len(pictures) == 8
    assert all(path.with_suffix(".txt").is_file() and path.name.count(".") == 1 for path in pictures)
    assert all("_" not in path.name for path in pictures)  # kohya drops parts behind the fifth


def test_a_template_makes_the_caption(exported: Any, tmp_path: Path) -> None:
    asked = [
        Asked(prompt="a heron", inputs={"seed": 7}, meta={"style": "ink"}),
        Asked(prompt="a kite", meta={"style": None}),
    ]
    exported(a_run(tmp_path / "run", asked), "captions", "--caption", "{{x}} {meta.style} of {prompt}, {seed:03d}")
    assert texts(tmp_path / "out") == ["{x} ink of a heron, 007\n", "{x} of a kite,\n"]


def test_an_empty_caption_is_the_prompt(exported: Any, tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", [Asked(prompt="a heron", meta={"text": " "}), Asked(prompt="b", meta={"text": "B"})])
    exported(run, "captions", "--caption", "{meta.text}")
    assert texts(tmp_path / "out") == ["B\n", "a heron\n"]


def test_a_template_that_asks_for_the_unknown_is_refused_before_anything_is_written(
    batcher: Batcher, tmp_path: Path
) -> None:
    run = a_run(tmp_path / "run", [Asked(prompt="a", meta={"category": "birds"})])
    for template, message in (
        ("{prompt}, {categry}", "column 11, at '{categry}': there is no {categry}"),
        ("{category}", "did you mean {meta.category}?"),
        ("{prompt", "a '{' without its '}'"),
        ("{prompt:>999}", "too wide"),
        ("{prompt!r}", "more than a name"),
        ("{prompt.__class__}", "more than a name"),
    ):
        came = batcher("export", run, tmp_path / "out", "--to", "captions", "--caption", template)
        assert came.code == 64
        assert message in came.err, template
    assert not (tmp_path / "out").exists()


def test_a_changed_prompt_template_rewrites_only_texts(exported: Any, tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", seeds(["a"], 3))
    exported(run, "captions")
    report = exported(run, "captions", "--caption", "ink, {prompt}", "--replace")
    assert (report["written"], report["unchanged"]) == (3, 3)
    assert texts(tmp_path / "out") == ["ink, a\n"] * 3


def test_jpeg_has_no_transparency_so_white_shows_through(tmp_path: Path) -> None:
    Image.new("RGBA", (8, 6), (9, 9, 9, 0)).save(tmp_path / "clear.png")
    made = Image.open(BytesIO(Recode(JPEG, 95)(tmp_path / "clear.png")))
    assert made.getpixel((4, 4)) == (255, 255, 255)
