"""What a run came to: ``report.json``, the exit code and the summary a person reads."""

import json
import shlex
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batcher.core.job import CancelOutcome, Counts, State
from batcher.core.one_line import one_line
from batcher.core.units import show_bytes, show_duration, show_rate, show_usd
from batcher.core.version import __version__
from batcher.images.storage import url_of
from batcher.runner.stop import Reason, Stop
from batcher.store import reading
from batcher.store.files.whole import write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What only the process knows. seconds: wall time of this process. submit_rate: per second.

    limited: ``--limit`` left jobs out. warned: how often something was odd; warnings: the last of it, in words.
    """

    run_dir: Path
    total: int
    limited: bool
    submits: int
    submit_rate: float
    rate_limited: int
    warnings: tuple[str, ...]
    warned: int
    seconds: float
    simulated: bool


def exit_code(counts: Counts, stop: Stop | None, *, limited: bool = False) -> int:
    """By severity: 77, 73, 69, 130, then 5 (in doubt), 3 (failed), 4 (work left), 0."""
    if stop is not None and stop.reason is not None and stop.reason.exit_code != 4:
        return stop.reason.exit_code
    if counts.in_doubt:
        return 5
    if counts.failed:
        return 3
    return 4 if counts.done < counts.total or limited else 0


def build(connection: sqlite3.Connection, facts: Facts, stop: Stop | None, price: float | None) -> dict[str, Any]:
    """The report, as in the design: the same for ``--json`` and ``report.json``."""
    counts = reading.counts(connection, facts.total)
    return {
        "run": str(facts.run_dir),
        **standing(connection, counts, price),
        "submits": facts.submits,
        "seconds": round(facts.seconds, 3),
        "submit_rate": round(facts.submit_rate, 3),
        "rate_limited": facts.rate_limited,
        "exit_code": exit_code(counts, stop, limited=facts.limited),
        "stopped_by": _stopped_by(facts, stop),
        "message": "" if stop is None else stop.message,
        "warnings": facts.warned,
        "simulated": facts.simulated,
        "batcher": __version__,
    }


def _stopped_by(facts: Facts, stop: Stop | None) -> str | None:
    if stop is not None and stop.reason is not None:
        return stop.reason.word
    return "limit" if facts.limited else None


def standing(connection: sqlite3.Connection, counts: Counts, price: float | None) -> dict[str, Any]:
    """Where the jobs, the files and the money are: what report and ``status`` have in common.

    Money is dollars over the life of the run directory, None where it is unknown. cost_usd: spent and reserved.
    spent_usd: for submits that came to an end, or are in doubt. reserved_usd: for those at the service. unclear_usd:
    for those it failed without saying what they cost; a budget counts them, nothing else does. projected_usd: with what
    is still to be submitted.
    """
    by_state = reading.by_state(connection)
    at_service = by_state.get(State.RUNNING, 0) + by_state.get(State.SUBMITTING, 0)
    to_download = by_state.get(State.READY, 0)
    images, size, _ = reading.pictures(connection)
    money = reading.money(connection)
    total = cost(money, price)
    reserved = money.open * (price or 0.0)
    to_come = max(0, counts.pending - at_service - to_download) * (price or 0.0)
    return {
        "total": counts.total,
        "done": counts.done,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "in_doubt": counts.in_doubt,
        "pending": counts.pending,
        "at_service": at_service,
        "to_download": to_download,
        "images": images,
        "bytes": size,
        "submits_total": money.submits,
        "cost_usd": total,
        "spent_usd": None if total is None else round(total - reserved, 6),
        "reserved_usd": None if price is None and money.open else round(reserved, 6),
        "unclear_usd": None if price is None and money.failed else round(money.failed * (price or 0.0), 6),
        "projected_usd": None if total is None or (price is None and counts.pending) else round(total + to_come, 6),
    }


def cost(money: reading.Money, price: float | None) -> float | None:
    """Dollars over the life of the run directory, at ``price`` where the service named no cost; None when unknown."""
    unsaid = money.unpriced + money.open
    if unsaid and price is None:
        return None
    return round(money.known_usd + unsaid * (price or 0.0), 6)


def write(run_dir: Path, report: dict[str, Any]) -> None:
    """``report.json``, whole or not at all. Raises DiskError."""
    write_whole(run_dir / "report.json", [json.dumps(report, indent=2) + "\n"])


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
    connection: sqlite3.Connection, facts: Facts, report: dict[str, Any], stop: Stop | None, way_on: WayOn
) -> str:
    """The last lines a person reads: what is there, what is not and why, and what to type next."""
    lines = [_headline(report), *_causes(connection, report)]
    if facts.warned:
        lines += [f"{facts.warned:,} odd, such as:", *(f"  {warning}" for warning in facts.warnings[:3])]
    if stop is not None and stop.reason is not None:
        lines += _stopped(stop)
    if report["cancelled"]:
        lines.append(
            f"{report['cancelled']:,} cancelled. `batcher retry {report['run']} --state cancelled` reopens them."
        )
    if report["pending"] or facts.limited or (stop is not None and stop.reason is not None and stop.reason.hard):
        lines += _to_go(report["pending"], stop, way_on)
    return "\n".join(lines)


def _to_go(pending: int, stop: Stop | None, way_on: WayOn) -> list[str]:
    if stop is not None and stop.reason is Reason.PAUSED:
        return [f"{pending:,} to go."]  # the hint says how
    how = "Resume with the same command:"
    if stop is not None and stop.reason is Reason.DISK:
        how = f"The images to come need about {show_bytes(way_on.needed)}. {how}"
    if way_on.piped:
        how = "Resume with the same command and the same prompts piped in:"
    if stop is not None and stop.reason is Reason.BUDGET:
        how = "Go on with the same command and a larger --budget:"
    elif (stop is None or stop.reason is None) and way_on.limited:
        how = "Go on with the same command without --limit, or a larger one:"
        left = f"{pending:,} to go" if pending else "there is more in the manifest"
        return [f"{left[:1].upper()}{left[1:]}. {how}", f"  {_without_limit(way_on.command)}"]
    return [f"{pending:,} to go. {how}", f"  {way_on.command}"]


def _without_limit(command: str) -> str:
    """The command as typed would make nothing more: it is there to be pasted."""
    words = shlex.split(command)
    kept = (
        word
        for before, word in zip(["", *words], words, strict=False)
        if before != "--limit" and word != "--limit" and not word.startswith("--limit=")
    )
    return shlex.join(kept)


def cancelled(outcomes: Mapping[CancelOutcome, int]) -> list[str]:
    """What ``cancel`` and ``--cancel-on-interrupt`` came to, each outcome by itself."""
    words = {
        CancelOutcome.CANCELLED: "cancelled at the service, free",
        CancelOutcome.TOO_LATE: "too late: running or finished, charged, collected by the next run",
        CancelOutcome.UNKNOWN: "unknown: no readable answer; their ids are kept",
    }
    return [f"{outcomes[outcome]:,} {text}" for outcome, text in words.items() if outcomes.get(outcome)]


def _headline(report: dict[str, Any]) -> str:
    kind = "simulated images" if report["simulated"] else "images"
    amount = "cost unknown" if report["cost_usd"] is None else show_usd(report["cost_usd"])
    if report["simulated"]:
        amount += " of play money"
    lines = [
        (
            f"{report['done']:,} of {report['total']:,} jobs done: {report['images']:,} {kind},"
            f" {show_bytes(report['bytes'])}, in {url_of(Path(report['run'])) or report['run'] + '/images'}"
        )
    ]
    pace = f"{report['submits']:,} submits" + (
        f" at {show_rate(report['submit_rate'])}" if report["submit_rate"] else ""
    )
    refused = f", {report['rate_limited']:,} refused for their rate" if report["rate_limited"] else ""
    lines.append(f"{show_duration(report['seconds'])}, {pace}{refused}; {amount} in all")
    return "\n".join(lines)


def _causes(connection: sqlite3.Connection, report: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    run = report["run"]
    groups = reading.failures(connection)
    for state, word, way in (
        (State.FAILED, "failed", f"`batcher retry {run}` reopens them and says what that may cost"),
        (
            State.IN_DOUBT,
            "in doubt (submitted, but the answer was lost)",
            f"see `batcher retry {run} --state in_doubt`",
        ),
    ):
        mine = [group for group in groups if group.state is state]
        if mine:
            lines.append(f"{report[str(state)]:,} {word}; {way}:")
            lines += [
                f"  {group.count:>6,}  {str(group.cause)[:100]} (such as {one_line(group.example, 60)})"
                for group in mine[:8]
            ]
    if lines:
        lines.append(f"All of them, with inputs and causes: {run}/failures.jsonl")
    return lines


def _stopped(stop: Stop) -> list[str]:
    assert stop.reason is not None
    words = stop.message or stop.reason.word.replace("_", " ")
    return [f"Stopped: {words}", *([stop.hint] if stop.hint else [])]
