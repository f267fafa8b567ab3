"""Whole runs with their pictures in a bucket: the commands, a kill, a bucket that was emptied, a lost state file."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.bucket_run import Run
from tests.support.object_store import ObjectStore, obstore, proxied


@pytest.fixture
def run(tmp_path: Path, server: ObjectStore) -> Run:
    return Run(tmp_path, server)


def test_every_command_finds_the_images(run: Run) -> None:
    done = run.run()
    assert done.returncode == 0, done.stderr
    assert run.url in done.stdout
    assert len(run.pictures()) == 6
    assert not (run.dir / "images").exists()
    assert run.batcher("verify", run.dir).returncode == 0
    assert run.batcher("grid", run.dir).returncode == 0
    sets = run.folder / "set"
    exported = run.batcher("export", run.dir, sets, "--to", "imagefolder", "--progress", "none")
    assert exported.returncode == 0, exported.stderr
    assert len(list(sets.rglob("*.png"))) == 6
    page = run.batcher("view", run.dir, "--export", run.folder / "page")
    assert page.returncode == 0, page.stderr
    assert len(list((run.folder / "page").rglob("*.png"))) == 6
    again = run.run()
    assert again.returncode == 0
    assert "0 submits" in again.stdout


def test_a_run_that_is_killed_goes_on_and_pays_nothing_twice(run: Run) -> None:
    words = [sys.executable, "-m", "batcher", *run.words(40)]
    words[words.index("200/s")] = "20/s"
    process = subprocess.Popen(words, env={**os.environ, **run.server.environment}, cwd=run.folder)
    while len(run.pictures()) < 4:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert run.run(40).returncode in {0, 5}  # in doubt: what was in the air
    report = json.loads((run.dir / "report.json").read_bytes())
    assert report["done"] + report["in_doubt"] == 40
    assert len(run.pictures()) == report["done"]
    assert run.batcher("verify", run.dir, "--repair", "--simulate").returncode in {0, 3}
    assert run.batcher("verify", run.dir).returncode == 0


def test_an_emptied_bucket_is_filled_again_free(run: Run) -> None:
    assert run.run().returncode == 0
    obstore.delete(run.store, [name for name in run.objects() if not name.startswith(".")])
    assert "no such file" in run.batcher("verify", run.dir).stdout
    repaired = run.batcher("verify", run.dir, "--repair", "--simulate")
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr
    assert len(run.pictures()) == 6
    assert json.loads((run.dir / "report.json").read_bytes())["submits"] == 6


def test_an_image_that_was_changed_is_kept_aside_and_fetched_again(run: Run) -> None:
    assert run.run().returncode == 0
    name = min(run.pictures())
    obstore.put(run.store, name, b"not what it was")
    assert run.batcher("verify", run.dir).returncode == 3
    assert run.batcher("verify", run.dir, "--repair", "--simulate").returncode == 0
    assert bytes(obstore.get(run.store, f"lost+found/{name}").bytes()) == b"not what it was"
    assert run.batcher("verify", run.dir).returncode == 0


def test_a_lost_state_file_is_made_anew_from_the_sidecars_in_the_bucket(run: Run) -> None:
    assert run.run().returncode == 0
    for name in ("state.db", "state.db-wal", "state.db-shm", "records.jsonl"):
        (run.dir / name).unlink(missing_ok=True)
    refused = run.run()
    assert refused.returncode == 64
    assert "would pay for them again" in refused.stderr
    made = run.batcher("verify", run.dir, "--repair", "--simulate")
    assert made.returncode == 0, made.stdout + made.stderr
    again = run.run()
    assert again.returncode == 0, again.stderr
    assert "0 submits" in again.stdout


def test_credentials_that_are_wrong_spend_nothing_and_say_what_to_do(run: Run) -> None:
    refused = run.run(AWS_SECRET_ACCESS_KEY="wrong-one")
    assert refused.returncode == 73
    assert "Renew the credentials" in refused.stderr
    assert "wrong-one" not in refused.stderr
    assert not (run.dir / "state.db").exists()
    assert run.run().returncode == 0


@pytest.mark.parametrize(
    ("begins", "fix"),
    [
        ("denies", b"Renew the credentials"),
        ("is full", b"Free some space in the bucket"),
        ("has ended the session", b"their session has ended"),
    ],
)
def test_a_bucket_that_refuses_from_the_middle_of_a_run_on_stops_it_and_costs_nothing_twice(
    run: Run, begins: str, fix: bytes
) -> None:
    with proxied(run.server) as (rude, endpoint):
        words = [sys.executable, "-m", "batcher", *run.words(40)]
        words[words.index("200/s")] = "20/s"
        environment = {**os.environ, **run.server.environment, "AWS_ENDPOINT_URL": endpoint}
        process = subprocess.Popen(
            words, env=environment, cwd=run.folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE
        )
        while len(run.pictures()) < 4:
            assert process.poll() is None
            time.sleep(0.05)
        rude.rude = begins
        out, err = process.communicate(timeout=60)
        assert process.returncode == 73, (out, err)
        assert fix in out + err
    assert run.run(40).returncode == 0
    report = json.loads((run.dir / "report.json").read_bytes())
    assert report["done"] == report["submits_total"] == 40
    assert run.batcher("verify", run.dir).returncode == 0


def test_an_object_is_a_manifest_and_its_copy_goes_on_when_it_is_gone(run: Run) -> None:
    sets = run.server.store("sets")
    obstore.put(sets, f"{run.prefix}/birds.csv", b"prompt\na red kite\n")
    words = ["run", f"s3://sets/{run.prefix}/birds.csv", "--simulate"]
    done = run.batcher(*words)
    assert done.returncode == 0, done.stderr
    obstore.delete(sets, f"{run.prefix}/birds.csv")
    again = run.batcher(*words)
    assert again.returncode == 0, again.stderr
    assert "no such object: the copy of the last start is used" in again.stderr
    assert json.loads((run.folder / "runs" / "birds" / "report.json").read_bytes())["done"] == 1
