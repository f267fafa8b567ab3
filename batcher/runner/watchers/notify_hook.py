"""``--on-end CMD``: runs the user's command at the end of a run, with the result in ``BATCHER_*`` variables.

It runs in a shell and a session of its own, after the report is written and the run directory is unlocked. Its output
goes to standard error. Its exit code is only reported. After some seconds the run no longer waits for it.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batcher.client.token import TOKEN_ENV
from batcher.runner.watchers.notify import HEARTBEAT, NOTIFY

PATIENCE = 30.0  # seconds that a run waits for the command
FACTS = (  # fields of the report that become variables
    "exit_code", "stopped_by", "total", "done", "failed", "in_doubt", "cancelled", "pending", "images", "submits",
    "cost_usd", "spent_usd", "seconds", "simulated",
)  # fmt: skip


def environment(report: Mapping[str, Any], run_dir: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of the command, without secrets: a command that needs the token reads it from a file."""
    kept = {name: value for name, value in environ.items() if name not in {*TOKEN_ENV, NOTIFY, HEARTBEAT}}
    facts = {f"BATCHER_{name.upper()}": _text(report.get(name)) for name in FACTS}
    where = {"BATCHER_RUN": str(run_dir.absolute()), "BATCHER_REPORT": str(run_dir.absolute() / "report.json")}
    return {**kept, **facts, **where}


def run(command: str, report: Mapping[str, Any], run_dir: Path, patience: float = PATIENCE) -> str:
    """Start the command and wait up to ``patience`` seconds for it. Returns the problem in words, empty if none."""
    try:
        process = subprocess.Popen(  # noqa: S602  it is the user's own command, from the command line and nowhere else
            command, shell=True, env=environment(report, run_dir), start_new_session=True, stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno() if _has_descriptor() else subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        return f"--on-end could not be started: {error}"
    try:
        code = process.wait(patience)
    except subprocess.TimeoutExpired:
        process.returncode = 0  # so that Popen does not warn about a process that still runs
        return f"--on-end still runs after {patience:.1f} s: left running (process {process.pid})"
    return f"--on-end ended with {code}" if code else ""


def _has_descriptor() -> bool:
    try:
        sys.stderr.fileno()
    except (OSError, ValueError, AttributeError):
        return False
    return True


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
