"""``--shard I/N``: parts of a manifest for several accounts or machines, of which no two make the same job."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from batcher.core.shard import Shard, parse_shard

PROMPTS = "prompt,seed\n" + "".join(f"kite {n % 17},{n % 3}\n" for n in range(60))  # most of them more than once


@given(some.text("0123456789abcdef", min_size=32, max_size=32), some.integers(1, 500))
def test_each_job_is_in_one_shard_and_no_other(key: str, of: int) -> None:
    assert sum(Shard(number, of).takes(key) for number in range(1, of + 1)) == 1


@pytest.mark.parametrize("text", ["", "3", "0/4", "5/4", "1/0", "a/b", "1/4/2", "-1/4", "1/1000000"])
def test_what_is_no_shard_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="I/N"):
        parse_shard(text)


def test_shards_together_make_every_job_of_the_manifest_once(tmp_path: Path) -> None:
    (tmp_path / "kites.csv").write_text(PROMPTS)
    whole = json.loads(done(tmp_path, "run", "kites.csv", "--simulate", "--rate", "200/s", "--json").stdout)
    parts = [
        json.loads(
            done(tmp_path, "run", "kites.csv", "--simulate", "--rate", "200/s", "--shard", f"{n}/3", "--json").stdout
        )
        for n in (1, 2, 3)
    ]
    assert [part["run"] for part in parts] == [f"runs/kites-{n}-of-3" for n in (1, 2, 3)]
    assert sum(part["done"] for part in parts) == whole["done"] == 60
    jobs = [_jobs(tmp_path / part["run"]) for part in parts]
    assert set().union(*jobs) == _jobs(tmp_path / whole["run"])
    assert sum(map(len, jobs)) == 60
    again = json.loads(done(tmp_path, "run", "kites.csv", "--simulate", "--shard", "2/3", "--json").stdout)
    assert (again["submits"], again["exit_code"]) == (0, 0)


def test_a_run_directory_keeps_its_shard(tmp_path: Path) -> None:
    (tmp_path / "kites.csv").write_text(PROMPTS)
    done(tmp_path, "run", "kites.csv", "--simulate", "--rate", "200/s", "--shard", "1/3", "-o", "a")
    for other in ((), ("--shard", "1/4"), ("--shard", "2/3")):
        refused = done(tmp_path, "run", "kites.csv", "--simulate", "-o", "a", *other, code=64)
        assert "--shard 1/3" in refused.stderr


def test_another_number_of_shards_in_the_same_place_is_warned_of(tmp_path: Path) -> None:
    (tmp_path / "kites.csv").write_text("prompt\na kite\n")
    for shard, is_warned in (("1/2", False), ("2/2", False), ("1/3", True)):
        for command in ("plan", "run"):
            words = done(tmp_path, command, "kites.csv", "--simulate", "--rate", "200/s", "--shard", shard)
            assert ("runs/kites-1-of-2 is of another number of shards" in words.stdout + words.stderr) is is_warned


def _jobs(run: Path) -> set[str]:
    return {json.loads(line)["job"] for line in (run / "records.jsonl").read_text().splitlines()}


def done(folder: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [sys.executable, "-m", "batcher", *words], cwd=folder, capture_output=True, text=True, check=False
    )
    assert result.returncode == code, result.stderr
    return result
