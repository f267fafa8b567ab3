"""What a person reads, what a program reads, and that no bit of a run can change unseen."""

import json
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from batcher.core.tally import Snapshot
from batcher.runner.progress import Meter
from batcher.upkeep.survey import check
from tests.support.finished_runs import JOBS, Run, flip


def test_all_is_well_fits_three_lines(run: Run) -> None:
    code, output = run.say()
    first, second, third = output.splitlines()
    assert code == 0
    assert first.endswith(f": {JOBS} images of {JOBS} jobs checked, decoded")
    assert second.startswith(f"{2 * JOBS} files, ")
    assert second.endswith("files/s)")
    assert third == "All is well."


def test_a_verdict_is_no_damage(run: Run) -> None:
    assert run("pick", "run", "--where", "seed <= 3", "yes")[0] == 0
    assert '"pick"' in (run.folder / "records.jsonl").read_text("utf-8")
    code, output = run.say()
    assert (code, output.splitlines()[-1]) == (0, "All is well.")


def test_what_is_wrong_is_grouped_counted_and_shown_with_what_a_repair_does_and_may_cost(run: Run) -> None:
    for at in range(5):
        run.images()[at].write_bytes(b"\x89PNG")
    run.images()[9].with_suffix(".json").unlink()
    code, output = run.say()
    assert code == 3
    assert "        5  truncated: shorter than what was saved" in output
    assert "and 2 more" in output
    assert "        1  sidecar missing" in output
    assert "6 can be fixed free (what the service no longer has would cost $0.10 at most)" in output.replace(
        "\n  ", " "
    )
    assert "`batcher verify run --repair`" in output
    code, output = run.say("--repair")
    assert code == 0
    assert "6 things were wrong." in output
    assert "        5  jobs fetched again, free" in output
    assert "        1  sidecar written from the state file" in output
    assert output.splitlines()[-1] == "All is well now."


def test_control_characters_are_never_printed_raw(run: Run) -> None:
    evil = "\x1b[31mred\x1b]0;title\x07\u202e"
    path = run.images()[0].with_suffix(".json")
    (run.folder / "images" / f"{evil}.png").write_bytes(b"stray")
    card = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**card, "file": f"images/{evil}"}))
    for words in ((), ("--json",), ("--repair",)):
        _, output = run.say(*words)
        assert not set(output) & {"\x1b", "\x07", "\u202e"}
    assert evil in {kept.stem for kept in run.aside()}


@pytest.mark.parametrize("there", ["nothing", "an empty folder", "another folder"])
def test_what_is_no_run_directory_is_said_to_be_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], there: str
) -> None:
    folder = tmp_path / "run"
    if there != "nothing":
        folder.mkdir()
    if there == "another folder":
        (folder / "notes.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    for words in ((), ("--repair",)):
        code, output = Run(folder, capsys).say("--json", *words)
        assert code == 64
        assert "not a run directory" in json.loads(output)["error"]
    assert sorted(tmp_path.rglob("*")) == before


def test_any_number_of_threads_finds_the_same(run: Run) -> None:
    for at in (1, 5, 9):
        flip(run.images()[at], 300 + at)
    findings = [run.verify("--jobs", str(count))["findings"] for count in (1, 2, 16)]
    assert findings[0] == findings[1] == findings[2]
    assert len(findings[0]) == 3


class Watching:
    def __init__(self) -> None:
        self.shown: list[Snapshot] = []
        self.closed = 0

    def show(self, snapshot: Snapshot) -> None:
        self.shown.append(snapshot)

    def say(self, text: str) -> None:
        raise AssertionError(text)

    def close(self, snapshot: Snapshot | None) -> None:
        assert snapshot is not None
        self.closed += 1


def test_progress_is_shown_only_when_it_takes_longer_than_two_seconds() -> None:
    watching, clock = Watching(), [100.0]
    meter = Meter(JOBS, watching, now=lambda: clock[0])
    for done in (1, 2, 3, 4, 5):
        meter.show(done)
        clock[0] += 0.9
    meter.close()
    assert [(shown.done, shown.total) for shown in watching.shown] == [(4, JOBS), (5, JOBS)]
    assert watching.shown[0].eta == pytest.approx((JOBS - 4) / (4 / 2.7))
    assert watching.closed == 1


def test_a_quick_check_shows_no_progress(run: Run) -> None:
    watching = Watching()
    check(run.folder, depth="decode", threads=2, progress=watching)
    assert watching.shown == []
    assert watching.closed == 0


@pytest.fixture(scope="session")
def victim(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy whose files are damaged and put back, again and again."""
    return Path(shutil.copytree(finished, tmp_path_factory.mktemp("victim") / "run"))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, 2**64 - 1))
def test_no_bit_of_an_image_a_sidecar_or_the_records_changes_unseen(victim: Path, number: int) -> None:
    chance = random.Random(number)
    files = sorted(path for path in (victim / "images").rglob("*.*") if path.is_file())
    path = chance.choice([*files, victim / "records.jsonl"])
    before = path.read_bytes()
    at, bit = chance.randrange(len(before)), chance.randrange(8)
    flip(path, at, bit)
    try:
        assume(not says_the_same(path, before))
        findings = check(victim, depth="structure", threads=2, progress=None).findings
    finally:
        path.write_bytes(before)
    assert findings, f"bit {bit} of byte {at} of {path}"
    assert path.relative_to(victim).as_posix() in {finding.file for finding in findings}


def says_the_same(path: Path, before: bytes) -> bool:
    """JSON has more than one spelling: a 1e-05 with a large E is no other number."""
    if path.suffix == ".png":
        return False
    try:
        return [json.loads(part) for part in parts(path, path.read_bytes())] == [
            json.loads(part) for part in parts(path, before)
        ]
    except ValueError:
        return False


def parts(path: Path, content: bytes) -> list[bytes]:
    return content.splitlines() if path.suffix == ".jsonl" else [content]
