"""Several run directories read as one by status, verify, export, grid, view and the Python API."""

import json
import os
import shutil
import sqlite3
import time
import zlib
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

import batcher
from batcher.core.errors import UsageError
from batcher.store.joined import joined
from batcher.view.runs import Runs
from tests.support.browser import Served, page_server
from tests.support.command_line import Shell
from tests.support.raw_http import ask, page_headers

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


def test_a_page_takes_runs_and_nothing_else_beside_them(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        Runs([Path(SHARDS[0]), tmp_path])
    assert Runs([Path(SHARDS[0]), Path(SHARDS[0])]).name == "kites-1-of-2"
    runs = Runs([*map(Path, SHARDS)])
    assert (runs.are_many, runs.name) == (False, "kites-1-of-2 and 1 more")


@pytest.fixture
def mine(tmp_path: Path) -> list[Path]:
    """Copies of the shards, to be written to."""
    for shard in SHARDS:
        shutil.copytree(shard, tmp_path / shard)
    return [tmp_path / shard for shard in SHARDS]


def test_a_page_of_several_runs_is_one_wall_and_a_verdict_goes_to_the_run_of_its_image(mine: list[Path]) -> None:
    with page_server(mine[0], str(mine[1])) as server:
        listed = ask(server, "/runs", **page_headers(server)).json
        assert (listed["many"], [run["name"] for run in listed["runs"]]) == (False, ["kites-1-of-2 and 1 more"])
        whole = index(server)
        assert (len(whole["items"]["k"]), whole["facts"]["total"], whole["facts"]["done"]) == (16, 16, 16)
        one, other = keys(mine[0])[0], keys(mine[1])[0]
        assert post(server, "picks", verdicts=[{"job": one, "pick": "yes"}, {"job": other, "pick": "no"}]).status == 200
        assert [[line["job"] for line in lines(run)] for run in mine] == [[one], [other]]
        for run, key in zip(mine, (one, other), strict=True):
            assert ask(server, f"{PAGE}/thumb/{key}/0", **page_headers(server)).status == 200
            assert list(run.glob("thumbs/*/*.webp"))
            file = ask(server, f"{PAGE}/job/{key}", **page_headers(server)).json["files"]["0"]["file"]
            assert Path(file).is_file()
            assert Path(file).is_relative_to(run)
        assert ask(server, f"{PAGE}/where?q=pick+%3D%3D+%22yes%22", **page_headers(server)).json["items"]
        post(server, "undo")  # one step, though it was written to two files
        assert [[line["pick"] for line in lines(run)] for run in mine] == [["yes", None], ["no", None]]
        for what, body in (("tune", {"pause": True}), ("more", {"seeds": 2})):
            refused = post(server, what, **body)
            assert refused.status == 400
            assert "belongs to one run" in refused.json["error"]


def test_what_happens_in_one_of_several_runs_comes_to_the_page_and_a_retry_goes_to_that_run(mine: list[Path]) -> None:
    key = keys(mine[1])[0]
    with page_server(mine[0], str(mine[1])) as server:
        at = index(server)["at"]
        with closing(sqlite3.connect(mine[1] / "state.db")) as connection, connection:
            connection.execute("UPDATE jobs SET state = 'failed', cause = 'moderation' WHERE key = ?", (key,))
        end = time.monotonic() + 60
        moved: list[str] = []
        while key not in moved and time.monotonic() < end:
            messages = ask(server, f"{PAGE}/changes?since={at}", **page_headers(server)).json["messages"]
            assert {"reset": True} not in messages
            moved = [one for message in messages for one in message.get("items", {}).get("k", [])]
            time.sleep(0.1)
        assert moved == [key]
        asked = post(server, "retry", states=["failed"], keys=[key]).json
        assert (asked["reopened"], asked["command"].split()[2]) == (1, str(mine[1]))
        assert post(server, "retry", states=["failed"], keys=[key], dry_run=False).json["reopened"] == 1
    with closing(sqlite3.connect(mine[1] / "state.db")) as connection:
        assert connection.execute("SELECT count(*) FROM jobs WHERE state = 'pending'").fetchone() == (1,)


def test_a_copy_that_a_killed_process_left_is_removed_by_the_next_one(
    mine: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    left = tmp_path / "batcher-joined-left"
    left.mkdir()
    (left / ".lock").touch()  # and nobody holds it
    with joined(mine) as first, joined(mine) as second:
        assert not left.exists()
        assert first.path.exists()
        assert second.path.exists()
    assert not list(tmp_path.glob("batcher-joined-*"))


def test_a_page_does_not_retry_a_job_that_is_in_two_of_its_runs(mine: list[Path], tmp_path: Path) -> None:
    shutil.copytree(mine[0], tmp_path / "again")
    with page_server(mine[0], str(mine[1]), str(tmp_path / "again")) as server:
        assert len(index(server, "kites-1-of-2 and 2 more")["items"]["k"]) == 16
        refused = post(server, "retry", "kites-1-of-2 and 2 more", states=["failed"]).json
    assert "could pay for the same job twice" in refused["error"]


def test_a_run_of_several_that_lost_its_state_file_is_named_and_the_page_goes_on_when_it_is_back(
    mine: list[Path],
) -> None:
    (mine[1] / "state.db").rename(mine[1] / "aside.db")
    (mine[1] / "records.jsonl").touch()
    with page_server(mine[0], str(mine[1])) as server:
        answer = ask(server, f"{PAGE}/index", **page_headers(server)).json
        assert f"{mine[1]} has no state.db" in answer["error"]
        (mine[1] / "aside.db").rename(mine[1] / "state.db")
        assert len(index(server)["items"]["k"]) == 16


PAGE = "/runs/kites-1-of-2%20and%201%20more"


def index(server: Served, name: str = "") -> Any:
    path = f"/runs/{quote(name)}" if name else PAGE
    return json.loads(zlib.decompress(ask(server, f"{path}/index", **page_headers(server)).body))


def post(server: Served, what: str, name: str = "", **body: Any) -> Any:
    path = f"/runs/{quote(name)}" if name else PAGE
    return ask(server, f"{path}/{what}", method="POST", body=body, **page_headers(server))


def keys(run: Path) -> list[str]:
    with closing(sqlite3.connect(run / "state.db")) as connection:
        return [key for (key,) in connection.execute("SELECT key FROM jobs ORDER BY id")]


def lines(run: Path) -> list[Any]:
    return [json.loads(line) for line in (run / "picks.jsonl").read_text().splitlines()]


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


def test_a_link_or_a_name_that_leads_out_of_a_run_is_no_image_of_the_whole(tmp_path: Path) -> None:
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
