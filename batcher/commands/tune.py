"""``batcher tune``: change a run while it goes, or before it goes on."""

from pathlib import Path
from typing import Any

import click

from batcher.commands.options import flag
from batcher.commands.printing import json_option, say, say_json
from batcher.commands.run_argument import run_argument


@click.command(
    epilog="""\b
Examples:
  batcher tune runs/tonight --rate 1/s --reason "others need the account"
  batcher tune runs/tonight --budget 20 --deadline 07:00
  batcher tune runs/tonight --pause
  batcher tune runs/tonight --resume
  batcher tune runs/tonight                 show what is set now
It takes effect within a second, and wins over the flags of a later start."""
)
@run_argument
@flag("--rate", "R", "Submit rate: 5/s, 300/min; none: as the command says.")
@flag("--in-flight", "N", "Maximum jobs at the service at once, or none.")
@flag("--downloads", "N", "Maximum downloads at once, or none.")
@flag("--budget", "USD", "Never commit more than this in total, or none.")
@flag("--deadline", "WHEN", "Start nothing new after this: 8h from now, 07:00, or none.")
@click.option("--pause", is_flag=True, help="Submit nothing new; what is at the service is collected.")
@click.option("--resume", is_flag=True, help="Go on after --pause.")
@click.option("--drain", is_flag=True, help="Finish what is at the service, then end the run.")
@flag("--reason", "TEXT", "Why, for the record.")
@json_option
def tune(run_dir: Path, as_json: bool, **given: Any) -> int:
    """Change a going run: rate, budget, deadline, pause. If no run is going, the next one starts with it."""
    from batcher.runner.tuning import tune as ask

    facts = ask(run_dir, **given)
    say_json(facts) if as_json else say(_words(facts))
    return 0


def _words(facts: dict[str, Any]) -> str:
    asked = facts["asked"] or "nothing: the run follows its command"
    lines = [f"{facts['run']}: {asked}"]
    if facts["changed"] and facts["going"]:
        lines.append("The run that is going there will use it within a second.")
    elif facts["changed"]:
        lines.append("No run is going there: the next one will use it.")
    if not facts["going"] and not facts["paused"] and facts["resume"]:
        lines.append(f"Go on with:\n  {facts['resume']}")
    return "\n".join(lines)
