"""``batcher grid`` as it is typed."""

import io
from pathlib import Path

import pytest

from batcher.manifest.extras import install_command
from batcher.runner.progress import PATIENCE, Lines, Meter
from tests.support.command_line import Shell, assert_fits, assert_no_traceback, without_settings
from tests.support.state_files import a_job


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    without_settings(monkeypatch, tmp_path)
    (tmp_path / "work").mkdir()
    return Shell(tmp_path / "work", capsys)


def test_a_run_becomes_sheets_and_is_told_of(shell: Shell) -> None:
    run = shell.simulated(2, "--matrix", "seed=1..3", "--matrix", "aspect_ratio=16:9,1:1")
    came = shell("grid", run)
    assert came.code == 0
    assert came.out.splitlines()[0] == "2 sheets: seed by aspect_ratio, one for each prompt"
    assert "12 images" in came.out
    assert "runs/p/grid/00001-a-kite-over-hill-number-0" in came.out
    assert_fits(came.out)
    assert shell("verify", run).code == 0  # sheets are no strangers in a run directory


def test_json_tells_of_every_page(shell: Shell) -> None:
    run = shell.simulated(2, "--matrix", "seed=1..3")
    report = shell("grid", run, "--json", "-o", "sheets", "--format", "webp").json
    assert (report["sheets"], report["pictures"], report["jobs"], report["gaps"]) == (2, 6, 6, {})
    assert (report["rows"], report["cols"], report["per"]) == (None, "seed", ["prompt"])
    assert [file["per"] for file in report["files"]] == [{"prompt": f"a kite over hill number {n}"} for n in (0, 1)]
    for file in report["files"]:
        assert (shell.folder / file["file"]).stat().st_size == file["bytes"]
        assert file["file"].endswith(".webp")


def test_what_is_not_begun_with_is_told(shell: Shell) -> None:
    run = shell.simulated(5, "--limit", "2")
    assert "3 jobs have not started yet" in shell("grid", run).out


def test_letters_that_no_font_has_are_told_with_the_remedy(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("batcher.export.sheets.faces.machine", tuple)
    shell.file("p.txt", "三只猫\n")
    shell("run", "p.txt", "--simulate", "--progress", "none")
    came = shell("grid", "runs/p")
    assert came.code == 0
    assert "No font here has CJK (三): boxes are drawn in its place." in " ".join(came.out.split())
    assert install_command("grid") in " ".join(came.out.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere",), "is not a run directory"),
        (("runs/p", "--rows", "sed"), "no job of this run has that"),
        (("runs/p", "--where", "seed = 3"), "write '==' to compare"),
        (("runs/p", "--where", "seed == 1 and sed == 2"), "--where: column 15, at 'sed == 2': there is no sed"),
        (("runs/p", "--where", "width > 3"), "there is no width"),
        (("runs/p", "--where", 'seed < "x"'), "have no order"),
        (("runs/p", "--where", "seed > 100"), "no job of the run is selected"),
        (("runs/p", "--size", "9000"), "32<=x<=2048"),
        (("runs/p", "--format", "gif"), "'gif' is not one of"),
        (("runs/p", "-o", "p.txt"), "p.txt is a file, not a folder"),
        (("runs/p", "-o", "one.png"), "one file, and there are 2 sheets"),
        (("runs/p", "-o", "p.txt/deep"), "p.txt/deep can't have that name: Not a directory"),
        (("runs/p", "--limit", "1", "-o", "x" * 260 + ".png"), "File name too long"),
    ],
)
def test_bad_words_are_told_and_nothing_is_written(shell: Shell, words: tuple[str, ...], message: str) -> None:
    shell.simulated(2, "--matrix", "seed=1..3")
    before = shell.tree()
    came = shell("grid", *words)
    assert came.code in {64, 73}
    assert message in came.err
    assert_no_traceback(came)
    assert {name for name in shell.tree() if "state.db-" not in name} == before  # SQLite's own, of any reader


def test_where_draws_only_those_jobs(shell: Shell) -> None:
    run = shell.simulated(2, "--matrix", "seed=1..3", "--matrix", "aspect_ratio=16:9,1:1")
    report = shell(
        "grid", run, "--json", "--where", 'seed != 2 and "number 1" in prompt and aspect_ratio == "1:1"'
    ).json
    assert (report["jobs"], report["pictures"], report["sheets"]) == (2, 2, 1)
    report = shell("grid", run, "--json", "--per", "none", "--where", 'line == 1 and source == "p.txt"').json
    assert (report["jobs"], report["warnings"]) == (6, [])


def test_where_knows_of_meta_and_of_jobs_without_an_image(shell: Shell) -> None:
    with shell.run_directory() as book:
        book.failed(a_job(1))
        book.failed(a_job(2))
    report = shell(
        "grid", "run", "--json", "--where", 'state == "failed" and meta.category == "birds" and seed == 2'
    ).json
    assert (report["jobs"], sum(report["gaps"].values())) == (1, 1)


def test_a_run_without_jobs_has_nothing_to_draw(shell: Shell) -> None:
    with shell.run_directory():
        pass
    came = shell("grid", "run")
    assert (came.code, "no job has started yet" in came.err) == (64, True)


def test_a_prompt_with_escape_sequences_is_printed_nowhere(shell: Shell) -> None:
    with shell.run_directory() as book:
        book.failed(a_job(prompt="a \x1b[31mred\x1b[0m \u202ekite", seed=1))
    came = shell("grid", "run", "--json")
    assert came.code == 0
    assert "\x1b" not in came.out + came.err
    assert "\u202e" not in came.out


def test_progress_begins_after_two_seconds_and_ends_with_all_of_it() -> None:
    now = [0.0]
    stream = io.StringIO()
    meter = Meter(40, Lines(stream, clock=lambda: "12:00:00"), now=lambda: now[0])
    for _ in range(19):
        meter.add(1)
        now[0] += PATIENCE / 20
    assert stream.getvalue() == ""
    for _ in range(21):
        now[0] += 1
        meter.add(1)
    meter.close()
    lines = stream.getvalue().splitlines()
    assert "20/40 done" in lines[0]
    assert "40/40 done" in lines[-1]


def test_a_sheet_of_what_was_picked(shell: Shell) -> None:
    run = shell.simulated(2, "--matrix", "seed=1..3")
    assert shell("pick", run, "--where", "seed == 2", "yes").code == 0
    came = shell("grid", run, "--where", 'pick == "yes"', "--per", "none", "--json")
    assert (came.code, came.json["pictures"]) == (0, 2)


def test_a_number_that_is_compared_with_a_text_is_told(shell: Shell) -> None:
    run = shell.simulated(1, "--matrix", "seed=1..3")
    came = shell("grid", run, "--where", 'seed != "2"')
    assert (came.code, "write seed != 2" in " ".join(came.out.split())) == (0, True)
