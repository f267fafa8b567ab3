"""The samples are true: every prompt file plans, and the finished run is what a run leaves behind."""

import hashlib
import json
import re
import shutil
import socket
import sqlite3
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from PIL import Image

from batcher.__main__ import main
from batcher.runner.report import Report
from tests.docs import readme

SAMPLES = readme.ROOT / "samples"
FINISHED = SAMPLES / "finished"
PLANS = {
    "prompts.csv": 3, "prompts.json": 3, "prompts.jsonl": 3, "prompts.tsv": 2, "prompts.txt": 3, "prompts": 3,
    "prompts.yaml": 53, "finished.yaml": 4,
}  # fmt: skip
SIDECAR = [
    "schema", "job", "request_id", "model", "inputs", "prompt_id", "meta", "source", "file", "bytes", "sha256", "mime",
    "width", "height", "url", "output_index", "output_count", "submitted_at", "finished_at", "downloaded_at",
    "attempts", "cost_usd", "simulated", "batcher",
]  # fmt: skip


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SAMPLES, tmp_path / "samples"))


def test_these_are_all_prompt_files() -> None:
    pictures = {"sheet.webp", "page-groups.webp", "page-loupe.webp", "page-overview.webp"}
    assert {path.name for path in SAMPLES.iterdir()} == {*PLANS, "finished", "simulator.yaml", *pictures}


@pytest.mark.parametrize("name", PLANS)
def test_a_sample_plans(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(SAMPLES / name), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["jobs"] == PLANS[name]


def test_each_image_decodes_and_is_what_its_sidecar_says() -> None:
    sidecars = sorted(FINISHED.glob("images/**/*.json"))
    assert len(sidecars) == len(list(FINISHED.glob("images/**/*.png"))) == 4
    for path in sidecars:
        sidecar = json.loads(path.read_text("utf-8"))
        assert list(sidecar) == SIDECAR
        assert sidecar["source"]["manifest"] == "finished.yaml"
        assert sidecar["simulated"] is True
        file = FINISHED / sidecar["file"]
        assert file.with_suffix(".json") == path
        content = file.read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (sidecar["bytes"], sidecar["sha256"])
        with Image.open(file) as picture:
            picture.load()
            assert (picture.width, picture.height) == (sidecar["width"], sidecar["height"])
            assert Image.MIME[picture.format or ""] == sidecar["mime"]


def test_the_records_are_the_sidecars_and_the_report_counts_them() -> None:
    records = lines(FINISHED / "records.jsonl")
    assert records == [json.loads((FINISHED / r["file"]).with_suffix(".json").read_text("utf-8")) for r in records]
    report = json.loads((FINISHED / "report.json").read_text("utf-8"))
    assert (report["total"], report["done"], report["images"], report["exit_code"]) == (4, 4, len(records), 0)
    assert report["bytes"] == sum(record["bytes"] for record in records)
    assert lines(FINISHED / "failures.jsonl") == []


def test_the_sidecars_are_as_the_schema_of_the_manual_says() -> None:
    schema = jsonschema_rs.validator_for(json.loads((readme.MANUAL / "sidecar.schema.json").read_text("utf-8")))
    sidecars = [json.loads(path.read_text("utf-8")) for path in FINISHED.glob("images/**/*.json")]
    assert all(schema.is_valid(values) for values in sidecars)
    assert not schema.is_valid({**sidecars[0], "bytes": -1})


def test_status_reads_a_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(copied(tmp_path) / "finished"), "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert (status["done"], status["total"], status["images"], status["going"]) == (4, 4, 4, False)


def test_its_command_on_a_copy_submits_nothing_and_reports_what_the_readme_lists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(copied(tmp_path))
    assert main(["run", "finished.yaml", "--simulate", "-o", "finished", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["done"], report["submits"], report["submits_total"]) == (4, 0, 4)
    assert list(report) == list(Report.__struct_fields__)


def test_it_names_no_machine_and_no_place_on_one(tmp_path: Path) -> None:
    place = re.compile(
        rb"(?<![\w.:/-])/(?:home|root|tmp|work|var|Users|private|mnt|opt)/|" + re.escape(socket.gethostname().encode())
    )
    for path in (path for path in FINISHED.rglob("*") if path.is_file() and path.suffix != ".png"):
        assert not place.search(path.read_bytes()), path
    connection = sqlite3.connect(shutil.copy(FINISHED / "state.db", tmp_path))
    (command,) = connection.execute("SELECT value FROM meta WHERE name = 'command'").fetchone()
    connection.close()
    assert json.loads(command) == "batcher run finished.yaml --simulate -o finished"


def test_it_is_tiny() -> None:
    assert sum(path.stat().st_size for path in FINISHED.rglob("*") if path.is_file()) < 120_000
    assert not [
        path for path in FINISHED.iterdir() if path.name.startswith(".") or path.suffix in {".db-wal", ".db-shm"}
    ]
