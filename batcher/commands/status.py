"""``batcher status``: how far a run is. Reads the state file only, so it works beside a going run and long after."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from batcher.commands.printing import json_option, say, say_json, table
from batcher.commands.run_argument import RUNS, optional_runs_argument, runs_here
from batcher.core.errors import BatcherError
from batcher.core.units import show_bytes, show_count, show_rate, show_usd

_MEASURE_FOR = 2.0  # seconds for measuring images
_MOST_FLAGGED = 50_000  # images: flagging them takes a second


@click.command(
    epilog="""\b
Examples:
  batcher status
  batcher status runs/quickstart
  batcher status runs/quickstart --json
  batcher status runs/birds-*-of-4      several runs as one, such as its shards"""
)
@optional_runs_argument
@json_option
def status(run_dirs: tuple[Path, ...], as_json: bool) -> int:
    """Show counts by state, pace, time left, cost, and failures by cause. Without RUN, list all runs.

    For several RUNs: a line for each, and all of them together.
    """
    from batcher.runner import standing
    from batcher.store.joined import joined

    if not run_dirs:
        runs = _listed()
        say_json({"runs": runs}) if as_json else say(_list(runs))
        return 0
    with joined(run_dirs) as whole:
        facts = standing.of(whole.path) if len(whole.runs) == 1 else standing.together(whole)
        facts |= _flags(whole.path, facts)
    if as_json:
        say_json(facts)
    else:
        say("\n".join([*([_list(facts["runs"]), ""] if "runs" in facts else []), _words(facts)]))
    return 0


def _flags(run_dir: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """flags: images by flag; None if there are too many to measure now. unmeasured: images without measures."""
    if not 0 < facts["images"] <= _MOST_FLAGGED:
        return {"flags": None if facts["images"] else {}, "unmeasured": facts["images"]}

    from batcher.images.flagging import flag_all
    from batcher.store import connect_to_read

    with closing(connect_to_read(run_dir)) as connection:
        flags_of = flag_all(run_dir, connection, 0 if facts["going"] else _MEASURE_FOR)
    return {"flags": flags_of.counts(), "unmeasured": len(flags_of.left)}


def _words(facts: dict[str, Any]) -> str:
    from batcher.runner import report_words
    from batcher.runner.control import control_now

    state = "running" if facts["going"] else "not running"
    kind = ", simulated" if facts["simulated"] else ""
    lines = [f"{facts['run']}  ({state}{kind})", *facts.get("notes", ())]
    lines += report_words.standing(facts, going=facts["going"])
    lines.append(
        f"{show_count(facts['images'], 'image')}, {show_bytes(facts['bytes'])},"
        f" {show_count(facts['submits_total'], 'submit')}"
    )
    if facts["rate"]:
        left = f", {facts['time_left']}" if facts["time_left"] else ""
        lines.append(f"{show_rate(facts['rate'])} over the last minute{left}")
    lines += facts["limit"]
    if facts["note"]:
        lines.append(facts["note"])
    lines += facts["workers"]
    if facts["flags"]:
        seen = ", ".join(f"{count:,} {word}" for word, count in facts["flags"].items())
        lines.append(f"to look at: {seen} (`batcher view`, filter flag:{next(iter(facts['flags']))})")
    if facts["flags"] is None or (facts["unmeasured"] and not facts["going"]):
        images = show_count(facts["unmeasured"], "image was", "images were")
        lines.append(f"{images} not looked at for flags: `batcher view` does that")
    lines += report_words.causes(facts["run"], facts["failures"])
    lines += report_words.ended(facts["ended"])
    if facts["pending"] and not facts["going"] and facts["resume"]:
        stopped_by = (facts["ended"] or {}).get("stopped_by")
        how, command = report_words.resume(facts, stopped_by, facts["resume"], control_now(Path(facts["run"])))
        lines += [how, f"  {command}"]
    return "\n".join(lines)


def _listed() -> list[dict[str, Any]]:
    """The status of every run, the newest first. A run that can't be read has its ``error`` instead."""
    from batcher.runner import standing

    runs: list[dict[str, Any]] = []
    for path in runs_here():
        try:
            runs.append(standing.of(path))
        except BatcherError as error:
            runs.append({"run": str(path), "error": error.message})
    return runs


def _list(runs: Sequence[dict[str, Any]]) -> str:
    if not runs:
        return f"There is no run below {RUNS}/ yet. Start one: batcher run jobs/quickstart.yaml --simulate"
    return "\n".join(table([("run", "done", "state", "spent"), *map(_row, runs)]))


def _row(facts: dict[str, Any]) -> tuple[str, str, str, str]:
    if "error" in facts:
        return facts["run"], "", facts["error"], ""
    spent = "?" if facts["spent_usd"] is None else show_usd(facts["spent_usd"])
    play = " (play money)" if facts["simulated"] else ""
    return facts["run"], f"{facts['done']:,}/{facts['total']:,}", _state(facts), spent + play


def _state(facts: dict[str, Any]) -> str:
    if facts["going"]:
        return "going"
    parts = [f"{facts[name]:,} {word}" for name, word in _NEEDS.items() if facts[name]]
    stopped = (facts["ended"] or {}).get("stopped_by") if parts else None
    return (", ".join(parts) or "done") + (f" (stopped: {stopped.replace('_', ' ')})" if stopped else "")


_NEEDS = {"pending": "to go", "failed": "failed", "in_doubt": "in doubt", "cancelled": "cancelled"}
