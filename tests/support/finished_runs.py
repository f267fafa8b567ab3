"""Finished runs to be damaged: made once by the real command line, copied for each test."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from batcher.__main__ import main
from batcher.store import STATE, connect_to_read

ROOT = Path(__file__).parents[2]
MANIFEST = """\
prompts:
  - a heron over a misty lake
  - {prompt: "a kite\\e[31m in red", id: kite, meta: {category: toys, note: "\\e]0;title\\a"}}
  - 三只猫
  - a boat
  - a boat
matrix: {aspect_ratio: ["16:9", "1:1"], seed: 1..2}
output: {path: "{prompt_id}/{aspect_ratio}_s{seed}"}
"""
JOBS = 20
FOUR_EACH = """\
model: google/nano-banana-2/text-to-image
prompts: [a heron, a kite]
defaults: {num_images: 4}
"""


def made(folder: Path, manifest: str, *words: str) -> Path:
    """A finished run in ``folder/run``, by a process of its own against the embedded simulator."""
    (folder / "manifest.yaml").write_text(manifest, "utf-8")
    done = batcher_run(folder, *words)
    assert done.returncode == 0, done.stderr
    return folder / "run"


def batcher_run(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """The command that made the run, as a process."""
    command = [sys.executable, "-m", "batcher", *_command(folder, *words)]
    environment = {**os.environ, "RUNCOMFY_TOKEN": "a-token"}
    return subprocess.run(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def _command(folder: Path, *words: str) -> list[str]:
    """With the embedded simulator, unless the words name another service."""
    where = () if "--base-url" in words else ("--simulate",)
    return [
        "run", str(folder / "manifest.yaml"), "-o", str(folder / "run"), *where, "--rate", "200/s",
        "--progress", "none", "--json", *words,
    ]  # fmt: skip


@dataclass
class Run:
    """A copy of a finished run, and the command that looks at it."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    def verify(self, *words: str) -> dict[str, Any]:
        """``batcher verify --json``; the exit code it came with must be the one it tells."""
        code, out = self.say("--json", *words)
        facts: dict[str, Any] = json.loads(out)
        assert facts["exit_code"] == code
        return facts

    def say(self, *words: str) -> tuple[int, str]:
        return self("verify", self.folder.name, *words)

    def __call__(self, *words: str) -> tuple[int, str]:
        """A command, typed in the folder that the run directory is in."""
        self.capture.readouterr()
        with contextlib.chdir(self.folder.parent):
            code = main(list(words))
        return code, self.capture.readouterr().out

    def again(self, *words: str) -> dict[str, Any]:
        """The run, by the same command, once more."""
        with mock.patch.dict(os.environ, RUNCOMFY_TOKEN="a-token"):
            _, out = self(*_command(self.folder.parent, *words))
        report: dict[str, Any] = json.loads(out)
        return report

    def images(self) -> list[Path]:
        return sorted((self.folder / "images").rglob("*.png"))

    def cards(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text("utf-8")) for path in sorted((self.folder / "images").rglob("*.json"))]

    def rows(self, view: str) -> list[dict[str, Any]]:
        connection = connect_to_read(self.folder)
        try:
            cursor = connection.execute(f"SELECT * FROM {view}")
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor]
        finally:
            connection.close()

    def write_state(self, statement: str, *values: Any) -> None:
        """Behind batcher's back."""
        connection = sqlite3.connect(self.folder / STATE)
        with connection:
            assert connection.execute(statement, values).rowcount > 0
        connection.close()

    def forget_state(self) -> None:
        for path in self.folder.glob(f"{STATE}*"):
            path.unlink()

    def aside(self) -> list[Path]:
        return sorted(path for path in (self.folder / "lost+found").rglob("*") if path.is_file())


Copy = Callable[[Path], Run]


def kinds(facts: dict[str, Any]) -> set[str]:
    return {finding["kind"] for finding in facts["findings"]}


def copied(run: Path, into: Path, capture: pytest.CaptureFixture[str]) -> Run:
    shutil.copytree(run.parent, into / run.parent.name, symlinks=True)
    return Run(into / run.parent.name / run.name, capture)


def flip(path: Path, at: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= 1 << bit
    path.write_bytes(content)
