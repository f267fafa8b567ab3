"""The manual's lines for schedulers, tried: by systemd's own check, and by a shell with as little as cron gives it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import Shell

PAGE = (Path(__file__).parents[2] / "batcher/manual/scheduling.md").read_text("utf-8")
MANIFEST = "prompts: [a kite, a hill]\n"


def installed(home: Path, extra: str = "") -> Path:
    """``~/images`` as the page has it. extra: words that are added to each command."""
    images = home / "images"
    for folder in (images / ".venv/bin", images / "jobs", home / ".config"):
        folder.mkdir(parents=True)
    program = images / ".venv/bin/batcher"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m batcher "$@" {extra}\n')
    program.chmod(0o755)
    (images / "jobs/overnight.yaml").write_text(MANIFEST)
    for name in ("batcher.env", "runcomfy-token"):
        (home / ".config" / name).write_text("RUNCOMFY_TOKEN=a-token-of-the-test\n")
        (home / ".config" / name).chmod(0o600)
    return images


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_takes_the_service_and_the_timer(tmp_path: Path) -> None:
    installed(tmp_path)
    units = {re.search(r"user/(\S+)", text)[1]: text for text in re.findall(r"```ini\n(.*?)```", PAGE, re.DOTALL)}  # type: ignore[index]
    assert set(units) == {"batcher.service", "batcher.timer"}
    for name, text in units.items():
        (tmp_path / name).write_text(text)
    came = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", *(f"./{name}" for name in units)],
        cwd=tmp_path, env={**os.environ, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    ours = [line for line in came.stderr.splitlines() if "batcher." in line.partition(":")[0]]  # it checks all it finds
    assert (came.returncode, ours) == (0, [])


def test_the_line_for_cron_works_with_what_cron_gives(tmp_path: Path) -> None:
    images = installed(tmp_path, "--simulate")
    (line,) = re.findall(r"^0 22 \* \* \* +(.*)$", PAGE, re.MULTILINE)
    assert "%" not in line  # to cron that is the end of the line
    poor = {"HOME": str(tmp_path), "LOGNAME": "somebody", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
    poor["PYTHONPATH"] = str(Path(__file__).parents[2])  # for where batcher is not installed
    assert subprocess.run(["/bin/sh", "-c", line], cwd="/", env=poor, check=False).returncode == 0
    assert "2 of 2 jobs done" in (images / "night.log").read_text()


def test_a_run_needs_neither_a_home_nor_a_terminal(shell: Shell) -> None:
    shell.file("p.yaml", MANIFEST)
    words = [sys.executable, "-m", "batcher", "run", "p.yaml", "--simulate", "--json"]
    poor = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(__file__).parents[2])}
    came = subprocess.run(words, cwd=shell.folder, env=poor, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    assert b'"done": 2' in came.stdout
