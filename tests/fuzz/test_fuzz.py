"""A small share of the fuzz run, the same inputs every time, and whether the fuzzer itself can find anything."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz import wires
from tests.fuzz.__main__ import ROOT, shares
from tests.fuzz.campaign import Campaign, Outcome
from tests.fuzz.target import Target
from tests.fuzz.targets import TARGETS

SHARE = 10  # inputs for each point of a target's weight


@pytest.fixture(scope="module", autouse=True)
def _host() -> Iterator[None]:
    yield
    wires.host().close()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_share_of_the_inputs_ends_well(tmp_path: Path, target: Target) -> None:
    outcome = Campaign(target, 0, tmp_path, most_rss=None).run(40 + SHARE * target.weight)
    assert outcome.findings == []


def _planted(data: bytes) -> None:
    if b"\xff" in data:
        raise KeyError("planted")
    if data.startswith(b"\0"):
        time.sleep(0.06)


def planted(tmp_path: Path, seed: int = 1) -> Outcome:
    return Campaign(Target("a/b", "", 1, lambda: [b"hello"], _planted), seed, tmp_path, most_rss=None).run(400)


def test_a_planted_defect_and_a_planted_hang_are_found_and_kept_once_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fuzz.campaign.HANG", 0.05)
    outcome = planted(tmp_path)
    assert len(outcome.findings) == 2
    assert any("KeyError" in finding for finding in outcome.findings)
    assert any("hang" in finding for finding in outcome.findings)
    kept = [path for path in tmp_path.iterdir() if path.suffix != ".txt" and path.name != "at-hand"]
    assert any(b"\xff" in path.read_bytes() for path in kept)
    assert "planted" in "".join(path.read_text() for path in tmp_path.glob("*.txt"))


def test_a_seed_is_a_campaign(tmp_path: Path) -> None:
    def inputs(seed: int, name: str) -> list[bytes]:
        seen: list[bytes] = []
        (tmp_path / name).mkdir()
        Campaign(Target("a/b", "", 1, lambda: [b"hello"], seen.append), seed, tmp_path / name, most_rss=None).run(50)
        return seen

    assert inputs(1, "one") == inputs(1, "again")
    assert inputs(2, "two") != inputs(1, "more")


@pytest.mark.parametrize("inputs", [1, 7, 100, 100_000])
def test_the_shares_add_up(inputs: int) -> None:
    assert sum(share for _, share in shares(TARGETS, inputs)) == inputs


def test_the_documented_command_prints_its_table_and_can_run_a_kept_input_again(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--target", "name", "--out", str(tmp_path)]
    done = subprocess.run([*command, "--inputs", "30"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[0].split()[:3] == ["target", "inputs", "seconds"]
    assert done.stdout.splitlines()[-1].split()[:2] == ["all", "30"]
    again = [*command, "--reproduce", str(tmp_path / "at-hand")]
    assert subprocess.run(again, cwd=ROOT, capture_output=True, check=False).returncode == 0
