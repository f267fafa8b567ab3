"""Run directories that can't be used: the right exit code, and they stay as they were."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from batcher.store import STATE
from batcher.store.schema import VERSION
from tests.support.command_line import Shell, assert_no_traceback
from tests.support.rude_server import RudeServer


@pytest.mark.parametrize("out", ["file/run", "x" * 300])
def test_a_run_directory_that_can_not_be_made_is_73(shell: Shell, service: RudeServer, out: str) -> None:
    shell.file("p.txt", "a heron\n")
    shell.file("file", "x")
    came = shell("run", "p.txt", "-o", out)
    assert came.code == 73
    assert out in came.err
    assert_no_traceback(came)
    assert shell.tree() == {"p.txt", "file"}


@pytest.mark.parametrize("command", ["status", "retry", "cancel", "plan"])
def test_a_path_no_system_takes_is_no_traceback(shell: Shell, command: str) -> None:
    shell.file("p.txt", "a heron\n")
    came = shell(command, *(["p.txt", "-o"] if command == "plan" else []), "x" * 300)
    assert came.code == 73
    assert "too long" in came.err
    assert_no_traceback(came)


def test_a_file_for_a_run_directory_is_64(shell: Shell, service: RudeServer) -> None:
    shell.file("p.txt", "a heron\n")
    came = shell("run", "p.txt", "-o", "p.txt")
    assert came.code == 64
    assert "p.txt is a file, not a run directory" in came.err


STRANGERS = ["notes.txt", "images"]


@pytest.mark.parametrize("inside", STRANGERS)
def test_a_folder_of_another_program_is_64_and_as_it_was(shell: Shell, inside: str) -> None:
    shell.file("p.txt", "a heron\n")
    (shell.folder / "theirs" / inside).mkdir(parents=True)
    before = shell.tree()
    came = shell("run", "p.txt", "--simulate", "-o", "theirs")
    assert came.code == 64
    assert "theirs" in came.err
    assert shell.tree() == before
    assert_no_traceback(came)


def a_text(path: Path) -> None:
    path.write_text("not a database, whatever it is called\n" * 50)


def another_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (a)")
    connection.commit()
    connection.close()


@pytest.mark.parametrize("make", [a_text, another_database])
@pytest.mark.parametrize("command", ["run", "plan", "status", "retry", "cancel"])
def test_a_state_file_of_another_program_is_64_and_as_it_was(shell: Shell, command: str, make: object) -> None:
    shell.file("p.txt", "a heron\n")
    (shell.folder / "theirs").mkdir()
    make(shell.folder / "theirs" / STATE)  # type: ignore[operator]
    before, content = shell.tree(), (shell.folder / "theirs" / STATE).read_bytes()
    words = ["p.txt", "-o", "theirs"] if command in {"run", "plan"} else ["theirs"]
    came = shell(command, *words, *(["--simulate"] if command == "run" else []))
    assert came.code == 64
    assert "is not a state file of batcher" in came.err
    assert (shell.tree(), (shell.folder / "theirs" / STATE).read_bytes()) == (before, content)
    assert_no_traceback(came)


@pytest.mark.parametrize("command", ["run", "plan", "status", "retry", "cancel"])
def test_a_state_file_from_the_future_is_64_and_as_it_was(shell: Shell, command: str) -> None:
    with shell.run_directory("new") as book:
        book.done()
        book.state.connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    shell.file("p.txt", "a heron\n")
    before, content = shell.tree(), (shell.folder / "new" / STATE).read_bytes()
    words = ["p.txt", "-o", "new"] if command in {"run", "plan"} else ["new"]
    came = shell(command, *words, *(["--simulate"] if command == "run" else []))
    assert came.code == 64
    assert "newer batcher" in came.err
    assert "Upgrade batcher" in came.err
    assert (shell.folder / "new" / STATE).read_bytes() == content
    assert {name for name in shell.tree() - before if not name.endswith(("-wal", "-shm"))} == set()


HOLDER = """
import sys
from pathlib import Path
from batcher.store import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_batcher_on_the_same_directory_is_75(shell: Shell) -> None:
    run = shell.simulated(2)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(shell.folder / run)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        came = shell("run", "p.txt", "--simulate")
        assert came.code == 75, came
        assert f"batcher status {run}" in came.err
        assert_no_traceback(came)
        for words in (["retry", run], ["cancel", run], ["status", run]):
            assert shell(*words).code == 0, words
        assert shell("plan", "p.txt").code == 0
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
    assert shell("retry", run).code == 0


def test_a_simulated_run_is_not_continued_for_money(shell: Shell, service: RudeServer) -> None:
    run = shell.simulated(2)
    before = (shell.folder / run / STATE).read_bytes()
    came = shell("run", "p.txt", "--progress", "none")
    assert came.code == 64
    assert "holds simulated images; they are not mixed" in came.err
    assert (shell.folder / run / STATE).read_bytes() == before
    assert service.seen, "it was asked what it is"


def test_a_real_run_is_not_continued_in_the_simulator(shell: Shell) -> None:
    shell.file("p.txt", "a heron\n")
    with shell.run_directory("real") as book:
        book.done()
        book.note(service="model-api.runcomfy.net", simulated=False)
    came = shell("run", "p.txt", "--simulate", "-o", "real", "--progress", "none")
    assert came.code == 64
    assert "holds real images; they are not mixed" in came.err


def test_another_input_through_a_pipe_is_refused_for_the_run_directory_of_the_first(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(shell.folder))
    words = ("run", "-", "--simulate", "--progress", "none")
    assert shell.process(*words, stdin=b"a kite\n").code == 0
    assert shell.process(*words, stdin=b"a kite\n").code == 0, "the same again is a resume"
    came = shell.process(*words, stdin=b"a fox\n")
    assert came.code == 64
    assert "-o runs/stdin-2" in came.err
    assert not list(shell.folder.glob("batcher-manifest-*")), "nor is it kept"
    assert shell.process(*words, "-o", "runs/stdin", stdin=b"a fox\n").code == 0, "both into one, where that is said"
