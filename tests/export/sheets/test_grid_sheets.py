"""What is on the sheets, read from their pixels."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from batcher.core.errors import DiskError, UsageError
from batcher.core.job import State
from batcher.export.sheets.page import _LOUD
from batcher.simulator import Fault
from tests.export.sheets.sheets import SWEEP, Box, Colour, a_run, boxes, drawn, ink, paint, records
from tests.support.finished_runs import made
from tests.support.stage import steady
from tests.support.state_files import a_book, a_job


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Colour]]:
    """Two prompts in three shapes with four seeds; never changed."""
    run_dir = a_run(tmp_path_factory.mktemp("swept"))
    return run_dir, paint(run_dir)


def by_inputs(run_dir: Path, placed: dict[str, Box]) -> dict[tuple[str, int], Box]:
    inputs = {record["file"]: record["inputs"] for record in records(run_dir)}
    return {(inputs[file]["aspect_ratio"], inputs[file]["seed"]): box for file, box in placed.items()}


def test_each_image_stands_in_its_row_and_column_and_nowhere_else(
    swept: tuple[Path, dict[str, Colour]], tmp_path: Path
) -> None:
    run_dir, colours = swept
    done = drawn(run_dir, rows="seed", cols="aspect_ratio", out=tmp_path)
    assert [Path(file["file"]).name.split("-", 1)[1] for file in done.files] == ["a-heron-21683e73.png", "kite.png"]
    seen: set[str] = set()
    for file in done.files:
        placed = boxes(Path(file["file"]), colours)
        cells = by_inputs(run_dir, placed)
        assert len(cells) == len(placed) == 12
        assert not seen & set(placed)
        seen |= set(placed)
        tops = [cells["1:1", seed].middle[1] for seed in (1, 2, 3, 10)]
        lefts = [cells[ratio, 1].middle[0] for ratio in ("16:9", "1:1", "9:16")]
        assert tops == sorted(tops)  # numbers by size
        assert lefts == sorted(lefts)  # other values as the manifest has them
        for (ratio, seed), box in cells.items():
            assert abs(box.middle[0] - cells[ratio, 1].middle[0]) <= 1
            assert abs(box.middle[1] - cells["1:1", seed].middle[1]) <= 1
    assert seen == set(colours)


def test_images_keep_their_shape_and_their_longest_side_is_the_size(
    swept: tuple[Path, dict[str, Colour]], tmp_path: Path
) -> None:
    run_dir, colours = swept
    drawn(run_dir, size=100, out=tmp_path, limit=1)
    cells = by_inputs(run_dir, boxes(next(tmp_path.glob("00001-*")), colours))
    assert {ratio: cells[ratio, 3].size for ratio in ("16:9", "1:1", "9:16")} == {
        "16:9": (100, 56),
        "1:1": (100, 100),
        "9:16": (56, 100),
    }


def test_an_image_is_never_made_larger(swept: tuple[Path, dict[str, Colour]], tmp_path: Path) -> None:
    run_dir, colours = swept
    drawn(run_dir, size=1000, out=tmp_path, limit=1)
    assert by_inputs(run_dir, boxes(next(tmp_path.glob("00001-*")), colours))["1:1", 3].size == (240, 240)


def test_without_axes_the_inputs_that_vary_are_found(swept: tuple[Path, dict[str, Colour]], tmp_path: Path) -> None:
    done = drawn(swept[0], out=tmp_path)
    assert (done.rows, done.cols, done.per) == ("seed", "aspect_ratio", ["prompt"])


def test_the_same_run_gives_the_same_bytes(swept: tuple[Path, dict[str, Colour]], tmp_path: Path) -> None:
    for form in ("png", "webp"):
        first, second = (
            drawn(swept[0], out=tmp_path / f"{form}{number}", form=form, size=64).files for number in (1, 2)
        )
        for one, other in zip(first, second, strict=True):
            assert Path(one["file"]).read_bytes() == Path(other["file"]).read_bytes()
            with Image.open(one["file"]) as image:
                assert image.format == form.upper()
                assert image.size == (one["width"], one["height"])


def test_title_rows_and_columns_have_labels(swept: tuple[Path, dict[str, Colour]], tmp_path: Path) -> None:
    run_dir, colours = swept
    done = drawn(run_dir, out=tmp_path, limit=1)
    assert (len(done.files), done.jobs) == (1, 12)
    page = Path(done.files[0]["file"])
    cells = by_inputs(run_dir, boxes(page, colours))
    with Image.open(page) as image:
        top = min(box.top for box in cells.values())
        left = min(box.left for box in cells.values())
        assert ink(image, (0, 0, image.width, 60)) > 100  # the prompt
        for ratio in ("16:9", "1:1", "9:16"):
            box = cells[ratio, 1]
            assert ink(image, (box.left, top - 30, box.right, top - 2)) > 20, ratio
        for seed in (1, 2, 3, 10):
            box = cells["1:1", seed]
            assert ink(image, (20, box.top, left - 5, box.bottom)) > 5, seed
        rows = [image.crop((20, box.top, left - 5, box.bottom)) for seed in (1, 2) for box in [cells["1:1", seed]]]
        assert rows[0].tobytes() != rows[1].tobytes()


def test_a_filter_chooses_the_jobs(swept: tuple[Path, dict[str, Colour]], tmp_path: Path) -> None:
    run_dir, colours = swept
    done = drawn(run_dir, where='meta.style == "ink" and seed < 3', out=tmp_path)
    assert (done.jobs, done.pictures, len(done.files)) == (6, 6, 1)
    cells = by_inputs(run_dir, boxes(Path(done.files[0]["file"]), colours))
    assert {seed for _, seed in cells} == {1, 2}
    with pytest.raises(UsageError, match="no job of the run is selected"):
        drawn(run_dir, where="seed > 100", out=tmp_path)


def test_all_images_of_a_cell_are_shown(tmp_path: Path) -> None:
    run_dir = made(
        tmp_path, "model: google/nano-banana-2/text-to-image\nprompts: [{prompt: a heron, num_images: 3}, a kite]\n"
    )
    colours = paint(run_dir)
    done = drawn(run_dir)
    placed = boxes(Path(done.files[0]["file"]), colours)
    assert len(placed) == 4
    assert {box.size[0] for box in placed.values()} == {128}  # no picture looks more important than another
    assert done.files[0]["file"] == str(run_dir / "grid" / "sheet.png")


def test_prompts_along_a_side_make_one_sheet(swept: tuple[Path, dict[str, Colour]], tmp_path: Path) -> None:
    run_dir, colours = swept
    done = drawn(run_dir, rows="prompt", cols="seed", out=tmp_path / "all.png")
    assert [file["file"] for file in done.files] == [str(tmp_path / "all.png")]
    assert len(boxes(tmp_path / "all.png", colours)) == 24
    assert any("aspect_ratio varies too" in warning for warning in done.warnings)


def test_a_job_that_has_no_image_is_marked_in_its_place(tmp_path: Path) -> None:
    faults = (Fault(where="submit", kind="422", count=2), Fault(where="submit", kind="drop_after", count=1, skip=4))
    run_dir = a_run(tmp_path, profile=steady(faults=faults))
    colours = paint(run_dir)
    done = drawn(run_dir)
    assert done.gaps == {"failed": 2, "in doubt": 1}
    assert done.pictures == 21
    grounds = {word: ground for word, (ground, _) in _LOUD.items()}
    marked = {"failed": 0, "in doubt": 0}
    for file in done.files:
        with Image.open(file["file"]) as image:
            for word in marked:
                marked[word] += image.tobytes().count(bytes(grounds[word]) * 60) > 0
            colours_there = {colour for _, colour in image.getcolors(1 << 24) or []}
        assert colours_there & set(colours.values())
    assert marked["failed"] >= 1
    assert marked["in doubt"] == 1


def test_every_state_without_an_image_has_its_word(tmp_path: Path) -> None:
    with a_book(tmp_path / "run") as book:
        for number, state in enumerate(state for state in State if state is not State.DONE):
            book.at(state, a_job(number, prompt="a heron"))
    done = drawn(tmp_path / "run")
    assert done.gaps == {
        "not yet run": 1,
        "being submitted": 1,
        "at the service": 1,
        "to be downloaded": 1,
        "failed": 1,
        "cancelled": 1,
        "in doubt": 1,
    }
    with Image.open(done.files[0]["file"]) as image:
        image.load()


def test_a_job_that_left_the_manifest_is_left_out(tmp_path: Path) -> None:
    run_dir = a_run(tmp_path, "prompts: [a heron, a kite]\n")
    paint(run_dir)
    with a_book(run_dir) as book:
        book.do(book.state.unlist, [1])
    assert drawn(run_dir).jobs == 1


@pytest.mark.parametrize("damage", [b"", b"not a picture", None])
def test_an_image_that_cannot_be_read_is_marked_and_the_rest_is_drawn(tmp_path: Path, damage: bytes | None) -> None:
    run_dir = a_run(tmp_path, "prompts: [a heron]\nmatrix: {seed: 1..4}\n")
    colours = paint(run_dir)
    victim = run_dir / min(colours)
    victim.unlink() if damage is None else victim.write_bytes(damage)
    done = drawn(run_dir)
    assert done.gaps == {"unreadable": 1}
    assert done.pictures == 3
    assert len(boxes(Path(done.files[0]["file"]), colours)) == 3


def test_a_cut_jpeg_is_marked_too(tmp_path: Path) -> None:
    run_dir = a_run(tmp_path, "prompts: [a heron]\nmatrix: {seed: 1..2}\n")
    file = run_dir / records(run_dir)[0]["file"]
    Image.effect_noise((640, 360), 80).convert("RGB").save(file, "JPEG")
    assert drawn(run_dir).gaps == {}
    file.write_bytes(file.read_bytes()[:4_000])
    assert drawn(run_dir).gaps == {"unreadable": 1}


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "LA", "I;16", "CMYK", "1"])
def test_images_of_every_mode_are_shown(tmp_path: Path, mode: str) -> None:
    run_dir = a_run(tmp_path, "prompts: [a heron]\nmatrix: {seed: 1..2}\n")
    first = run_dir / records(run_dir)[0]["file"]
    grey = Image.new("L", (320, 180), 90)
    form = "JPEG" if mode == "CMYK" else "PNG"
    made = Image.new("I;16", (320, 180), 90 * 257) if mode == "I;16" else grey.convert(mode)
    made.save(first, form)
    done = drawn(run_dir)
    assert not done.gaps
    with Image.open(done.files[0]["file"]) as image:
        common: Any = max(image.getcolors(1 << 24) or [], key=lambda pair: pair[0] if pair[1] < (200,) * 3 else 0)
    if mode != "1":
        assert all(abs(band - 90) <= 3 for band in common[1])


def test_what_is_transparent_stands_on_white(tmp_path: Path) -> None:
    run_dir = a_run(tmp_path, "prompts: [a heron]\n")
    clear = Image.new("RGBA", (320, 180), (255, 0, 0, 0))
    clear.save(run_dir / records(run_dir)[0]["file"])
    done = drawn(run_dir)
    with Image.open(done.files[0]["file"]) as image:
        assert image.tobytes().count(b"\xff\xff\xff" * 256) == 144


def test_an_image_turned_by_its_camera_data_is_drawn_upright(tmp_path: Path) -> None:
    run_dir = a_run(tmp_path, "prompts: [a heron]\n")
    picture = Image.new("RGB", (320, 180), (0, 0, 255))
    picture.paste((255, 0, 0), (0, 0, 320, 90))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    picture.save(run_dir / records(run_dir)[0]["file"], exif=exif)
    with Image.open(drawn(run_dir).files[0]["file"]) as image:
        rows = [y for y in range(image.height) if image.getpixel((100, y)) == (255, 0, 0)]
        blue = [y for y in range(image.height) if image.getpixel((100, y)) == (0, 0, 255)]
    assert max(blue) < min(rows)


def test_one_file_is_refused_where_it_would_be_many_and_nothing_is_written(
    swept: tuple[Path, dict[str, Colour]], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="one file, and there are 2 sheets"):
        drawn(swept[0], out=tmp_path / "deep" / "one.png")
    assert not list(tmp_path.iterdir())
    drawn(swept[0], out=tmp_path / "deep" / "one.png", limit=1)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["one.png"]


def test_a_format_that_contradicts_the_file_is_refused(swept: tuple[Path, dict[str, Colour]], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.png, but --format says webp"):
        drawn(swept[0], out=tmp_path / "one.png", form="webp", limit=1)


def test_a_sheet_replaces_an_older_one_whole_or_not_at_all(
    swept: tuple[Path, dict[str, Colour]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "one.png"
    target.write_bytes(b"the older one")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskError, match="No space left"):
        drawn(swept[0], out=target, limit=1)
    assert target.read_bytes() == b"the older one"
    assert [path.name for path in tmp_path.iterdir()] == ["one.png"]


def test_the_run_is_only_read(tmp_path: Path) -> None:
    run_dir = a_run(tmp_path)
    before = {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    drawn(run_dir, out=tmp_path / "elsewhere")
    after = {path: path.read_bytes() for path in run_dir.rglob("*") if path.is_file()}
    assert {path: after[path] for path in before} == before


def test_a_sweep_that_the_manifest_cuts_short_has_a_dash_where_nothing_was_asked(tmp_path: Path) -> None:
    run_dir = a_run(tmp_path, SWEEP + "exclude: [{aspect_ratio: '1:1', seed: 3}]\n")
    colours = paint(run_dir)
    done = drawn(run_dir, limit=1)
    page = Path(done.files[0]["file"])
    cells = by_inputs(run_dir, boxes(page, colours))
    x, y = round(cells["1:1", 1].middle[0]), round(cells["16:9", 3].middle[1])
    with Image.open(page) as image:
        assert 5 < ink(image, (x - 20, y - 5, x + 20, y + 5)) < 60
    assert not done.gaps


def test_prompts_with_one_image_each_share_a_sheet_and_equal_ids_have_names_of_their_own(tmp_path: Path) -> None:
    manifest = """\
defaults: {repeat: 2}
prompts:
  - {prompt: "a {style} kite", id: house, vars: {style: [ink, oil]}}
  - {prompt: a boat, repeat: 1}
  - {prompt: a fox, repeat: 1}
"""
    run_dir = made(tmp_path, manifest)
    colours = paint(run_dir)
    done = drawn(run_dir)
    names = [Path(file["file"]).name for file in done.files]
    assert len(names) == 3
    assert len({name[6:] for name in names}) == 3
    assert names[2] == "00003-one-each.png"
    assert len(boxes(Path(done.files[2]["file"]), colours)) == 2


def test_repeat_is_an_axis(tmp_path: Path) -> None:
    run_dir = made(tmp_path, "defaults: {repeat: 3}\nprompts: [a heron, a kite]\n")
    colours = paint(run_dir)
    done = drawn(run_dir, rows="prompt", cols="repeat", per=("none",))
    assert (done.sheets, done.cols, done.warnings) == (1, "repeat", [])
    placed = boxes(Path(done.files[0]["file"]), colours)
    assert len({box.left for box in placed.values()}) == 3
    assert len({box.top for box in placed.values()}) == 2


def test_what_vars_chose_stands_along_a_side_of_one_sheet_and_what_else_varies_is_named(tmp_path: Path) -> None:
    prompt = "{prompt: 'a {style} house in the {light}', id: house, vars: {style: [red, old], light: [rain, sun]}}"
    run_dir = made(tmp_path, f"prompts: [{prompt}]\n")
    paint(run_dir)
    both = drawn(run_dir, rows="light", cols="style")
    assert (both.sheets, both.per, both.warnings) == (1, ["prompt_id"], [])
    assert "style varies too" in drawn(run_dir, rows="light").warnings[0]


def test_sheets_of_any_value_are_named_after_it(swept: tuple[Path, dict[str, Colour]], tmp_path: Path) -> None:
    done = drawn(swept[0], per=("aspect_ratio",), cols="seed", out=tmp_path)
    names = [Path(file["file"]).name for file in done.files]
    assert names == ["00001-16x9.png", "00002-1x1.png", "00003-9x16.png"]
