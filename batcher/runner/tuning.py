"""What ``batcher tune`` and the page's controls do: write down what is asked of a run."""

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
    run_dir: Path,
    *,
    rate: str | None = None,
    in_flight: str | None = None,
    downloads: str | None = None,
    budget: str | None = None,
    deadline: str | None = None,
    pause: bool = False,
    resume: bool = False,
    drain: bool = False,
    reason: str | None = None,
    wall: Callable[[], float] = time.time,
) -> dict[str, Any]:
    """Each setting is a text as its flag takes it, BACK for what the command says, None to leave it as it is.

    Returns what is set now, as JSON data. Raises UsageError, DiskError; then nothing is asked.
    """
    if pause and resume:
        raise UsageError("--pause and --resume contradict each other", hint="Leave one of them out.")
    with closing(connect_to_read(run_dir)) as connection:
        going = is_going(connection, run_dir)
        command = read_facts(connection).command
    before = read_control(run_dir)
    if drain and not going:
        raise UsageError(f"no run is going in {run_dir}, so there is nothing to drain", hint="--pause holds the next.")
    given = {"rate": rate, "in_flight": in_flight, "downloads": downloads, "budget": budget}
    changes: dict[str, Any] = {name: _parsed(name, text) for name, text in given.items() if text is not None}
    if deadline is not None:
        asked = _parsed("deadline", deadline)
        changes["deadline"] = None if asked is None else deadline_at(asked, wall())
    if pause or resume:
        changes["paused"] = pause
    if drain:
        changes["drain"] = True
    changed = bool(changes)
    after = before
    if changed:
        words = "" if reason is None else one_line(reason, 500)
        after = replace(before, **{"drain": False, **changes}, reason=words, at=wall())
        write_control(run_dir, after)
    elif reason is not None:
        raise UsageError("--reason explains a change, and nothing is changed", hint="Add --rate, --pause or another.")
    return {
        "run": str(run_dir),
        "going": going,
        "changed": changed,
        "asked": after.words(before),
        "paused": after.paused,
        "control": asdict(after),
        "resume": command,
    }


def _parsed(name: str, text: str) -> Any:
    """Raises UsageError."""
    if text.strip().lower() == BACK:
        return None
    try:
        return PARSERS[name](text)
    except ValueError as error:
        flag = "--" + name.replace("_", "-")
        raise UsageError(f"{flag} {one_line(text, 60)!r}: {error}") from None
