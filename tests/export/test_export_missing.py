"""What an export leaves out is said, and ends with 3; verdicts are known to it."""

from pathlib import Path
from typing import Any

import pytest

from batcher.store import picks
from batcher.store.picks import Verdict
from tests.export.conftest import Batcher
from tests.support.handmade_runs import Asked, a_run, seeds

QUIET = ("--json", "--progress", "none")
pytestmark = [  # the webdataset library leaves closing its files to the garbage collector
    pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_jobs_without_an_image_are_counted_and_end_with_3(batcher: Batcher, tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", [*seeds(["a"], 3), Asked(prompt="b", fails=True), Asked(prompt="c", fails=True)])
    came = batcher("export", run, tmp_path / "out", "--to", "captions", "--progress", "none")
    assert came.code == 3
    assert "left out: 2 of 5 jobs have no image (2 failed)" in came.out
    assert "batcher status" in came.out
    report = batcher("export", run, tmp_path / "out", "--to", "captions", *QUIET, "--allow-missing").json
    assert (report["exit_code"], report["jobs"], report["without_picture"]) == (0, 5, 2)
    assert report["without_picture_by_state"] == {"failed": 2}


def test_only_jobs_that_where_means_are_missed(batcher: Batcher, tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", [*seeds(["a"], 3), Asked(prompt="b", inputs={"seed": 1}, fails=True)])
    for number, (where, missed) in enumerate(
        (("seed == 1", 1), ("seed == 2", 0), ('"a" in prompt', 0), ("width > 3", 0))
    ):
        came = batcher("export", run, tmp_path / f"out{number}", "--to", "captions", *QUIET, "--where", where)
        assert came.json["without_picture"] == missed, where
        assert came.code == (3 if missed else 0)


def test_a_text_that_is_compared_with_a_number_is_told_with_what_to_write(batcher: Batcher, tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", [Asked(prompt=f"p{n}", meta={"label": str(n)}) for n in range(4)])
    nothing = batcher("export", run, tmp_path / "a", "--to", "captions", "--where", "meta.label == 1")
    assert nothing.code == 64
    assert 'write meta.label == "1"' in nothing.err
    all_of_them = batcher("export", run, tmp_path / "b", "--to", "captions", *QUIET, "--where", "meta.label != 1")
    assert 'write meta.label != "1"' in all_of_them.json["notes"][0]


@pytest.fixture
def picked(tmp_path: Path) -> Path:
    """Four pictures of one prompt: one picked with four stars, one rejected, one with a tag, one without a verdict."""
    from batcher.store import connect_to_read, exporting  # noqa: PLC0415

    run = a_run(tmp_path / "run", seeds(["a heron"], 4))
    connection = connect_to_read(run)
    images = list(exporting.images(connection, removed=False))
    connection.close()
    verdicts = [
        Verdict(job=images[0].key, pick="yes", stars=4, sha256=images[0].sha256),
        Verdict(job=images[1].key, pick="no", sha256=images[1].sha256),
        Verdict(job=images[2].key, tags=("sea", "sky"), sha256="0" * 64),
        Verdict(job=images[2].key, tags=("sea", "sky"), sha256=images[2].sha256),
    ]
    picks.append(run, verdicts)
    return run


@pytest.mark.parametrize(
    ("where", "many"),
    [('pick == "yes"', 1), ('pick != "no"', 3), ("stars >= 4", 1), ('"sea" in tags', 1), ("pick is null", 2)],
)
def test_verdicts_can_be_asked_for(where: str, many: int, exported: Any, picked: Path) -> None:
    assert exported(picked, "captions", "--where", where)["pictures"] == many


@pytest.mark.parametrize("reader", ["imagefolder", "webdataset", "parquet", "captions"])
def test_verdicts_are_columns_of_every_export(
    reader: str, exported: Any, checked: Any, picked: Path, tmp_path: Path
) -> None:
    exported(picked, reader)
    facts = checked(reader)
    assert facts["findings"] == {}
    if reader == "imagefolder":
        text = (tmp_path / "out/train/metadata.jsonl").read_text()
        assert '"pick":"yes","stars":4,"tags":null' in text
        assert '"tags":"[\\"sea\\",\\"sky\\"]"' in text


def test_a_verdict_on_an_image_that_was_made_anew_does_not_count(exported: Any, picked: Path) -> None:
    path = next((picked / "images").rglob("p0.png"))
    line = (picked / "picks.jsonl").read_text().replace('"stars": 4', '"stars": 5')
    (picked / "picks.jsonl").write_text(line.replace(line.split('"sha256": "')[1][:64], "f" * 64, 1))
    assert path.exists()
    assert exported(picked, "captions", "--where", 'pick != "yes"')["pictures"] == 4


DATES = {
    "0000-00-00": False, "2024-02-30": False, "2024-13-01": False, "2024-01-05T10:00:00.123Z": False,
    "2022-08-07 22:57:00+00:00": True, "2024-01-05T10:00Z": True, "2024-01-05T10": True, "2024-02-29": True,
    "2023-02-29": False, "2024-01-05T10:00:00+99:00": False, "2024-01-05T24:00:00": False,
}  # fmt: skip


@pytest.mark.parametrize(("date", "is_one"), DATES.items())
def test_what_arrow_can_not_read_as_a_date_stays_text_and_is_not_called_one(
    date: str, is_one: bool, exported: Any, checked: Any, tmp_path: Path
) -> None:
    run = a_run(tmp_path / "run", [Asked(prompt=f"p{n}", meta={"created": date}) for n in range(2)])
    report = exported(run, "imagefolder")
    assert any("dates only" in note for note in report["notes"]) is is_one
    assert checked("imagefolder")["findings"] == {}
