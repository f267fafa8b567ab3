"""A report as a person reads it: every job and every dollar in its place, why it ended, and what to type next.

``status`` and the summary of a run take the same words from here, so that they can't differ. Every command can be
pasted as it stands.
"""

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batcher.core.job import CancelOutcome
from batcher.core.one_line import one_line
from batcher.core.units import show_bytes, show_count, show_duration, show_rate, show_usd
from batcher.images.storage import url_of
from batcher.runner.stop import Reason, Stop

SHOWN = 8  # causes
LEAST_SUBMITS, LEAST_SECONDS = 10, 3.0  # of less than these no rate is worth a word
STATES = (
    ("failed", "failed"), ("in_doubt", "in doubt"), ("cancelled", "cancelled"), ("at_service", "at the service"),
    ("to_download", "to download"),
)  # fmt: skip
AS_IT_STANDS = {  # causes for which the same request would fail again
    "content_policy": "reword these prompts in the manifest; a retry would send the same text again",
    "invalid_input": "correct these inputs in the manifest; a retry would send the same again",
}
IN_DOUBT = "may have been made and charged; submitting again may pay twice (batcher help troubles)"
FIRST = {  # what to do before the retry
    "untrusted_host": "if you trust that host, add --trust-host HOST to the command; then, free:",
}


@dataclass(frozen=True, slots=True)
class WayOn:
    """How to go on. command: as typed. limited: ``--limit`` left some out. piped: the manifest came by a pipe.

    needed: bytes that the images to come are likely to take.
    """

    command: str
    limited: bool = False
    piped: bool = False
    needed: float = 0.0


def summary(
    report: Mapping[str, Any],
    stop: Stop | None,
    way_on: WayOn,
    warnings: Sequence[str] = (),
) -> str:
    """The last lines a person reads. warnings: the last of them."""
    run = str(report["run"])
    kind = "simulated image" if report["simulated"] else "image"
    place = url_of(Path(run)) or f"{run}/images"
    images = f"{show_count(report['images'], kind)}, {show_bytes(report['bytes'])}, in {place}"
    lines = [f"{report['done']:,} of {show_count(report['total'], 'job')} done: {images}"]
    if others := standing(report):
        lines.append(others)
    lines += [_pace(report), *money(report), *causes(run, report["causes"])]
    if report["warnings"]:
        lines.append(f"{show_count(report['warnings'], 'warning')}, for example:")
        lines += [f"  {warning}" for warning in warnings[:3]]
    reason = None if stop is None else stop.reason
    if stop is not None and reason is not None:
        lines += [f"Stopped: {stop.message or reason.word.replace('_', ' ')}", *([stop.hint] if stop.hint else [])]
    if report["cancelled"]:
        retry = shlex.join(["batcher", "retry", run, "--state", "cancelled"])
        lines.append(f"To submit the {show_count(report['cancelled'], 'cancelled job')} again:\n  {retry}")
    if report["pending"] or way_on.limited or (reason is not None and reason.hard):
        lines += _to_go(report, reason, way_on)
    return "\n".join(lines)


def standing(facts: Mapping[str, Any]) -> str:
    """Where the jobs are that are not done; empty when all are."""
    parts = [f"{facts[name]:,} {word}" for name, word in STATES if facts[name]]
    if facts["at_service"]:
        parts = [f"{part} (collected first by the next run)" if part.endswith("service") else part for part in parts]
    waiting = facts["pending"] - facts["at_service"] - facts["to_download"]
    return ", ".join([*parts, *([f"{waiting:,} to submit"] if waiting > 0 else [])])


def money(facts: Mapping[str, Any]) -> list[str]:
    """Where the dollars are, in parts that add up, if there is more to say than one sum."""
    if facts["spent_usd"] is None:
        return ["cost unknown: the service named none, and no price is known; set it with --price USD"]
    parts = [f"{show_usd(facts['spent_usd'])} spent"]
    if facts["reserved_usd"]:
        parts.append(f"{show_usd(facts['reserved_usd'])} reserved for what is at the service")
    if facts["unclear_usd"]:
        parts.append(f"{show_usd(facts['unclear_usd'])} uncertain (failed there, what it charged is not known)")
    if facts["pending"] and facts["projected_usd"] is not None:
        parts.append(f"{show_usd(facts['projected_usd'])} when all is done")
    return [", ".join(parts)] if len(parts) > 1 else []


def causes(run: str, groups: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why jobs failed or are in doubt, each cause with what to do about it."""
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
            lines.append(f"          {shlex.join(['batcher', 'retry', run, *state, '--cause', group['cause']])}")
    if not lines:
        return []
    if len(groups) > SHOWN:
        lines.append(f"  ... and {show_count(len(groups) - SHOWN, 'more cause')}")
    return ["Why, and what to do:", *lines, f"All of them, with their inputs: {run}/failures.jsonl"]


def ended(facts: Mapping[str, Any] | None) -> list[str]:
    """When the last run ended and why. facts: as ``report.ended`` has them; None: it never did."""
    if not facts:
        return []
    why = facts.get("message") or str(facts.get("stopped_by") or "").replace("_", " ")
    took = show_duration(facts.get("seconds") or 0.0)
    words = f"Stopped at {facts.get('ended_at')}: {one_line(why, 200)}" if why else f"Ended at {facts.get('ended_at')}"
    return [f"{words} (began {facts.get('began_at')}, {took}, exit code {facts.get('exit_code')})"]


def cancelled(outcomes: Mapping[CancelOutcome, int]) -> list[str]:
    """What ``cancel`` and ``--cancel-on-interrupt`` came to, each outcome by itself."""
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


def _to_go(report: Mapping[str, Any], reason: Reason | None, way_on: WayOn) -> list[str]:
    pending = report["pending"]
    left = f"{pending:,} to go" if pending else "There is more in the manifest"
    if reason is Reason.PAUSED:
        return [f"{left}."]  # the hint says how
    how, command = resume(report, report["stopped_by"], way_on.command)
    if reason is Reason.DISK:
        how = f"The images to come need about {show_bytes(way_on.needed)}. {how}"
    elif way_on.piped:
        how = f"{how[:-1]} and the same prompts piped in:"
    return [f"{left}. {how}", f"  {command}"]


def resume(facts: Mapping[str, Any], stopped_by: str | None, command: str) -> tuple[str, str]:
    """How to go on and the command for it: not the one that would stop at the same place again."""
    if stopped_by == Reason.BUDGET.word:
        return _larger_budget(facts, command)
    for word, flag in ((Reason.MAX_FAILURES.word, "--max-failures"), ("limit", "--limit")):
        if stopped_by == word:
            return f"Go on without {flag}, or with a larger one:", without(command, flag)
    return "Resume with the same command:", command


def _larger_budget(report: Mapping[str, Any], command: str) -> tuple[str, str]:
    rest, needed = without(command, "--budget"), report["projected_usd"]
    if needed is None:
        return "Go on with a larger --budget than this command's:", command
    enough = math.ceil(100 * (needed + (report["unclear_usd"] or 0.0)) - 1e-6) / 100
    return f"{show_usd(enough)} would do for all of it:", f"{rest} --budget {enough:.2f}"


def without(command: str, flag: str) -> str:
    """The command as typed without a flag and its value."""
    words = shlex.split(command)
    kept = (
        word
        for before, word in zip(["", *words], words, strict=False)
        if flag not in {before, word} and not word.startswith(f"{flag}=")
    )
    return shlex.join(kept)
