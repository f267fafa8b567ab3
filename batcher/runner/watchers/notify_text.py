"""The text of messages: progress of the run, its cost, what needs a person, what to type. No prompt and no token.

It holds only numbers, fixed words and the name of the run directory. Causes are named by their kind, because a message
of the service about a prompt may quote it.
"""

from collections.abc import Mapping
from typing import Any

from batcher.core.command_line import command_line
from batcher.core.one_line import one_line
from batcher.core.tally import Snapshot
from batcher.core.units import show_count, show_duration, show_usd

WHY = {
    "account": "the token was refused",
    "balance": "the balance is gone",
    "disk": "the disk can't take more",
    "service": "the service does not answer",
    "fuse": "too many jobs in a row failed for one cause, or got no usable answer",
    "interrupted": "it was interrupted",
    "budget": "the budget is committed",
    "deadline": "the deadline is reached",
    "max_failures": "--max-failures is reached",
    "limit": "--limit is reached",
    "paused": "it is paused",
    "drained": "it was asked to finish and end",
}


def at_end(report: Mapping[str, Any]) -> tuple[str, str]:
    """Title and text of the message at the end of a run. report: as in ``report.json``."""
    run = one_line(str(report["run"]), 200)
    stopped = report.get("stopped_by")
    if report["exit_code"] == 0:
        title = f"batcher: {run} is finished: {show_count(report['done'], 'job')} done"
    elif stopped:
        title = f"batcher: {run} stopped: {WHY.get(stopped, str(stopped).replace('_', ' '))}"
    else:
        title = f"batcher: {run} is finished, with work left for you"
    return title, "\n".join([*_standing(report), *_needs(report, run), *_go_on(report, run)])


def at_stall(run: str, seconds: float, snapshot: Snapshot) -> tuple[str, str]:
    """Title and text if no job moved for ``seconds``. run: the run directory."""
    run = one_line(run, 200)
    text = (
        f"{snapshot.done:,} of {snapshot.total:,} done, {snapshot.in_flight:,} at the service."
        f"\nLook: {command_line('status', run)}"
    )
    return f"batcher: {run}: nothing moved for {show_duration(seconds)}", text


def at_failed_start(run: str, exit_code: int) -> tuple[str, str]:
    """Title and text if a run ended before it began, for example because the token is missing."""
    why = {64: "the command line is wrong", 65: "the manifest is wrong", 69: "the service can't be reached"}
    why |= {73: "the disk can't take it", 75: "another batcher is running there", 77: "the token or the balance"}
    return f"batcher: {one_line(run, 200)} did not start: {why.get(exit_code, f'exit code {exit_code}')}", ""


def _standing(report: Mapping[str, Any]) -> list[str]:
    parts = [f"{report['done']:,} of {report['total']:,} done"]
    parts += [
        f"{report[name]:,} {word}"
        for name, word in (
            ("failed", "failed"),
            ("in_doubt", "in doubt"),
            ("cancelled", "cancelled"),
            ("pending", "to go"),
        )
        if report.get(name)
    ]
    money = "cost unknown" if report.get("cost_usd") is None else f"{show_usd(report['cost_usd'])} in all"
    if report.get("simulated"):
        money += " (simulated: play money)"
    return [f"{', '.join(parts)}; {money}; {show_duration(report['seconds'])}."]


def _needs(report: Mapping[str, Any], run: str) -> list[str]:
    if not report.get("failed") and not report.get("in_doubt"):
        return []
    causes = report.get("causes", [])[:8]
    kinds = ", ".join(f"{cause['count']:,} {one_line(cause['cause'], 40)}" for cause in causes)
    return [f"Needs you: {kinds}", f"Look: {command_line('status', run)}"]


def _go_on(report: Mapping[str, Any], run: str) -> list[str]:
    if not report.get("pending"):
        return []
    return [f"Go on: {command_line('run', run)}"]
