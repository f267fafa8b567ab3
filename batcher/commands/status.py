"""``batcher status``: how far a run is. Reads the state file only, so it works beside a going run and long after."""

from pathlib import Path
from typing import Any

import click

from batcher.commands.printing import say, say_json


@click.command(epilog="\b\nExamples:\n  batcher status runs/quickstart\n  batcher status runs/quickstart --json")
@click.argument("run_dir", metavar="RUN")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def status(run_dir: str, as_json: bool) -> int:
    """Show counts by state, pace, time left, cost, and failures grouped by cause."""
    from batcher.store import connect_to_read  # noqa: PLC0415  start-up time

    connection = connect_to_read(Path(run_dir))
    try:
        facts = _facts(connection, Path(run_dir))
    finally:
        connection.close()
    say_json(facts) if as_json else say(_words(facts))
    return 0


def _facts(connection: Any, run_dir: Path) -> dict[str, Any]:
    from batcher import report  # noqa: PLC0415  start-up time
    from batcher.job import State  # noqa: PLC0415
    from batcher.store import reading  # noqa: PLC0415

    counts = reading.counts(connection)
    by_state = reading.by_state(connection)
    images, size, odd = reading.pictures(connection)
    money = reading.money(connection)
    price = reading.meta(connection, "price_usd")
    live = _live(connection)
    return {
        "run": str(run_dir),
        "going": live is not None,
        "total": counts.total,
        "done": counts.done,
        "failed": counts.failed,
        "cancelled": counts.cancelled,
        "in_doubt": counts.in_doubt,
        "pending": counts.pending,
        "at_service": by_state.get(State.RUNNING, 0) + by_state.get(State.SUBMITTING, 0),
        "to_download": by_state.get(State.READY, 0),
        "images": images,
        "bytes": size,
        "warnings": odd,
        "cost_usd": report.cost(money, price),
        "price_usd": price,
        "submits_total": money.submits,
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


def _live(connection: Any) -> dict[str, Any] | None:
    """What a going run last said of itself; None when none is going (a killed one is found out by its process)."""
    import os  # noqa: PLC0415  start-up time
    import socket  # noqa: PLC0415

    from batcher.store import reading  # noqa: PLC0415

    process = reading.meta(connection, "process")
    if not process:
        return None
    if process["host"] == socket.gethostname():
        try:
            os.kill(process["pid"], 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            pass  # somebody else's, but alive
    return reading.meta(connection, "live") or {}


def _words(facts: dict[str, Any]) -> str:
    from batcher.units import show_bytes, show_duration, show_rate, show_usd  # noqa: PLC0415  start-up time

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
    cost = "cost unknown" if facts["cost_usd"] is None else show_usd(facts["cost_usd"])
    lines.append(
        f"{facts['images']:,} images, {show_bytes(facts['bytes'])}, {facts['submits_total']:,} submits, {cost}"
    )
    if facts["rate"]:
        left = f", {show_duration(facts['eta_seconds'])} left" if facts["eta_seconds"] is not None else ""
        lines.append(f"{show_rate(facts['rate'])} over the last minute{left}")
    if facts["note"]:
        lines.append(facts["note"])
    lines += _failures(facts)
    if facts["pending"] and not facts["going"] and facts["resume"]:
        lines.append(f"Resume with:\n  {facts['resume']}")
    return "\n".join(lines)


def _failures(facts: dict[str, Any]) -> list[str]:
    from batcher.protocol import one_line  # noqa: PLC0415  start-up time

    lines = []
    for group in facts["failures"]:
        word = "failed" if group["state"] == "failed" else "in doubt"
        said = one_line(f"{group['cause']}: {group['message']}", 100)
        lines.append(f"  {group['count']:>9,}  {word}, {said}")
        flag = "" if group["state"] == "failed" else " --state in_doubt"
        lines.append(f"             batcher retry {facts['run']}{flag} --cause {group['cause']}")
    return ["Why:", *lines] if lines else []
