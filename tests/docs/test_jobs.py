"""The manifests people copy work, and make what they and the README say."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from batcher.__main__ import main
from tests.docs import readme

JOBS = readme.ROOT / "jobs"
MAKES = {"quickstart.yaml": 12, "aspect_sweep.yaml": 45, "dataset.csv": 42, "overnight.yaml": 220}


def planned(manifest: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["plan", str(manifest), "--json"]) == 0
    facts: dict[str, Any] = json.loads(capsys.readouterr().out)
    return facts


def test_these_are_all_of_them() -> None:
    assert {path.name for path in JOBS.iterdir()} == set(MAKES)


@pytest.mark.parametrize("name", MAKES)
def test_a_job_plans_without_a_warning(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    facts = planned(JOBS / name, capsys)
    assert facts["jobs"] == MAKES[name]
    assert facts["warnings"] == []


def test_the_quickstart_makes_twelve_images_with_sidecars_in_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", str(JOBS / "quickstart.yaml"), "--simulate", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads(Path("runs/quickstart/report.json").read_text("utf-8"))
    assert (report["images"], report["submits"], report["simulated"]) == (12, 12, True)
    assert report["seconds"] < 60  # one or two, on a machine that does nothing else
    for file in Path("runs/quickstart/images").glob("*/*.png"):
        told = json.loads(file.with_suffix(".json").read_text("utf-8"))
        with Image.open(file) as picture:
            wide, high = map(int, told["inputs"]["aspect_ratio"].split(":"))
            assert abs(picture.width / picture.height - wide / high) < 0.02
    names = sorted(path.relative_to("runs/quickstart/images").as_posix() for path in Path("runs").rglob("*.png"))
    assert names[0:4] == [f"heron/{ratio}_s{seed}.png" for ratio in ("16x9", "1x1") for seed in (1, 2)]
    assert len(names) == 12


def test_the_aspect_sweep_has_all_five_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    axes = planned(JOBS / "aspect_sweep.yaml", capsys)["axes"]
    assert set(axes["aspect_ratio"]) == {"16:9", "4:3", "1:1", "3:4", "9:16"}
    assert set(axes["seed"]) == {"1", "2", "3", "4", "999"}


def test_the_dataset_is_diverse() -> None:
    with (JOBS / "dataset.csv").open(encoding="utf-8", newline="") as stream:
        table = list(csv.DictReader(stream))
    assert len({row["id"] for row in table}) == len({row["prompt"] for row in table}) == len(table)
    assert len({row["category"] for row in table}) >= 10
    assert {row["aspect_ratio"] for row in table} == {"16:9", "4:3", "1:1", "3:4", "9:16", ""}


def test_the_night_is_set_as_the_readme_recommends() -> None:
    manifest = yaml.load((JOBS / "overnight.yaml").read_text("utf-8"), yaml.BaseLoader)
    told: dict[str, str] = {}
    for keys, values, _ in readme.rows(readme.section("A night")):
        told.update(zip(readme.words(keys), readme.words(values), strict=True))
    assert told == manifest["run"]
