"""The data of ``batcher status`` and ``Run.status()``: of one run, in progress or not, or of several runs together."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from msgspec import to_builtins

from batcher.core.units import show_count
from batcher.runner import report
from batcher.runner.progress_words import limit_in_words, time_left, way_out
from batcher.store import connect_to_read, is_going, read_facts, reading
from batcher.store.facts import Live
from batcher.store.joined import Joined

Facts = dict[str, Any]
_MONEY = ("submits_total", "cost_usd", "spent_usd", "reserved_usd", "unclear_usd", "projected_usd")


def of(run_dir: Path) -> Facts:
    """Status of a run, as JSON data. Raises UsageError if the directory is no run, DiskError."""
    with closing(connect_to_read(run_dir)) as connection:
        return read(connection, run_dir)


def together(whole: Joined) -> Facts:
    """Status of several runs together: each job counts once, and money is the sum. ``runs`` has the status of each."""
    runs = [of(run) for run in whole.runs]
    return {
        **of(whole.path),
        **sums(runs),
        "run": whole.name,
        "twice": whole.twice,
        "absent": list(whole.absent),
        "notes": notes(whole),
        "runs": runs,
    }


def notes(whole: Joined) -> list[str]:
    """Warnings about runs that are read together: jobs in several of them, missing shards."""
    notes = []
    if whole.twice:
        notes.append(
            f"{show_count(whole.twice, 'job is', 'jobs are')} in more than one of these runs and counted once."
        )
    if whole.absent:
        notes.append(f"Not among these runs: {show_count(len(whole.absent), 'shard')}, {', '.join(whole.absent[:8])}.")
    return notes


def sums(runs: Sequence[Facts]) -> Facts:
    """Sums of money and rate over several runs: the numbers that the joined job table does not have."""
    return {
        **{name: _sum([run[name] for run in runs]) for name in _MONEY},
        "cost_by_state": _costs([run["cost_by_state"] for run in runs]),
        "going": any(run["going"] for run in runs),
        "rate": sum(run["rate"] or 0.0 for run in runs) or None,
        "eta_seconds": max((run["eta_seconds"] for run in runs if run["eta_seconds"] is not None), default=None),
    }


def read(connection: sqlite3.Connection, run_dir: Path) -> Facts:
    """The same over a connection to the state file of the run."""
    recorded = read_facts(connection)
    price, going = recorded.price_usd, is_going(connection, run_dir)
    live = (recorded.live or Live()) if going else None
    return {
        "run": str(run_dir),
        "going": going,
        **to_builtins(report.standing(connection, reading.counts(connection), price, str(run_dir))),
        "price_usd": price,
        "price_at": recorded.price_at,
        "rate": live.rate if live else None,
        "eta_seconds": live.eta if live else None,
        "time_left": time_left(live) if live else "",
        "note": live.note if live else "",
        "workers": list(live.workers) if live else [],
        "simulated": bool(recorded.simulated),
        "manifest": recorded.manifest,
        "model": recorded.model,
        "resume": recorded.command,
        "failures": to_builtins(report.causes(connection)),
        "ended": None if going or recorded.ended is None else asdict(recorded.ended),
        "limit": _limit(live, run_dir) if live else [],
        "limited_by": live.limited_by if live else None,
        "limited_for_seconds": live.limited_for if live else None,
        "in_flight_cap": live.in_flight_cap if live else None,
    }


def _limit(live: Live, run_dir: Path) -> list[str]:
    return [*filter(None, (limit_in_words(live), way_out(live, live.slots, run_dir)))]


def _costs(runs: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: _sum([run.get(name, 0.0) for run in runs]) for name in names}


def _sum(numbers: Sequence[float | None]) -> float | None:
    """The sum, None if one number is unknown."""
    return None if None in numbers else round(sum(filter(None, numbers)), 6)
