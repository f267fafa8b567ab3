"""Completion in real shells: installed by the manual's line, asked with a Tab on a terminal."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.command_line import Shell

ROOT = Path(__file__).parents[2]
TABLE = r"^\| (\w+) \| `(.*completion.*)` \|$"
LINES = dict(re.findall(TABLE, (ROOT / "batcher/manual/install.md").read_text("utf-8"), re.MULTILINE))
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()>=][AB0]?|\x07|\r")
WANTED = {
    "batcher stat": "batcher status ",
    "batcher status ru": "batcher status runs/p ",
    "batcher run x --matrix asp": "batcher run x --matrix aspect_ratio=",
    "batcher run x --set aspect_ratio=16": "batcher run x --set aspect_ratio=16:9 ",
    "batcher run odd-n": "batcher run odd-name.csv ",
    "batcher models sho": "batcher models show ",
}


@contextmanager
def terminal(command: list[str], folder: Path, environ: dict[str, str]) -> Iterator[int]:
    """A shell on a terminal of its own; gives our end of it."""
    process, end = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execvpe(command[0], command, environ)
    try:
        yield end
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)
        os.close(end)


def read_until(end: int, wanted: str, limit: float = 30.0) -> str:
    """What the terminal shows, without what only moves the cursor."""
    came, until = b"", time.monotonic() + limit
    while time.monotonic() < until:
        if select.select([end], [], [], 0.1)[0]:
            came += os.read(end, 65536)
        text = re.sub(".\x08", "", CONTROL.sub("", came.decode(errors="replace")))
        if wanted in text:
            return text
    raise AssertionError(f"{wanted!r} did not come: {text[-500:]!r}")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # that it forks; the child only executes
@pytest.mark.parametrize("kind", ["bash", "zsh", "fish"])
def test_a_tab_completes_after_the_line_that_the_manual_gives(kind: str, shell: Shell) -> None:
    if shutil.which(kind) is None:
        pytest.skip(f"there is no {kind} here")
    shell.simulated()
    shell.file("odd-name.csv", "prompt\na kite\n")
    folder = shell.folder / "home"
    (folder / ".config/fish/completions").mkdir(parents=True)
    (folder / "bin").mkdir()
    program = folder / "bin/batcher"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m batcher "$@"\n')
    program.chmod(0o755)
    environ = {"HOME": str(folder), "PATH": f"{folder}/bin:{os.environ['PATH']}", "TERM": "xterm", "LANG": "C.UTF-8"}
    environ |= {"PYTHONPATH": str(ROOT), "PS1": "$ "}
    subprocess.run(["sh", "-c", LINES[kind]], env=environ, check=True)
    for typed, wanted in WANTED.items():
        with terminal([kind, "-i"], shell.folder, environ) as end:
            os.write(end, b"echo re''ady\n")
            read_until(end, "ready")
            os.write(end, f"{typed}\t#".encode())
            read_until(end, f"{wanted}#")


def test_the_manual_has_a_line_for_each_shell() -> None:
    assert set(LINES) == {"bash", "zsh", "fish"}
