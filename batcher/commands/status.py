"""``batcher status``: how far a run is. Reads the state file only, so it works beside a going run and long after."""

from pathlib import Path
from typing import Any

import click

from batcher.commands.printing import say, say_json
from batcher.commands.run_argument import optional_run_argument


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
    finally:
        connection.close()
    say_json(facts) if as_json else say(_words(facts))
    return 0


def _facts(connection: Any, run_dir: Path) -> dict[str, Any]:
    from batcher.runner import report  # noqa: PLC0415  start-up time
    from batcher.store import reading  # noqa: PLC0415

    _, _, odd = reading.pictures(connection)
    price = reading.meta(connection, "price_usd")
    live = _live(connection, run_dir)
    return {
        "run": str(run_dir),
        "going": live is not None,
        **report.standing(connection, reading.counts(connection), price),
        "warnings": odd,
        "price_usd": price,
        "price_at": reading.meta(connection, "price_at"),
        "rate": live.get("rate") if live else None,
        "eta_seconds": live.get("eta") if live else None,
        "note": live.get("note", "") if live else "",
        "simulated": bool(reading.meta(connection, "simulated", default=False)),
        "manifest": reading.meta(connection, "manifest"),
        "model": reading.meta(connection, "model"),
        "resume": reading.meta(connection, "command"),
        "failures": [
            {
                "state": str(group.state),
                "cause": group.cause.kind,
                "message": group.cause.message,
                "count": group.count,
                "example": group.example,
            }
            for group in reading.failures(connection)
        ],
    }


def _live(connection: Any, run_dir: Path) -> dict[str, Any] | None:
    """What a going run last said of itself; None when none is going."""
    from batcher.store import is_going, reading  # noqa: PLC0415  start-up time

    return (reading.meta(connection, "live") or {}) if is_going(connection, run_dir) else None


def _words(facts: dict[str, Any]) -> str:
    from batcher.core.units import show_bytes, show_duration, show_rate  # noqa: PLC0415  start-up time

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
    lines.append(f"{facts['images']:,} images, {show_bytes(facts['bytes'])}, {facts['submits_total']:,} submits")
    lines.append(_money(facts))
    if facts["rate"]:
        left = f", {show_duration(facts['eta_seconds'])} left" if facts["eta_seconds"] is not None else ""
        lines.append(f"{show_rate(facts['rate'])} over the last minute{left}")
    if facts["note"]:
        lines.append(facts["note"])
    lines += _failures(facts)
    if facts["pending"] and not facts["going"] and facts["resume"]:
        lines.append(f"Resume with:\n  {facts['resume']}")
    return "\n".join(lines)


def _money(facts: dict[str, Any]) -> str:
    from batcher.core.units import show_usd  # noqa: PLC0415  start-up time

    if facts["spent_usd"] is None:
        return "cost unknown: the service named none, and no price is known (--price USD)"
    parts = [f"{show_usd(facts['spent_usd'])} spent"]
    if facts["reserved_usd"]:
        parts.append(f"{show_usd(facts['reserved_usd'])} reserved for what is at the service")
    if facts["unclear_usd"]:
        parts.append(f"{show_usd(facts['unclear_usd'])} unclear (failed there, cost not said)")
    if facts["projected_usd"] is not None and facts["pending"]:
        parts.append(f"{show_usd(facts['projected_usd'])} projected in all")
    if facts["price_usd"] is not None:
        parts.append(f"{show_usd(facts['price_usd'])} an image")
    return ", ".join(parts)


def _failures(facts: dict[str, Any]) -> list[str]:
    from batcher.core.one_line import one_line  # noqa: PLC0415  start-up time

    lines = []
    for group in facts["failures"]:
        word = "failed" if group["state"] == "failed" else "in doubt"
        said = one_line(f"{group['cause']}: {group['message']}", 100)
        lines.append(f"  {group['count']:>9,}  {word}, {said}")
        flag = "" if group["state"] == "failed" else " --state in_doubt"
        lines.append(f"             batcher retry {facts['run']}{flag} --cause {group['cause']}")
    return ["Why:", *lines] if lines else []
