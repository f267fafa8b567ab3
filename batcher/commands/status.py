"""``batcher status``: how far a run is. Reads the state file only, so it works beside a going run and long after."""

from pathlib import Path
from typing import Any

import click

from batcher.commands.printing import say, say_json
from batcher.commands.run_argument import optional_run_argument

_LOOK_FOR = 2.0  # seconds, for the flags of pictures that nobody looked at yet
_MOST_FLAGGED = 50_000  # pictures: judging them takes a second


@click.command(
    epilog="\b\nExamples:\n  batcher status\n  batcher status runs/quickstart\n  batcher status runs/quickstart --json"
)
@optional_run_argument
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def status(run_dir: str | None, as_json: bool) -> int:
    """Show counts by state, pace, time left, cost, and failures grouped by cause. Without RUN, list all runs."""
    if run_dir is None:
        from batcher.commands.listing import listed, words  # noqa: PLC0415  start-up time

        runs = listed(_facts)
        say_json({"runs": runs}) if as_json else say(words(runs))
        return 0
    from batcher.store import connect_to_read  # noqa: PLC0415  start-up time

    connection = connect_to_read(Path(run_dir))
    try:
        facts = _facts(connection, Path(run_dir))
        facts |= _flags(connection, Path(run_dir), facts)
    finally:
        connection.close()
    say_json(facts) if as_json else say(_words(facts))
    return 0


def _facts(connection: Any, run_dir: Path) -> dict[str, Any]:
    from dataclasses import asdict  # noqa: PLC0415  start-up time

    from batcher.runner import report  # noqa: PLC0415
    from batcher.store import is_going, read_facts, reading  # noqa: PLC0415
    from batcher.store.facts import Live  # noqa: PLC0415

    _, _, odd = reading.pictures(connection)
    recorded = read_facts(connection)
    price, going = recorded.price_usd, is_going(connection, run_dir)
    live = (recorded.live or Live()) if going else None
    return {
        "run": str(run_dir),
        "going": going,
        **report.standing(connection, reading.counts(connection), price),
        "warnings": odd,
        "price_usd": price,
        "price_at": recorded.price_at,
        "rate": live.rate if live else None,
        "eta_seconds": live.eta if live else None,
        "note": live.note if live else "",
        "simulated": bool(recorded.simulated),
        "manifest": recorded.manifest,
        "model": recorded.model,
        "resume": recorded.command,
        "failures": report.causes(connection),
        "ended": None if going or recorded.ended is None else asdict(recorded.ended),
        "limited_by": live.limited_by if live else None,
        "limited_for_seconds": live.limited_for if live else None,
        "in_flight_cap": live.in_flight_cap if live else None,
    }


def _flags(connection: Any, run_dir: Path, facts: dict[str, Any]) -> dict[str, Any]:
    """flags: pictures by flag, None where there are too many to judge in passing. unmeasured: not looked at yet."""
    if not 0 < facts["images"] <= _MOST_FLAGGED:
        return {"flags": None if facts["images"] else {}, "unmeasured": facts["images"]}
    from batcher.images.flagging import look_at_all  # noqa: PLC0415  the picture library

    flags_of = look_at_all(run_dir, connection, 0 if facts["going"] else _LOOK_FOR)
    return {"flags": flags_of.counts(), "unmeasured": len(flags_of.left)}


def _words(facts: dict[str, Any]) -> str:
    from batcher.core import limits  # noqa: PLC0415  start-up time
    from batcher.core.units import show_bytes, show_count, show_duration, show_rate, show_usd  # noqa: PLC0415
    from batcher.runner import report_words  # noqa: PLC0415

    state = "running" if facts["going"] else "not running"
    kind = ", simulated" if facts["simulated"] else ""
    lines = [f"{facts['run']}  ({state}{kind})"]
    words = {
        "done": "done", "failed": "failed", "in_doubt": "in doubt", "cancelled": "cancelled",
        "at_service": "at the service", "to_download": "to download",
    }  # fmt: skip
    waiting = facts["pending"] - facts["at_service"] - facts["to_download"]
    lines += [f"  {facts[name]:>9,}  {word}" for name, word in words.items() if facts[name] or name == "done"]
    lines += [f"  {waiting:>9,}  to submit", f"  {facts['total']:>9,}  in all"]
    lines.append(
        f"{show_count(facts['images'], 'image')}, {show_bytes(facts['bytes'])},"
        f" {show_count(facts['submits_total'], 'submit')}"
    )
    spent = "" if facts["spent_usd"] is None else f"{show_usd(facts['spent_usd'])} spent"
    lines += report_words.money(facts) or [spent]
    if facts["rate"]:
        left = f", {show_duration(facts['eta_seconds'])} left" if facts["eta_seconds"] is not None else ""
        lines.append(f"{show_rate(facts['rate'])} over the last minute{left}")
    if facts["limited_by"]:
        since = show_duration(facts["limited_for_seconds"] or 0.0)
        lines.append(f"limited by {limits.WORDS[facts['limited_by']]} for {since}")
    if facts["note"]:
        lines.append(facts["note"])
    if facts["flags"]:
        seen = ", ".join(f"{count:,} {word}" for word, count in facts["flags"].items())
        lines.append(f"to look at: {seen} (`batcher view`, filter flag:{next(iter(facts['flags']))})")
    if facts["flags"] is None or (facts["unmeasured"] and not facts["going"]):
        lines.append(f"{facts['unmeasured']:,} pictures are not looked at for flags: `batcher view` does that")
    lines += report_words.causes(facts["run"], facts["failures"])
    lines += report_words.ended(facts["ended"])
    if facts["pending"] and not facts["going"] and facts["resume"]:
        how, command = report_words.resume(facts, (facts["ended"] or {}).get("stopped_by"), facts["resume"])
        lines += [how, f"  {command}"]
    return "\n".join(lines)
