"""The runs below ``runs/``, one line each: what ``batcher status`` shows without RUN."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from batcher.commands.run_argument import RUNS, runs_here
from batcher.core.errors import BatcherError
from batcher.core.units import show_usd

Facts = dict[str, Any]


def listed(facts_of: Callable[[Path], Facts]) -> list[Facts]:
    """The status of every run, the newest first. A run that can't be read has its ``error`` instead."""
    runs: list[Facts] = []
    for path in runs_here():
        try:
            runs.append(facts_of(path))
        except BatcherError as error:
            runs.append({"run": str(path), "error": error.message})
    return runs


def words(runs: Sequence[Facts]) -> str:
    if not runs:
        return f"There is no run below {RUNS}/ yet. Start one: batcher run jobs/quickstart.yaml --simulate"
    rows = [("run", "done", "state", "spent"), *map(_row, runs)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(facts: Facts) -> tuple[str, str, str, str]:
    if "error" in facts:
        return facts["run"], "", facts["error"], ""
    spent = "?" if facts["spent_usd"] is None else show_usd(facts["spent_usd"])
    play = " (play money)" if facts["simulated"] else ""
    return facts["run"], f"{facts['done']:,}/{facts['total']:,}", _state(facts), spent + play


def _state(facts: Facts) -> str:
    if facts["going"]:
        return "going"
    parts = [f"{facts[name]:,} {word}" for name, word in _NEEDS.items() if facts[name]]
    stopped = (facts["ended"] or {}).get("stopped_by") if parts else None
    return (", ".join(parts) or "done") + (f" (stopped: {stopped.replace('_', ' ')})" if stopped else "")


_NEEDS = {"pending": "to go", "failed": "failed", "in_doubt": "in doubt", "cancelled": "cancelled"}
