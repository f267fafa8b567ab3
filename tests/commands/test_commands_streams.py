"""Streams as they come: other encodings, closed, a full disk behind them, a reader that goes. Never a traceback."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import Shell

BATCHER = f"'{sys.executable}' -m batcher"
NAMES_IN_LATIN = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}  # as ISO-8859-1 where it is there
MANIFEST = "ein grüner Leuchtturm — am Meer\n灯台\n"


def ran(shell: Shell, line: str, **environ: str) -> "subprocess.CompletedProcess[bytes]":
    shell.file("uni.txt", MANIFEST)
    return subprocess.run(
        line.replace("batcher", BATCHER, 1), shell=True, cwd=shell.folder, capture_output=True, check=False,
        env={**os.environ, **environ}, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.parametrize(
    "environ",
    [
        {"LC_ALL": "C", "TERM": "dumb"},
        NAMES_IN_LATIN,
        {"PYTHONIOENCODING": "latin-1", "NO_COLOR": "1", "COLUMNS": "40"},
    ],
)
def test_any_locale_runs_prompts_of_any_language(shell: Shell, environ: dict[str, str]) -> None:
    went = ran(shell, "batcher run uni.txt --simulate --rate 100/s --progress bar", **environ)
    after = ran(shell, "batcher status uni; batcher verify uni".replace("; batcher", f"; {BATCHER}"), **environ)
    assert (went.returncode, after.returncode) == (0, 0), went.stderr + after.stderr
    output = went.stdout + went.stderr + after.stdout + after.stderr
    assert b"\x1b" not in output
    assert b"Traceback" not in output
    output.decode("latin-1" if "PYTHONIOENCODING" in environ else "utf-8")
    names = {path.name for path in Path(os.fsdecode(shell.folder)).rglob("*.png")}
    assert any(name.startswith("ein-grüner-leuchtturm") for name in names), names


def test_python_that_can_not_name_files_in_utf8_is_refused_before_anything_is_paid(shell: Shell) -> None:
    code = "import batcher; batcher.run(['ein gr\\u00fcner Leuchtturm'], out='uni', simulate=True)"
    came = subprocess.run(
        [sys.executable, "-c", code], cwd=shell.folder, capture_output=True, text=True, check=False,
        env={**os.environ, **NAMES_IN_LATIN},
    )  # fmt: skip
    assert "UsageError: this Python writes names of files in" in came.stderr
    assert "Nothing was submitted" in came.stderr
    assert not (shell.folder / "uni").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")  # noqa: PTH110
@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("batcher run uni.txt --simulate --rate 100/s --progress bar 2>/dev/full", 0),
        ("batcher run uni.txt --simulate --rate 100/s >&- 2>&- <&-", 0),
        ("batcher status nothing 2>/dev/full", 64),
        ("batcher status nothing >&- 2>&- <&-", 64),
        ("batcher --help >/dev/full", 73),
        ("batcher help manifest | head -1", 0),
    ],
)
def test_a_stream_that_takes_nothing_changes_no_exit_code(shell: Shell, line: str, code: int) -> None:
    came = ran(shell, line)
    assert came.returncode == code, came.stderr
    assert not re.search(rb"Traceback|defect", came.stdout + came.stderr)
    assert b"\x1b" not in came.stdout + came.stderr
