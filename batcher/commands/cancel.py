"""``batcher cancel``: stop what is still queued at the service, and report what could not be cancelled."""

from pathlib import Path
from typing import Any

import click

from batcher.commands.options import collect, service_options
from batcher.commands.printing import json_option, say, say_json
from batcher.commands.run_argument import run_argument
from batcher.core.command_line import command_line


@click.command(
    epilog="""\b
Examples:
  batcher cancel runs/tonight
  batcher cancel runs/tonight --pending   also close what was never submitted"""
)
@run_argument
@click.option("--pending", is_flag=True, help="Also cancel jobs that were never submitted.")
@service_options
@json_option
def cancel(run_dir: Path, as_json: bool, pending: bool, **given: Any) -> int:
    """Cancel what is still queued at the service. Running jobs can't be cancelled; they are charged and collectable."""
    from batcher.commands import loop
    from batcher.runner.cancelling import cancel_run

    facts = loop.run(cancel_run(run_dir, collect(given), pending=pending))
    say_json(facts) if as_json else say(_words(facts))
    return 0


def _words(facts: dict[str, Any]) -> str:
    lines = [f"{facts['cancelled']:,} cancelled at the service"]
    if facts["too_late"]:
        lines.append(f"{facts['too_late']:,} too late: running or finished, charged, collected by the next run")
    if facts["unknown"]:
        lines.append(f"{facts['unknown']:,} unknown: no readable answer; their ids are kept")
    if facts["closed"]:
        lines.append(f"{facts['closed']:,} waiting {'job' if facts['closed'] == 1 else 'jobs'} cancelled")
    if facts["going"]:
        lines.append("A run is going there: it records what it sees.")
    if facts["cancelled"] or facts["closed"]:
        lines.append(f"`{command_line('retry', facts['run'], '--state', 'cancelled')}` reopens them")
    return "\n".join(lines)
