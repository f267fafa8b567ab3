"""A report as text: jobs and dollars by state, why the run ended, and what to type next.

``batcher status`` and the summary of a run use the same functions, so that they can't differ. Every command can be
pasted.
"""

import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from batcher.core.command_line import command_line
from batcher.core.control import Control
from batcher.core.job import CancelOutcome
from batcher.core.one_line import one_line
from batcher.core.units import show_bytes, show_count, show_duration, show_rate, show_usd
from batcher.images.storage import url_of
from batcher.runner.stop import Reason, Stop

SHOWN = 8  # causes
LEAST_SUBMITS, LEAST_SECONDS = 10, 3.0  # with less than these no rate is shown
STATES = {  # in words, with a note
    "done": ("done", ""),
    "at_service": ("at the service", "collected first by the next run"),
    "to_download": ("to download", "paid for; the next run fetches them"),
    "in_doubt": ("in doubt", "counted as charged"),
    "failed": ("failed", ""),
    "cancelled": ("cancelled", ""),
}
AS_IT_STANDS = {  # causes for which the same request would fail again
    "content_policy": "reword these prompts in the manifest; a retry would send the same text again",
    "invalid_input": "fix these inputs in the manifest; a retry would send the same again",
}
IN_DOUBT = "may have been made and charged; submitting again may pay twice (batcher help troubles)"
FIRST = {  # what to do before the retry
    "untrusted_host": "if you trust that host, add --trust-host HOST to the command; then, free:",
}


def summary(
    report: Mapping[str, Any], stop: Stop, warnings: Iterable[str] = (), *,
    limited: bool, piped: bool, needed: float, control: Control,
) -> str:  # fmt: skip
    """The last lines of a run, for a person. report: as ``report.json`` has it. warnings: the last of them.

    limited: whether ``--limit`` left jobs out. piped: whether the manifest came through a pipe. needed: estimated bytes
    of the images to come. control: what ``tune`` asks for.
    """
    run = str(report["run"])
    kind = "simulated image" if report["simulated"] else "image"
    place = url_of(Path(run)) or f"{run}/images"
    images = f"{show_count(report['images'], kind)}, {show_bytes(report['bytes'])}, in {place}"
    lines = [f"{report['done']:,} of {show_count(report['total'], 'job')} done: {images}"]
    if report["done"] < report["total"]:
        lines += standing(report)
    lines += [_pace(report), *causes(run, report["causes"])]
    if report["warnings"]:
        lines.append(f"{show_count(report['warnings'], 'warning')}, for example:")
        lines += [f"  {warning}" for warning in islice(warnings, 3)]
    reason = stop.reason
    if reason is not None:
        lines += [f"Stopped: {stop.message or reason.word.replace('_', ' ')}", *([stop.hint] if stop.hint else [])]
    if report["cancelled"]:
        retry = command_line("retry", run, "--state", "cancelled")
        lines.append(f"To submit the {show_count(report['cancelled'], 'cancelled job')} again:\n  {retry}")
    if report["pending"] or limited or (reason is not None and reason.hard):
        lines += _to_go(report, reason, piped, needed, control)
    return "\n".join(lines)


def standing(facts: Mapping[str, Any], *, going: bool = False) -> list[str]:
    """A table of jobs and dollars by state. facts: as ``report.standing`` gives them. going: the run is in progress."""
    costs = facts["cost_by_state"]
    rows: list[tuple[str, str, float | None, str]] = [
        (f"{facts[name]:,}", word, costs.get(name), "" if going else note)
        for name, (word, note) in STATES.items()
        if facts[name] or name == "done"
    ]
    if (waiting := facts["pending"] - facts["at_service"] - facts["to_download"]) > 0:
        to_come = (facts["projected_usd"] or 0.0) - (facts["cost_usd"] or 0.0)
        note = f"{show_usd(to_come)} to come" if to_come > 0 else ""
        rows.append((f"{waiting:,}", "to submit", costs.get("pending"), note))
    if "removed" in costs:
        rows.append(("", "no longer in the manifest", costs["removed"], ""))
    rows.append((f"{facts['total']:,}", "in all", facts["cost_usd"], ""))
    dollars = [show_usd(cost) if cost else "" for _, _, cost, _ in rows]
    wide, room = max(len(word) for _, word, _, _ in rows), max(map(len, dollars))
    lines = [
        f"  {count:>9}  {word:<{wide}}  {cost:>{room}}  {note}".rstrip()
        for (count, word, _, note), cost in zip(rows, dollars, strict=True)
    ]
    if facts["unclear_usd"]:
        lines.append(f"{show_usd(facts['unclear_usd'])} more is uncertain: failed at the service, perhaps charged")
    if facts["spent_usd"] is None:
        lines.append("cost unknown: the service named none, and no price is known; set it with --price USD")
    return lines


def causes(run: str, groups: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why jobs failed or are in doubt, and what to do about each cause. groups: as ``report.causes`` gives them."""
    lines: list[str] = []
    for group in groups[:SHOWN]:
        failed = group["state"] == "failed"
        words = one_line(f"{group['cause']}: {group['message']}" if group["message"] else group["cause"], 100)
        lines.append(
            f"  {group['count']:>6,}  {'failed' if failed else 'in doubt'}, {words}"
            f" (for example {one_line(group['example'], 60)})"
        )
        if failed and group["cause"] in AS_IT_STANDS:
            lines.append(f"          {AS_IT_STANDS[group['cause']]}")
        else:
            state = [] if failed else ["--state", "in_doubt"]
            first = FIRST.get(group["cause"]) if failed else IN_DOUBT
            lines += [f"          {first}"] if first else []
            lines.append(f"          {command_line('retry', run, *state, '--cause', group['cause'])}")
    if not lines:
        return []
    if len(groups) > SHOWN:
        lines.append(f"  ... and {show_count(len(groups) - SHOWN, 'more cause')}")
    return ["Why, and what to do:", *lines, f"All of them, with their inputs: {run}/failures.jsonl"]


def ended(facts: Mapping[str, Any] | None) -> list[str]:
    """When and why the last run ended. facts: of ``report.ended`` as a mapping; None if no run ended."""
    if not facts:
        return []
    why = facts.get("message") or str(facts.get("stopped_by") or "").replace("_", " ")
    took, at = show_duration(facts.get("seconds") or 0.0), _local(facts.get("ended_at"))
    words = f"Stopped {at} after {took}: {one_line(why, 200)}" if why else f"Ended {at} after {took}"
    return [f"{words} (began {_local(facts.get('began_at'))}, exit code {facts.get('exit_code')})"]


def _local(utc: str | None) -> str:
    """``2026-11-22 03:12`` in the time zone of this machine."""
    return f"{datetime.fromisoformat(utc).astimezone():%Y-%m-%d %H:%M}" if utc else "at an unknown time"


def cancelled(outcomes: Mapping[CancelOutcome, int]) -> list[str]:
    """The outcomes of ``--cancel-on-interrupt``, one line each."""
    words = {
        CancelOutcome.CANCELLED: "cancelled at the service, free",
        CancelOutcome.TOO_LATE: "too late: running or finished, charged, collected by the next run",
        CancelOutcome.UNKNOWN: "unknown: no readable answer; their ids are kept",
    }
    return [f"{outcomes[outcome]:,} {text}" for outcome, text in words.items() if outcomes.get(outcome)]


def _pace(report: Mapping[str, Any]) -> str:
    amount = "cost unknown" if report["cost_usd"] is None else show_usd(report["cost_usd"])
    play = " of play money" if report["simulated"] else ""
    long = report["submits"] >= LEAST_SUBMITS and report["submits"] > LEAST_SECONDS * report["submit_rate"] > 0
    rate = f" at {show_rate(report['submit_rate'])}" if long else ""
    pace = f"{show_count(report['submits'], 'submit')}{rate}"
    refused = f", {report['rate_limited']:,} refused for their rate" if report["rate_limited"] else ""
    return f"{show_duration(report['seconds'])}, {pace}{refused}; {amount}{play} in all"


def _to_go(report: Mapping[str, Any], reason: Reason | None, piped: bool, needed: float, control: Control) -> list[str]:
    pending = report["pending"]
    left = f"{pending:,} to go" if pending else "There is more in the manifest"
    how, command = resume(report, report["stopped_by"], report["command"], control)
    if reason is Reason.DISK:
        how = f"The remaining images need about {show_bytes(needed)}. {how}"
    elif piped:
        how = f"{how[:-1]} and the same prompts piped in:"
    return [f"{left}. {how}", f"  {command}"]


def resume(facts: Mapping[str, Any], stopped_by: str | None, command: str, control: Control) -> tuple[str, str]:
    """How to go on, and a command that does not stop at the same limit again.

    stopped_by: as in ``report.json``. command: as typed. control: what ``tune`` asks for now, which overrides it.
    """
    run = facts["run"]
    if control.paused:
        return "It is paused. Go on with:", f"{command_line('tune', run, '--resume')} && {command}"
    if stopped_by == Reason.BUDGET.word:
        return _larger_budget(facts, command, control)
    if stopped_by == Reason.DEADLINE.word and control.deadline is not None:
        without_it = command_line("tune", run, "--deadline", "none")
        return "The deadline was set by tune. Go on without it:", f"{without_it} && {command}"
    if stopped_by == Reason.MAX_FAILURES.word:
        more = f"{without(command, '--max-failures')} --max-failures {2 * facts['failed']}"
        return "Go on with a larger --max-failures:", more
    if stopped_by == "limit":
        return "Go on without --limit, or with a larger one:", without(command, "--limit")
    return "Resume with the same command:", command


def _larger_budget(facts: Mapping[str, Any], command: str, control: Control) -> tuple[str, str]:
    needed = facts["projected_usd"]
    if needed is None:
        return "Go on with a larger --budget than this command's:", command
    enough = math.ceil(100 * (needed + (facts["unclear_usd"] or 0.0)) - 1e-6) / 100
    if control.budget is None:
        rest = without(command, "--budget")
        return f"{show_usd(enough)} would be enough for all of it:", f"{rest} --budget {enough:.2f}"
    if control.budget >= enough:
        return f"The budget is {show_usd(control.budget)} now. Go on with:", command
    more = command_line("tune", facts["run"], "--budget", f"{enough:.2f}")
    words = f"The budget was set by tune. {show_usd(enough)} would be enough for all of it:"
    return words, f"{more} && {command}"


def without(command: str, flag: str) -> str:
    """The command as typed without a flag and its value."""
    words = shlex.split(command)
    kept = (
        word
        for before, word in zip(["", *words], words, strict=False)
        if flag not in {before, word} and not word.startswith(f"{flag}=")
    )
    return shlex.join(kept)
