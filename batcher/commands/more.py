"""``batcher more``: new seeds where no image was picked."""

import sys
from pathlib import Path

import click

from batcher.commands.printing import say, say_json
from batcher.commands.run_argument import run_argument
from batcher.core.errors import UsageError


@click.command(
    epilog="""\b
Examples:
  batcher more runs/birds --seeds 4               every group without a picked image
  batcher more runs/birds --seeds 8 --where '"heron" in prompt' --yes
A group is one request with all its seeds. The new jobs go to additions.jsonl
and are part of the run from then on: the next `batcher run` makes them."""
)
@run_argument
@click.option(
    "--seeds", type=click.IntRange(1, 100_000), required=True, metavar="N", help="How many new seeds for each group."
)
@click.option("--where", metavar="EXPR", help="Only groups with a job that matches, picked or not.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--dry-run", is_flag=True, help="Only say what it would add.")
@click.option("--json", "as_json", is_flag=True, help="As JSON; asks nothing, so it needs --yes or --dry-run.")
def more(run_dir: Path, seeds: int, where: str | None, yes: bool, dry_run: bool, as_json: bool) -> int:
    """Add N drawn seeds to each group of RUN that has no picked image; shows jobs and cost, then asks."""
    from batcher.export.more import add, plan_more

    plan = plan_more(run_dir, seeds, where)
    facts = plan.as_json(run_dir)
    if not as_json:
        say("\n".join(plan.words()))
    if not dry_run:
        if not yes and (as_json or not sys.stdin.isatty()):
            raise UsageError(
                "there is no terminal to ask on",
                hint="Add --yes to add these jobs. Nothing was written.",
            )
        facts["added"] = yes or click.confirm("Add them?")
        if facts["added"]:
            add(run_dir, plan)
    if as_json:
        say_json(facts)
    elif facts["added"]:
        when = "When the run that is going there has ended, run" if plan.going else "Now run"
        say(f"Added. {when}:\n  {plan.resume}" if plan.resume else "Added: the next run makes them.")
    elif not dry_run:
        say("Nothing was added.")
    return 0
