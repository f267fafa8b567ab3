"""``--relayout``: another ``output.path`` renames what is there, downloads nothing, and survives being killed."""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from batcher.runner.relayout import finish
from batcher.store import STATE, StateFile
from tests.verify.runs import FOUR_EACH, JOBS, MANIFEST, Run, batcher_run, copied

OLD = 'output: {path: "{prompt_id}/{aspect_ratio}_s{seed}"}'
NEW = 'output: {path: "{aspect_ratio}/s{seed}/{prompt_id}_{copy}"}'


def says(run: Run, layout: str, manifest: str = MANIFEST) -> None:
    (run.folder.parent / "manifest.yaml").write_text(manifest.replace(OLD, layout), "utf-8")


def plan(run: Run, *words: str) -> Any:
    code, out = run("plan", "manifest.yaml", "-o", "run", "--simulate", "--json", *words)
    return code, json.loads(out)


def contents(run: Run) -> set[bytes]:
    return {path.read_bytes() for path in run.images()}


def accepted(run: Run) -> list[str]:
    """What the simulator ever took up."""
    lines = (run.folder / ".simulator.jsonl").read_text("utf-8").splitlines()
    return [line for line in lines if json.loads(line)["t"] == "accepted"]


def assert_is_whole(run: Run, jobs: int = JOBS) -> None:
    """Every row, sidecar, picture and record says the same."""
    assert run.verify()["findings"] == []
    records = [json.loads(line) for line in (run.folder / "records.jsonl").read_text("utf-8").splitlines()]
    assert len(records) == jobs
    for record in records:
        card = json.loads((run.folder / record["file"]).with_suffix(".json").read_text("utf-8"))
        assert card == record
    assert sorted(path for path in run.folder.rglob("*.part") if "images" in path.parts) == []


def test_without_the_flag_everything_keeps_its_name(run: Run) -> None:
    before = run.images()
    says(run, NEW)
    assert run.again()["submits"] == 0
    assert run.images() == before
    assert plan(run)[1]["to_rename"] == 0


def test_with_it_every_file_is_renamed_and_nothing_is_asked_of_the_service(run: Run) -> None:
    before = contents(run)
    journal = accepted(run)
    says(run, NEW)
    code, facts = plan(run, "--relayout")
    assert (code, facts["to_rename"], facts["to_submit"]) == (0, JOBS, 0)
    report = run.again("--relayout")
    assert (report["submits"], report["done"], report["exit_code"]) == (0, JOBS, 0)
    assert contents(run) == before
    assert {path.relative_to(run.folder / "images").parts[0] for path in run.images()} == {"16x9", "1x1"}
    assert sorted(path.name for path in (run.folder / "images").iterdir()) == ["16x9", "1x1"], "no empty folders"
    assert accepted(run) == journal
    assert_is_whole(run)


def test_a_second_time_there_is_nothing_to_rename_and_there_is_a_way_back(run: Run) -> None:
    says(run, NEW)
    run.again("--relayout")
    before = {path: path.read_bytes() for path in run.images()}
    assert plan(run, "--relayout")[1]["to_rename"] == 0
    run.again("--relayout")
    assert_is_whole(run)
    says(run, 'output: {path: "{seed}-{prompt_id}-{copy}-{aspect_ratio}"}')
    run.again("--relayout")
    assert_is_whole(run)
    assert len(list((run.folder / "images").glob("*.png"))) == JOBS
    says(run, NEW)
    run.again("--relayout")
    assert_is_whole(run)
    assert {path: path.read_bytes() for path in run.images()} == before


def test_jobs_of_several_pictures_keep_their_numbers(
    tmp_path: Path, finished_in_fours: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copied(finished_in_fours, tmp_path, capsys)
    (run.folder.parent / "manifest.yaml").write_text(FOUR_EACH + 'output: {path: "all/{prompt_id}"}\n', "utf-8")
    assert run.again("--relayout")["submits"] == 0
    assert len(list((run.folder / "images/all").glob("*_4.png"))) == 2
    assert_is_whole(run, 8)


def test_two_jobs_of_one_name_are_refused_and_nothing_is_renamed(run: Run) -> None:
    before = run.images()
    says(run, 'output: {path: "{aspect_ratio}"}')
    code, facts = plan(run, "--relayout")
    assert code in {64, 65}
    assert "error" in facts
    done = batcher_run(run.folder.parent, "--relayout")
    assert done.returncode in {64, 65}
    assert run.images() == before
    says(run, OLD)
    run.again()
    assert_is_whole(run)


def test_a_name_that_another_job_holds_is_refused(run: Run) -> None:
    shorter = MANIFEST.replace("seed: 1..2", "seed: 1..1")
    says(run, 'output: {path: "{prompt_id}/{aspect_ratio}_s2"}', shorter)
    done = batcher_run(run.folder.parent, "--relayout")
    assert done.returncode == 64
    assert "another job has that name" in done.stdout + done.stderr


def test_a_strange_file_in_the_way_is_refused_before_anything_moves(run: Run) -> None:
    before = run.images()
    says(run, NEW)
    strange = run.folder / "images/1x1/s1/kite_1.png"
    strange.parent.mkdir(parents=True)
    strange.write_bytes(b"mine")
    done = batcher_run(run.folder.parent, "--relayout")
    assert done.returncode == 64
    assert "kite_1.png is there, and no job's" in done.stdout + done.stderr
    assert strange.read_bytes() == b"mine"
    assert [path for path in run.images() if path != strange] == before


def test_a_file_outside_is_never_moved_in(run: Run, tmp_path: Path) -> None:
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"not ours")
    run.write_state("UPDATE image_data SET file = 'images/../../../outside.png' WHERE job_id = 1")
    says(run, NEW)
    done = batcher_run(run.folder.parent, "--relayout")
    assert done.returncode == 64
    assert "leads out of the folder of images" in done.stdout + done.stderr
    assert outside.read_bytes() == b"not ours"


@pytest.mark.parametrize("how", ["run", "verify --repair"])
@pytest.mark.parametrize("step", [0, 1, 2, 3, 5, 17, 39, 40])
def test_killed_at_any_step_the_next_command_ends_it(
    run: Run, step: int, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(run)
    says(run, NEW)
    _killed(run, step, monkeypatch)
    if how == "run":
        report = run.again("--relayout")
        assert (report["submits"], report["done"]) == (0, JOBS)
    else:
        assert run.verify("--repair")["findings"] == []
        assert run.again("--relayout")["submits"] == 0
    assert contents(run) == before
    assert_is_whole(run)
    assert sorted(path.name for path in (run.folder / "images").iterdir()) == ["16x9", "1x1"]


def _killed(run: Run, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """``run --relayout`` that dies before the n-th rename or removal of a file, and before its last commit at 40+."""
    replace, unlink, commit, left = os.replace, Path.unlink, StateFile.rename, [step]

    def counted(real: Any) -> Any:
        def call(*told: Any, **more: Any) -> Any:
            if "images" in Path(told[0]).parts:
                if left[0] == 0:
                    raise KeyboardInterrupt
                left[0] -= 1
            return real(*told, **more)

        return call

    def renamed(*told: Any) -> None:
        if step >= 40:
            raise KeyboardInterrupt
        commit(*told)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", counted(replace))
        patch.setattr(Path, "unlink", counted(unlink))
        patch.setattr(StateFile, "rename", renamed)
        if step >= 40:
            left[0] = 10_000
        with contextlib.suppress(KeyboardInterrupt):
            run("run", "manifest.yaml", "-o", "run", "--simulate", "--relayout", "--progress", "none")
    state = StateFile(run.folder / STATE)
    try:
        intent = state.connection.execute("SELECT value FROM meta WHERE name = 'relayout'").fetchone()
    finally:
        state.close()
    assert intent is not None
    assert len(json.loads(intent[0])) == JOBS


def test_a_missing_picture_is_still_missing_under_its_new_name_and_mended_there(run: Run) -> None:
    before = contents(run)
    run.images()[4].unlink()
    says(run, NEW)
    assert run.again("--relayout")["submits"] == 0
    facts = run.verify("--repair")
    assert facts["findings"] == []
    assert contents(run) == before
    assert_is_whole(run)


def test_an_intent_is_carried_out_once(run: Run) -> None:
    says(run, NEW)
    run.again("--relayout")
    state = StateFile(run.folder / STATE)
    try:
        finish(state)
    finally:
        state.close()
    assert_is_whole(run)


def test_jobs_to_come_get_the_new_names_too(run: Run) -> None:
    says(run, OLD, MANIFEST.replace("seed: 1..2", "seed: 1..3"))
    assert run.again("--limit", "1")["submits"] == 0
    says(run, NEW, MANIFEST.replace("seed: 1..2", "seed: 1..3"))
    assert run.again("--relayout")["submits"] == 10
    assert {path.relative_to(run.folder / "images").parts[0] for path in run.images()} == {"16x9", "1x1"}
    assert_is_whole(run, 30)
