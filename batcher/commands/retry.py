"""``batcher retry``: the only way to reopen a job that has ended, because it may cost money again."""

from pathlib import Path
from typing import Any

import click

from batcher.commands.options import flag
from batcher.commands.printing import json_option, say, say_json
from batcher.commands.run_argument import run_argument
from batcher.core.job import MISSING, RETRIED
from batcher.core.suggest import nearest, printable
from batcher.core.units import show_count


@click.command(
    epilog="""\b
Examples:
  batcher retry runs/tonight                          every failed job
  batcher retry runs/tonight --cause timeout          only those
  batcher retry runs/tonight --state in_doubt --dry-run
  batcher retry runs/tonight --state missing          images that were lost since
A job that was paid for but could not be collected is asked for again, free.
Then run the same `batcher run` again."""
)
@run_argument
@click.option(
    "--state",
    "states",
    type=click.Choice((*RETRIED, MISSING)),
    multiple=True,
    default=("failed",),
    help="Jobs in this state; missing: done, but an image is missing or damaged.  [default: failed]",
)
@flag("--cause causes", "KIND", "Only failures with this cause, as `batcher status` shows it.", multiple=True)
@flag("--job jobs", "JOB", "Only this job: its key or the start of it, its prompt id, or its image.", multiple=True)
@click.option("--resubmit", is_flag=True, help="Also submit again what could be collected free (pays again).")
@click.option("--dry-run", is_flag=True, help="Only say what it would do.")
@json_option
def retry(run_dir: Path, as_json: bool, **given: Any) -> int:
    """Reopen failed (default), cancelled or in-doubt jobs, and say what that may cost."""
    from batcher.runner.reopening import Reopen, reopen, words

    facts = reopen(run_dir, Reopen(**given))
    say_json(facts) if as_json else say("\n".join([*words(facts), *_rest(facts)]))
    return 0


def _near(cause: str, facts: dict[str, Any]) -> str:
    near = nearest(cause, [name for name in facts["left_by_cause"] if name not in RETRIED])
    return f": did you mean {near}?" if near else ""


def _rest(facts: dict[str, Any]) -> list[str]:
    """What was left alone and why, and what to type next."""
    lines = []
    if facts["left"]:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in facts["left_by_cause"].items())
        lines.append(f"{show_count(facts['left'], 'job')} left alone ({kinds})")
    states = " or ".join(facts["states"]).replace("_", " ")
    lines += [
        f"no {states} job has the cause {printable(cause)}{_near(cause, facts)}"
        for cause in facts["causes_without_a_job"]
    ]
    if not facts["reopened"] and not facts["collected_again"]:
        lines.insert(0, f"Nothing to retry: no {states} job matches")
        lines += [
            f"{show_count(count, 'job is', 'jobs are')} {state.replace('_', ' ')}: use --state {state}"
            for state, count in facts["others"].items()
        ]
    elif facts["going"] and not facts["dry_run"]:
        lines.append("The run that is going there takes them within a second.")
    elif not facts["dry_run"] and facts["resume"]:
        lines.append(f"Now run:\n  {facts['resume']}")
    return lines
