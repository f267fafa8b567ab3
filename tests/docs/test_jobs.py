"""The manifests people copy work, and make what they and the README say."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from batcher.__main__ import main
from tests.docs import readme

JOBS = readme.ROOT / "jobs"
MAKES = {
    "quickstart.yaml": 12,
    "aspect_sweep.yaml": 45,
    "dataset.csv": 42,
    "overnight.yaml": 220,
    "growing_sweep.yaml": 88,
    "growing_places.txt": 3,
    "benchmark.yaml": 40,
    "benchmark.jsonl": 10,
}


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
        sidecar = json.loads(file.with_suffix(".json").read_text("utf-8"))
        with Image.open(file) as picture:
            wide, high = map(int, sidecar["inputs"]["aspect_ratio"].split(":"))
            assert abs(picture.width / picture.height - wide / high) < 0.02
    names = sorted(path.relative_to("runs/quickstart/images").as_posix() for path in Path("runs").rglob("*.png"))
    assert names[0:4] == [f"heron/{ratio}_s{seed}.png" for ratio in ("16x9", "1x1") for seed in (1, 2)]
    assert len(names) == 12


def test_the_aspect_sweep_has_all_five_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    axes = planned(JOBS / "aspect_sweep.yaml", capsys)["axes"]
    assert set(axes["aspect_ratio"]) == {"16:9", "4:3", "1:1", "3:4", "9:16"}
    assert set(axes["seed"]) == {"1", "2", "3", "4", "999"}


GROWTH = {  # what the growing sweep says of itself: how it grows, and what is new then
    "seed: 1..8": ("seed: 1..12", 24),
    "aspect_ratio: [16:9]": ("aspect_ratio: [16:9, 4:3]", 48),
    "upright:": ("tall:", 0),
    "prompts:\n  - id: harbour": ("prompts:\n  - A quarry lake\n  - id: harbour", 8 + 5),
}


@pytest.fixture(scope="session")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The growing sweep and its run, in a folder of their own."""
    folder = tmp_path_factory.mktemp("growing")
    for name in ("growing_sweep.yaml", "growing_places.txt"):
        shutil.copy(JOBS / name, folder)
    words = ["--simulate", "--rate", "500/s", "--progress", "none"]
    assert main(["run", str(folder / "growing_sweep.yaml"), "-o", str(folder / "run"), *words]) == 0
    return folder


@pytest.mark.parametrize("change", GROWTH)
def test_the_growing_sweep_grows_as_it_says(change: str, grown: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (grown / "growing_sweep.yaml").read_text("utf-8")
    new, added = GROWTH[change]
    assert text.count(f"\n      {change}") + text.count(f"\n  {change}") + text.count(f"\n{change}") == 1
    changed = grown / "changed.yaml"
    changed.write_text(text.replace(change, new), "utf-8")
    capsys.readouterr()
    assert main(["plan", str(changed), "-o", str(grown / "run"), "--simulate", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["against"]["new"], facts["against"]["unchanged"], facts["against"]["gone"]) == (added, 88, 0)
    assert sum(group["new"] for group in facts["groups"].values()) == facts["to_submit"] == added
    assert sum(group["cost_usd"] for group in facts["groups"].values()) == pytest.approx(facts["cost_usd"])
    assert facts["cost_usd"] == pytest.approx(added * 0.02)


def test_the_images_of_one_group_of_the_growing_sweep_can_be_exported(grown: Path) -> None:
    words = ["--to", "imagefolder", "--where", 'meta.group == "wide"', "--progress", "none"]
    assert main(["export", str(grown / "run"), str(grown / "wide"), *words]) == 0
    assert len(list((grown / "wide").rglob("*.png"))) == 48


def test_the_benchmark_is_laid_out_as_its_script_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", str(JOBS / "benchmark.yaml"), "--simulate", "--rate", "500/s", "--progress", "none"]) == 0
    for name, layout in (("geneval", "geneval"), ("dpg", "dpg-bench")):
        words = ["export", "runs/benchmark", f"scored/{name}", "--to", "layout", "--layout", layout]
        assert main([*words, "--progress", "none"]) == 0
    capsys.readouterr()
    lines = [json.loads(line) for line in (JOBS / "benchmark.jsonl").read_text("utf-8").splitlines()]
    for at, line in enumerate(lines):
        folder = Path(f"scored/geneval/{at:05d}")
        metadata = json.loads((folder / "metadata.jsonl").read_text("utf-8"))
        assert metadata == {name: line[name] for name in ("prompt", "tag", "include")}
        assert sorted(path.name for path in folder.glob("samples/*")) == [f"000{n}.png" for n in range(4)]
    assert {path.stem for path in Path("scored/dpg").glob("*.png")} == {line["id"] for line in lines}


def test_the_dataset_is_diverse() -> None:
    with (JOBS / "dataset.csv").open(encoding="utf-8", newline="") as stream:
        table = list(csv.DictReader(stream))
    assert len({row["id"] for row in table}) == len({row["prompt"] for row in table}) == len(table)
    assert len({row["category"] for row in table}) >= 10
    assert {row["aspect_ratio"] for row in table} == {"16:9", "4:3", "1:1", "3:4", "9:16", ""}


def test_the_night_is_set_as_the_readme_recommends() -> None:
    manifest = yaml.load((JOBS / "overnight.yaml").read_text("utf-8"), yaml.BaseLoader)
    settings: dict[str, str] = {}
    for keys, values, _ in list(readme.rows(readme.page("scheduling")))[:8]:
        settings.update(zip(readme.words(keys), readme.words(values), strict=True))
    assert settings == manifest["run"]
