"""``batcher retry``: the only way back for a job at rest, because it may cost money again."""

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import click

from batcher.commands.printing import say, say_json
from batcher.commands.run_argument import run_argument

STATES = ("failed", "cancelled", "in_doubt")


@click.command(
    epilog="""\b
Examples:
  batcher retry runs/tonight                          every failed job
  batcher retry runs/tonight --cause timeout          only those
  batcher retry runs/tonight --state in_doubt --dry-run
A job that was paid for but could not be collected is asked for again, free.
Then: batcher run, as before."""
)
@run_argument
@click.option("--state", "states", type=click.Choice(STATES), multiple=True, help="Which jobs.  [default: failed]")
@click.option(
    "--cause", "causes", multiple=True, metavar="KIND", help="Only failures of this kind, as status names them."
)
@click.option("--job", "keys", multiple=True, metavar="KEY", help="Only this job (its key, or the beginning of it).")
@click.option("--resubmit", is_flag=True, help="Submit anew also what could be collected free (pays again).")
@click.option("--dry-run", is_flag=True, help="Only say what it would do.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def retry(run_dir: str, as_json: bool, **given: Any) -> int:
    """Reopen failed (default), cancelled or in-doubt jobs, and say what that may cost."""
    from batcher.runner.run_dir import hold  # noqa: PLC0415  start-up time
    from batcher.store import STATE, StateFile, connect_to_read  # noqa: PLC0415

    folder = Path(run_dir)
    connect_to_read(folder).close()  # a wrong path is answered before anything is made there
    with hold(folder):
        state = StateFile(folder / STATE)
        try:
            facts = _reopen(state, run_dir, **given)
        finally:
            state.close()
    say_json(facts) if as_json else say(_words(facts))
    return 0


def _reopen(
    state: Any, run_dir: str, *, states: tuple[str, ...], causes: tuple[str, ...], keys: tuple[str, ...],
    resubmit: bool, dry_run: bool,
) -> dict[str, Any]:  # fmt: skip
    from batcher.core.job import State  # noqa: PLC0415  start-up time
    from batcher.runner.records import STALE  # noqa: PLC0415
    from batcher.store import reading  # noqa: PLC0415

    by_state = reading.by_state(state.connection)
    wanted = [State(name) for name in states or ("failed",)]
    free = paid = images = 0
    skipped: Counter[str] = Counter()
    moves = []
    for entry in reading.entries(state.connection, wanted, listed_only=True):
        kind = entry.cause.kind if entry.cause else ""
        if (causes and kind not in causes) or (keys and not entry.job.key.startswith(keys)):
            skipped[kind or str(entry.state)] += 1
        elif entry.state is State.FAILED and not resubmit and reading.was_taken_up(state.connection, entry):
            free += 1
            moves.append(partial(state.recollect, entry))
        else:
            paid += 1
            images += entry.job.images
            moves.append(partial(state.reopen, entry))
    if moves and not dry_run:
        state.must_commit([partial(state.set_meta, **STALE), *moves])
    price = reading.meta(state.connection, "price_usd")
    return {
        "run": run_dir,
        "states": [str(name) for name in wanted],
        "reopened": paid,
        "collected_again": free,
        "left": sum(skipped.values()),
        "left_by_cause": dict(skipped),
        "may_cost_usd": None if price is None else round(images * price, 6),
        "in_doubt": State.IN_DOUBT in wanted,
        "others": {
            name: by_state[State(name)] for name in STATES if State(name) in by_state and State(name) not in wanted
        },
        "dry_run": dry_run,
        "resume": reading.meta(state.connection, "command"),
    }


def _words(facts: dict[str, Any]) -> str:
    from batcher.core.units import show_usd  # noqa: PLC0415  start-up time

    would = "would be " if facts["dry_run"] else ""
    lines = []
    if facts["reopened"]:
        unknown = "nobody knows how much: the price is unknown"
        cost = unknown if facts["may_cost_usd"] is None else f"up to {show_usd(facts['may_cost_usd'])}"
        lines.append(f"{facts['reopened']:,} {would}reopened: they are submitted again, which may cost {cost}")
        if facts["in_doubt"]:
            lines.append("Those in doubt may be paid twice: look at your generations at the service first.")
    if facts["collected_again"]:
        lines.append(f"{facts['collected_again']:,} {would}collected again: they were paid for, asking is free")
    if facts["left"]:
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in facts["left_by_cause"].items())
        lines.append(f"{facts['left']:,} left as they are ({kinds})")
    if not facts["reopened"] and not facts["collected_again"]:
        lines.insert(0, f"nothing to reopen: no job is {' or '.join(facts['states'])} and fits")
        lines += [f"{count:,} are {state}: --state {state}" for state, count in facts["others"].items()]
    elif not facts["dry_run"] and facts["resume"]:
        lines.append(f"Now run:\n  {facts['resume']}")
    return "\n".join(lines)
