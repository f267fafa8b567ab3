"""One process at a time holds a run directory, and whoever asks for it disturbs nobody."""

import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from batcher.__main__ import main
from batcher.core.errors import BusyError
from batcher.store import LOCK, is_going, locked
from batcher.store.facts import Process
from batcher.store.lock import is_held
from tests.support.command_line import without_settings
from tests.support.state_files import a_book

HOLDER = """
import sys
from pathlib import Path
from batcher.store import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_by_a_child(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            yield holder
        finally:
            holder.kill()


def killed_but_not_reaped(child: "subprocess.Popen[str]") -> None:
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    os.kill(child.pid, 0)  # its number answers


def process(pid: int, host: str | None = None) -> Process:
    return Process(pid=pid, host=host or socket.gethostname())


def test_the_lock_is_one_processs_alone_and_free_after_its_kill(tmp_path: Path) -> None:
    with held_by_a_child(tmp_path) as holder:
        with pytest.raises(BusyError, match="in use by another batcher"), locked(tmp_path):
            pass
        assert is_held(tmp_path)
        killed_but_not_reaped(holder)
        with locked(tmp_path):
            pass
    with locked(tmp_path):  # and free again after leaving it the ordinary way
        assert is_held(tmp_path)
    assert not is_held(tmp_path)


def test_a_run_is_going_until_it_is_killed_whether_or_not_anybody_waits_for_it(tmp_path: Path) -> None:
    with held_by_a_child(tmp_path) as holder, a_book(tmp_path) as book:
        connection = book.state.connection
        assert not is_going(connection, tmp_path)  # the lock alone is no run: a repair holds it too
        book.note(process=process(holder.pid))
        assert is_going(connection, tmp_path)
        killed_but_not_reaped(holder)
        assert not is_going(connection, tmp_path)


def test_status_says_so_of_a_killed_run_that_nobody_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_settings(monkeypatch, tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # the manifest's copy that a kill leaves
    words = ["run", "-", "--simulate", "--rate", "1/s", "-o", str(tmp_path / "run"), "--progress", "lines"]
    command = [sys.executable, "-m", "batcher", *words]

    def going() -> bool:
        assert main(["status", str(tmp_path / "run"), "--json"]) == 0
        return bool(json.loads(capsys.readouterr().out)["going"])

    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as victim:
        try:
            assert victim.stdin is not None
            assert victim.stderr is not None
            victim.stdin.writelines(f"a kite over hill {number}\n" for number in range(60))
            victim.stdin.close()
            assert any("0/60" in line for line in victim.stderr)
            assert going()
            killed_but_not_reaped(victim)
            assert not going()
        finally:
            victim.kill()


def test_a_process_that_has_the_number_of_a_killed_run_is_not_the_run(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        with locked(tmp_path):
            book.note(process=process(os.getpid()))
        assert not is_going(book.state.connection, tmp_path)


def test_a_killed_run_stays_killed_while_something_else_holds_the_lock(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with a_book(tmp_path) as book, locked(tmp_path):
        book.note(process=process(dead.pid))
        assert not is_going(book.state.connection, tmp_path)


def test_a_run_on_another_machine_is_taken_at_its_word(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        book.note(process=process(1, host="another"))
        assert is_going(book.state.connection, tmp_path)


def test_who_asks_neither_sees_another_who_asks_nor_turns_away_who_wants_the_lock(tmp_path: Path) -> None:
    asking = os.open(tmp_path / LOCK, os.O_RDONLY | os.O_CREAT)
    fcntl.flock(asking, fcntl.LOCK_SH)  # the moment in which somebody asks, made longer
    assert not is_held(tmp_path)
    threading.Timer(0.05, os.close, [asking]).start()
    with locked(tmp_path):
        assert is_held(tmp_path)


def test_where_nobody_can_ask_the_process_number_decides(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        (tmp_path / LOCK).symlink_to(LOCK)  # can't be opened, by nobody
        book.note(process=process(os.getpid()))
        assert is_going(book.state.connection, tmp_path)


def test_who_holds_a_run_directory_is_named_and_a_killed_run_is_not(tmp_path: Path) -> None:
    with held_by_a_child(tmp_path) as holder, a_book(tmp_path) as book:
        book.note(process=Process(pid=holder.pid, host=socket.gethostname(), since=1_795_996_080.0))
        with (
            pytest.raises(BusyError, match=rf"\(process {holder.pid} on .+, since 2026-11-\d\d \d\d:\d\d\)"),
            locked(tmp_path),
        ):
            pass
        book.note(process=process(1 << 22))  # of a run that was killed: another command holds the lock
        with pytest.raises(BusyError, match=r"another batcher\n"), locked(tmp_path):
            pass
