"""Several run directories read as one by status, verify, export, grid, view and the Python API."""

import json
import os
import shutil
import sqlite3
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import batcher
from batcher.core.errors import UsageError
from batcher.store.joined import joined
from batcher.view.runs import Runs
from tests.support.command_line import Shell

SHARDS = ("runs/kites-1-of-2", "runs/kites-2-of-2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards of sixteen jobs, and a run of the first four of them. Never written to."""
    folder = tmp_path_factory.mktemp("several")
    here = Path.cwd()
    os.chdir(folder)
    try:
        Path("kites.csv").write_text("prompt,seed\n" + "".join(f"kite {n},{n % 4}\n" for n in range(16)))
        for shard in ("1/2", "2/2"):
            batcher.run("kites.csv", simulate=True, rate="200/s", shard=shard)
        batcher.run("kites.csv", simulate=True, rate="200/s", limit=4, out="runs/first")
    finally:
        os.chdir(here)
    return folder


@pytest.fixture(autouse=True)
def command(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(folder)
    return Shell(folder, capsys)


def test_status_counts_shards_together_and_each_by_itself(command: Shell) -> None:
    facts = command("status", *SHARDS, "--json").json
    assert (facts["done"], facts["total"], facts["images"], facts["twice"]) == (16, 16, 16, 0)
    assert sum(run["done"] for run in facts["runs"]) == 16
    assert facts["spent_usd"] == pytest.approx(sum(run["spent_usd"] for run in facts["runs"]))
    text = command("status", *SHARDS).out
    assert all(name in text for name in SHARDS)
    assert "       16  in all" in text


def test_a_job_of_two_runs_counts_once_and_that_is_said_but_its_money_counts_twice(command: Shell) -> None:
    facts = command("status", *SHARDS, "runs/first", "--json").json
    assert (facts["done"], facts["pending"], facts["twice"]) == (16, 12, 4)  # the others of "first" were never planned
    assert facts["submits_total"] == 20
    assert "4 jobs are in more than one of these runs and counted once." in command("status", *SHARDS, "runs/first").out


def test_a_shard_that_is_not_given_is_named(command: Shell) -> None:
    assert command("status", SHARDS[0], SHARDS[0], "--json").json["done"] < 16  # one run given twice is one run
    facts = command("status", SHARDS[0], "runs/first", "--json").json
    assert facts["absent"] == ["2/2"]


def test_the_last_word_of_an_export_is_its_folder(command: Shell, tmp_path: Path) -> None:
    target = tmp_path / "set"
    report = command("export", *SHARDS, str(target), "--to", "imagefolder", "--json").json
    assert (report["pictures"], report["exit_code"], report["runs"]) == (16, 0, list(SHARDS))
    mine = {sha256(path.read_bytes()).hexdigest() for run in SHARDS for path in Path(run).rglob("images/**/*.png")}
    assert {sha256(path.read_bytes()).hexdigest() for path in target.rglob("*.png")} == mine
    refused = command("export", *SHARDS, "--to", "imagefolder")
    assert refused.code == 64
    assert "the folder to export to is missing" in refused.err


def test_an_export_of_one_shard_grows_when_the_other_comes_to_it_and_takes_no_other_run(
    command: Shell, tmp_path: Path
) -> None:
    target = str(tmp_path / "set")
    first = command("export", SHARDS[0], target, "--to", "captions", "--json").json
    both = command("export", *SHARDS, target, "--to", "captions", "--json").json
    assert both["pictures"] == 16
    assert (both["unchanged"], both["removed"]) == (2 * first["pictures"], 0)
    assert command("export", SHARDS[1], target, "--to", "captions").code == 64


@pytest.mark.parametrize("reader", ["webdataset", "parquet", "manifest"])
def test_every_reader_takes_several_runs(command: Shell, tmp_path: Path, reader: str) -> None:
    if reader == "parquet":
        pytest.importorskip("pyarrow")
    report = command("export", *SHARDS, str(tmp_path / "set"), "--to", reader, "--json").json
    assert (report["jobs"], report["exit_code"]) == (16, 0)


def test_sheets_of_several_runs_are_one_and_need_a_place(command: Shell, tmp_path: Path) -> None:
    refused = command("grid", *SHARDS)
    assert (refused.code, "-o" in refused.err) == (64, True)
    facts = command("grid", *SHARDS, "--per", "none", "-o", str(tmp_path / "sheet.png"), "--json").json
    assert (facts["sheets"], facts["pictures"], facts["gaps"]) == (1, 16, {})


def test_verify_checks_each_of_them(command: Shell) -> None:
    facts = command("verify", *SHARDS, "--json").json
    assert (facts["jobs"], facts["wrong"], [run["run"] for run in facts["runs"]]) == (16, 0, list(SHARDS))


def test_a_page_of_several_runs_lists_these(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        Runs([Path(SHARDS[0]), tmp_path])
    runs = Runs([*map(Path, SHARDS)])
    assert runs.are_many
    assert set(runs._found()) == {"kites-1-of-2", "kites-2-of-2"}


def test_python_opens_several_runs_as_one(tmp_path: Path) -> None:
    both = batcher.open(SHARDS)
    assert (both.status().done, both.status().exit_code, both.going) == (16, 0, False)
    assert {str(image.path.parents[2]) for image in both.images()} == set(SHARDS)
    assert all(image.path.is_file() for image in both.images("seed == 1"))
    assert both.verify() == []
    assert both.export(tmp_path / "set", to="captions")["pictures"] == 16
    with pytest.raises(UsageError, match="needs one run"):
        both.retry()
    with pytest.raises(UsageError, match="no run directory"):
        batcher.open([])


def test_a_link_or_a_name_that_leads_out_of_a_run_is_no_picture_of_the_whole(tmp_path: Path) -> None:
    copy = tmp_path / "runs" / "copy"
    shutil.copytree(SHARDS[0], copy)
    secret = tmp_path / "secret.png"
    secret.write_bytes(next(copy.rglob("*.png")).read_bytes())
    with sqlite3.connect(copy / "state.db") as connection:
        connection.execute("UPDATE images SET file = 'images/../../../secret.png' WHERE job_id = 1")
    with joined([copy, Path(SHARDS[1])]) as whole:
        report = batcher.open([copy, SHARDS[1]]).export(tmp_path / "set", to="captions")
        assert not whole.path.is_relative_to(copy)
    assert report["left_out"] == {"missing or damaged": 1}


def test_nothing_is_left_of_the_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    facts: dict[str, Any] = json.loads(json.dumps(batcher.open(SHARDS).status().facts))
    assert facts["done"] == 16
    assert list(tmp_path.iterdir()) == []
