"""Writes requests of ``batcher tune``, the page and the Python API to ``control.json``."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from batcher.core.errors import UsageError
from batcher.core.one_line import one_line
from batcher.core.settings import PARSERS
from batcher.runner.control import BACK, read_control, write_control
from batcher.runner.stop import deadline_at
from batcher.store import connect_to_read, is_going, read_facts


def tune(
    run_dir: Path, *, rate: str | None = None, in_flight: str | None = None, downloads: str | None = None,
    budget: str | None = None, deadline: str | None = None, pause: bool = False, resume: bool = False,
    drain: bool = False, reason: str | None = None, wall: Callable[[], float] = time.time,
) -> dict[str, Any]:  # fmt: skip
    """Request other settings of a run, in progress or not. Each is a text as its flag takes it, BACK for the setting of
    the command, None for no change. reason: free text. wall: Unix seconds.

    Returns all requests that apply now, as JSON data. Raises UsageError, DiskError; then nothing has changed.
    """
    if pause and resume:
        raise UsageError("--pause and --resume contradict each other", hint="Leave one of them out.")
    with closing(connect_to_read(run_dir)) as connection:
        going, command = is_going(connection, run_dir), read_facts(connection).command
    before = read_control(run_dir)
    if drain and not going:
        raise UsageError(f"no run is going in {run_dir}, so there is nothing to drain", hint="--pause holds the next.")
    given = {"rate": rate, "in_flight": in_flight, "downloads": downloads, "budget": budget, "deadline": deadline}
    changes: dict[str, Any] = {name: _parsed(name, text, wall()) for name, text in given.items() if text is not None}
    if pause or resume:
        changes["paused"] = pause
    after = before
    if changes or drain:
        words = "" if reason is None else one_line(reason, 500)
        after = replace(before, **changes, drain=drain, reason=words, at=wall())
        write_control(run_dir, after)
    elif reason is not None:
        raise UsageError("--reason explains a change, and nothing is changed", hint="Add --rate, --pause or another.")
    return {
        "run": str(run_dir),
        "going": going,
        "changed": bool(changes) or drain,
        "asked": after.words(before),
        "paused": after.paused,
        "control": asdict(after),
        "resume": command,
    }


def _parsed(name: str, text: str, now: float) -> Any:
    """The value of a setting, None for BACK; of a deadline, in Unix seconds. Raises UsageError."""
    if text.strip().lower() == BACK:
        return None
    try:
        value = PARSERS[name](text)
        return deadline_at(value, now) if name == "deadline" else value
    except ValueError as error:
        flag = "--" + name.replace("_", "-")
        raise UsageError(f"{flag} {one_line(text, 60)!r}: {error}") from None
