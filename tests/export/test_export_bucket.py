"""Exports that go straight to a bucket: added to, gone on with after an end in the middle, read by the real readers."""

import json
from pathlib import Path

import pytest

from tests.export import readers
from tests.support.bucket_run import Run
from tests.support.object_store import ObjectStore, obstore, proxied


@pytest.fixture
def run(tmp_path: Path, server: ObjectStore) -> Run:
    return Run(tmp_path, server)


def pictures_seen(run: Run, prefix: str, to: str) -> int:
    """By the program that such an export is for, in a copy of the bucket."""
    folder = run.folder / "fetched"
    store = run.server.store("runs", prefix)
    for lot in obstore.list(store):
        for meta in lot:
            path = folder / meta["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(obstore.get(store, meta["path"]).bytes()))
    with READERS[to](folder, {"options": {}}) as (_, samples):
        return sum(seen.picture is not None and not seen.problem for seen in samples)


READERS = {"imagefolder": readers.imagefolder, "webdataset": readers.webdataset, "parquet": readers.parquet}


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # of webdataset
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("to", list(READERS))
def test_an_export_goes_straight_to_a_bucket_and_adds_what_is_new(run: Run, to: str) -> None:
    assert run.run(4).returncode == 0
    place = f"s3://runs/{run.prefix}-set"
    sets = run.server.store("runs", f"{run.prefix}-set")

    def objects() -> dict[str, bytes]:
        lots = obstore.list(sets)
        return {meta["path"]: bytes(obstore.get(sets, meta["path"]).bytes()) for lot in lots for meta in lot}

    def export(*words: str) -> dict[str, int]:
        done = run.batcher("export", run.dir, place, "--to", to, "--progress", "none", "--json", *words)
        assert done.returncode == 0, done.stderr
        sent: dict[str, int] = json.loads(done.stdout)["objects"]
        return sent

    first = export()
    assert first["uploaded"] == len(objects()) - 1  # one more says whose they are
    assert export() == {"uploaded": 0, "unchanged": first["uploaded"], "deleted": 0}
    assert run.run(8).returncode == 0
    assert export()["uploaded"] > 0
    local = run.folder / "local" / f"{run.prefix}-set"
    local.parent.mkdir()
    assert run.batcher("export", run.dir, local, "--to", to, "--progress", "none").returncode == 0
    here = {path.relative_to(local).as_posix(): path.read_bytes() for path in local.rglob("*") if path.is_file()}
    here = {name: content for name, content in here.items() if not name.startswith(".batcher-export")}
    assert {name: content for name, content in objects().items() if name != ".batcher.json"} == here
    assert pictures_seen(run, f"{run.prefix}-set", to) == 8


def test_an_export_that_a_bucket_ended_goes_on_where_it_was(run: Run) -> None:
    assert run.run(8).returncode == 0
    words = ["export", run.dir, f"s3://runs/{run.prefix}-set", "--to", "imagefolder", "--progress", "none", "--json"]
    with proxied(run.server) as (rude, endpoint):
        rude.rude, rude.after = "is full", 5
        ended = run.batcher(*words, AWS_ENDPOINT_URL=endpoint)
        assert ended.returncode == 73, ended.stderr
        assert "Free some space" in ended.stderr
        rude.rude = ""
        again = run.batcher(*words, AWS_ENDPOINT_URL=endpoint)
    assert again.returncode == 0, again.stderr
    assert 0 < json.loads(again.stdout)["objects"]["uploaded"] <= 10
    assert pictures_seen(run, f"{run.prefix}-set", "imagefolder") == 8


def test_an_export_never_goes_over_what_somebody_else_put_there(run: Run) -> None:
    assert run.run(2).returncode == 0
    obstore.put(run.server.store("runs", f"{run.prefix}-theirs"), "a", b"theirs")
    refused = run.batcher("export", run.dir, f"s3://runs/{run.prefix}-theirs", "--to", "imagefolder")
    assert refused.returncode == 64
    assert "is not empty" in refused.stderr


def test_an_export_with_other_options_is_refused_by_the_name_that_was_given(run: Run) -> None:
    assert run.run(2).returncode == 0
    words = ["export", run.dir, f"s3://runs/{run.prefix}-set", "--to", "imagefolder"]
    assert run.batcher(*words, "--where", "seed == 1").returncode == 0
    refused = run.batcher(*words)
    assert refused.returncode == 64
    assert f"s3://runs/{run.prefix}-set is an export made with other options" in refused.stderr
    assert run.batcher(*words, "--replace").returncode == 0
