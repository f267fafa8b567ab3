"""Runs command lines, in this process or in one of their own, in an empty folder without a token."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from batcher.__main__ import main
from batcher.core.folding import columns
from tests.support.state_files import Book, a_book

TOKEN = "sk-a-very-secret-token"
NETWORK_FREE = "https://127.0.0.1:9/v1"  # discard: nobody listens, and nothing is looked up


@dataclass(frozen=True)
class Came:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def without_settings(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """No token, no address, nobody's configuration."""
    for name in [name for name in os.environ if name.startswith("RUNCOMFY")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("COLUMNS", "80")


class Shell:
    """What a person has in front of him: a folder, and the command."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capture = capture

    def __call__(self, *words: str) -> Came:
        """``batcher WORDS`` in this process."""
        self._capture.readouterr()
        with contextlib.chdir(self.folder):
            code = main(list(words))
        out, err = self._capture.readouterr()
        return Came(code, out, err)

    def process(self, *words: str, stdin: bytes = b"") -> Came:
        """``python -m batcher WORDS`` as a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "batcher", *words], cwd=self.folder, input=stdin, capture_output=True, check=False
        )
        return Came(done.returncode, done.stdout.decode(), done.stderr.decode())

    def file(self, name: str, content: str | bytes) -> str:
        (self.folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return name

    def tree(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*")}

    def simulated(self, prompts: int = 3, *words: str) -> str:
        """A small finished run, made once and copied from then on. Returns its run directory."""
        kept = self.folder.parent.parent / "_".join(("simulated", str(prompts), *words))
        if kept.exists():
            shutil.copytree(kept, self.folder, dirs_exist_ok=True)
            return "runs/p"
        name = self.file("p.txt", "".join(f"a kite over hill number {number}\n" for number in range(prompts)))
        came = self("run", name, "--simulate", "--rate", "200/s", "--progress", "none", *words)
        assert came.code in {0, 3, 4}, came
        shutil.copytree(self.folder, kept)
        return "runs/p"

    def run_directory(self, name: str = "run") -> "contextlib.AbstractContextManager[Book]":
        """A state file to be filled by hand."""
        return a_book(self.folder / name)


def assert_no_traceback(came: Came) -> None:
    assert "Traceback" not in came.err + came.out
    assert "defect" not in came.err


def assert_fits(text: str) -> None:
    """80 columns, but for lines that are a command, or one word (a path) and what can't be parted from it."""
    for line in text.splitlines():
        if line.lstrip().startswith("batcher ") or len(line.split()) < 2:
            continue
        assert columns(line) <= 80 or max(map(columns, line.split())) > 60, line
