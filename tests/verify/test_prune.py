"""``batcher prune``: nothing is deleted, nothing is paid twice, and every check finds the run as it should be."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batcher.runner import pruned
from batcher.store import locked
from tests.verify.runs import JOBS, MANIFEST, Run, batcher_run, copied, kinds

SHORTER = MANIFEST.replace('matrix: {aspect_ratio: ["16:9", "1:1"]', 'matrix: {aspect_ratio: ["1:1"]')
GONE = JOBS // 2


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def shorten(run: Run, *words: str) -> dict[str, Any]:
    (run.folder.parent / "manifest.yaml").write_text(SHORTER, "utf-8")
    return run.again(*words)


def lengthen(run: Run, *words: str) -> dict[str, Any]:
    (run.folder.parent / "manifest.yaml").write_text(MANIFEST, "utf-8")
    return run.again(*words)


def prune(run: Run, *words: str) -> Any:
    code, out = run("prune", run.folder.name, "--json", *words)
    assert code == 0
    return json.loads(out)


@pytest.fixture(scope="module")
def shortened(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Never written to."""
    folder = tmp_path_factory.mktemp("shortened") / "of"
    shutil.copytree(finished.parent, folder)
    (folder / "manifest.yaml").write_text(SHORTER, "utf-8")
    assert json.loads(batcher_run(folder).stdout)["done"] == GONE
    return folder / "run"


@pytest.fixture
def short(shortened: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """A run whose manifest lost half of its jobs."""
    return copied(shortened, tmp_path, capsys)


def test_what_left_the_manifest_is_moved_with_its_path_and_all_is_well(short: Run) -> None:
    before = files(short.folder / "images")
    facts = prune(short)
    assert (facts["jobs"], facts["files"]) == (GONE, 2 * GONE)
    here, aside = files(short.folder / "images"), files(short.folder / "pruned")
    assert {**here, **aside} == before
    assert len(here) == len(aside) == 2 * GONE
    assert all("16-9" in name or "16x9" in name for name in aside), list(aside)
    assert short.verify()["findings"] == []
    assert short.again()["submits"] == 0


def test_a_dry_run_says_so_and_moves_nothing(short: Run) -> None:
    before = files(short.folder / "images")
    facts = prune(short, "--dry-run")
    assert (facts["files"], facts["dry_run"]) == (2 * GONE, True)
    assert files(short.folder / "images") == before
    assert not (short.folder / "pruned").exists()
    assert prune(short)["files"] == facts["files"]


def test_a_second_prune_does_nothing(short: Run) -> None:
    prune(short)
    before = files(short.folder / "pruned")
    assert prune(short)["files"] == 0
    assert files(short.folder / "pruned") == before
    assert "Nothing to move" in short("prune", "run")[1]


def test_a_run_whose_manifest_lost_nothing_keeps_everything(run: Run) -> None:
    assert prune(run)["files"] == 0
    assert not (run.folder / "pruned").exists()


@pytest.mark.parametrize("words", [(), ("--limit", "12")])
def test_what_comes_back_to_the_manifest_is_found_again_free(short: Run, words: tuple[str, ...]) -> None:
    before = files(short.folder / "images")
    prune(short)
    report = lengthen(short, *words)
    assert (report["submits"], report["submits_total"]) == (0, JOBS)
    if not words:
        assert report["done"] == JOBS
        assert files(short.folder / "images") == before
        assert not (short.folder / "pruned").exists()
    assert short.verify()["findings"] == []
    records = [json.loads(line) for line in (short.folder / "records.jsonl").read_text("utf-8").splitlines()]
    assert all((short.folder / record["file"]).is_file() for record in records)


@pytest.mark.parametrize("step", range(8))
@pytest.mark.parametrize("doing", [prune, lengthen])
def test_killed_at_any_rename_the_same_command_ends_it(
    short: Run, step: int, doing: Callable[[Run], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = files(short.folder / "images")
    if doing is lengthen:
        prune(short)
    real, left = os.replace, [step]

    def replaced(source: Any, target: Any) -> None:
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replaced)
        with pytest.raises(KeyboardInterrupt):
            _in_this_process(short, doing)
    assert short.verify()["findings"] == []
    doing(short)
    both = {**files(short.folder / "images"), **files(short.folder / "pruned")}
    assert both == whole
    assert short.verify()["findings"] == []
    assert len(files(short.folder / "images")) == (2 * GONE if doing is prune else 2 * JOBS)


def _in_this_process(run: Run, doing: Callable[[Run], Any]) -> None:
    from contextlib import closing  # noqa: PLC0415

    from batcher.store import auditing, connect_to_read  # noqa: PLC0415

    with closing(connect_to_read(run.folder)) as connection:
        if doing is prune:
            pruned.prune(run.folder, connection, lambda _: None)
        else:
            pruned.bring_back(run.folder, connection, auditing.removed(connection))


def test_a_repair_brings_home_what_an_older_state_file_still_lists(run: Run) -> None:
    older = (run.folder / "state.db").read_bytes()
    shorten(run)
    prune(run)
    run.forget_state()
    (run.folder / "state.db").write_bytes(older)
    assert kinds(run.verify()) >= {"missing"}
    facts = run.verify("--repair")
    assert facts["findings"] == []
    assert facts["mended"]["job brought back from pruned"] == GONE
    assert len(run.images()) == JOBS


def test_without_a_state_file_what_was_pruned_is_known_again(short: Run) -> None:
    prune(short)
    short.forget_state()
    facts = short.verify("--repair")
    assert (facts["findings"], facts["rebuilt"]["jobs"]) == ([], JOBS)
    assert lengthen(short)["submits"] == 0


def test_damage_among_the_pruned_is_found_and_mended(short: Run) -> None:
    prune(short)
    victim = next((short.folder / "pruned").rglob("*.png"))
    victim.write_bytes(b"nonsense")
    assert kinds(short.verify()) == {"truncated"}
    assert short.verify("--repair")["findings"] == []
    assert prune(short)["files"] == 2
    assert short.verify()["findings"] == []
    assert victim.with_name(f"{victim.stem}.2.png").read_bytes() == b"nonsense"


def test_export_takes_no_pruned_file_for_a_damaged_one(short: Run) -> None:
    prune(short)
    code, out = short("export", "run", "out", "--to", "captions", "--include-removed", "--json", "--progress", "none")
    assert code == 0
    assert json.loads(out)["left_out"] == {"moved aside by batcher prune": GONE}


def test_a_disk_that_failed_does_not_make_pruned_files_lost(short: Run) -> None:
    prune(short)
    short.write_state("INSERT OR REPLACE INTO meta VALUES ('stopped_by', '\"disk\"')")
    assert short.again()["done"] == GONE
    assert len(list((short.folder / "pruned").rglob("*.png"))) == GONE


def test_another_disk_is_copied_to_before_anything_goes(short: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno  # noqa: PLC0415

    before = files(short.folder / "images")
    real = os.replace

    def replaced(source: Any, target: Any) -> None:
        if Path(source).is_relative_to(short.folder / "images"):
            raise OSError(errno.EXDEV, "another device")
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replaced)
        assert prune(short)["files"] == 2 * GONE
    assert {**files(short.folder / "images"), **files(short.folder / "pruned")} == before
    assert short.verify()["findings"] == []


def test_a_link_out_of_the_folder_is_never_moved_through(short: Run, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (short.folder / "pruned").mkdir()
    for folder in (short.folder / "images").iterdir():
        (short.folder / "pruned" / folder.name).symlink_to(outside)
    code, _ = short("prune", "run")
    assert code == 73
    assert list(outside.iterdir()) == []
    shutil.rmtree(short.folder / "pruned")
    assert short.verify()["findings"] == []


def test_a_going_run_is_not_pruned_and_what_is_no_run_is_told(run: Run) -> None:
    with locked(run.folder):
        assert run("prune", "run")[0] == 75
        assert run("prune", "run", "--dry-run")[0] == 0
    assert run("prune", "nowhere")[0] == 64
