"""``batcher pick``: verdicts on the images of a run, from the command line."""

from pathlib import Path
from typing import Any

import click

from batcher.commands.options import flag
from batcher.commands.printing import json_option, say, say_json
from batcher.commands.run_argument import complete_runs, newest_run_noted, run_named
from batcher.core.command_line import command_line
from batcher.core.errors import UsageError
from batcher.core.units import show_count

WORDS = ("yes", "no", "clear")


@click.command(
    epilog="""\b
Examples:
  batcher pick runs/birds --where 'seed == 7 and "heron" in prompt' yes
  batcher pick runs/birds --where 'pick is null' no
  batcher pick runs/birds --where 'meta.style == "ink"' --stars 4 --tag print
  batcher pick runs/birds --from picks.jsonl          verdicts that somebody else made
  batcher pick runs/birds --from scores.csv --best 1 --by aesthetic --rest no
A file names images by job, file or prompt_id. Nothing is ever deleted:
`clear` takes a verdict back, and the last verdict on an image counts.
Exit code 3 when rows of the file name no image of this run."""
)
@click.argument("words", metavar="[RUN] [yes|no|clear]", nargs=-1, shell_complete=complete_runs)
@flag("--where", "EXPR", "Which images: pick is null and seed < 10.")
@flag("--from scores", "FILE", "Read verdicts or scores from a CSV, TSV or JSONL file.")
@click.option("--stars", type=click.IntRange(0, 5), metavar="N", help="Stars, 0 to 5.")
@flag("--tag tags", "TEXT", "Add a tag; repeatable.", multiple=True)
@click.option("--best", type=click.IntRange(1), metavar="N", help="Pick the best N of each group (all but the seed).")
@flag("--by", "COLUMN", "The column that --best ranks by.  [default: the file's one column of numbers]")
@click.option("--rest", type=click.Choice(("no", "clear")), help="What --best gives the others.  [default: nothing]")
@click.option(
    "--by-whom", "by_whom", metavar="NAME", default="", help="Who gives the verdict.  [default: your user name]"
)
@json_option
def pick(words: tuple[str, ...], scores: str | None, as_json: bool, **given: Any) -> int:
    """Say which images of RUN are keepers (yes), which are not (no), and how many stars they have."""
    from batcher.export.picking import Picking
    from batcher.export.picking import pick as picked

    word = words[-1] if words and words[-1] in WORDS else None
    runs = words[:-1] if word else words
    if len(runs) > 1:
        raise UsageError(
            f"{runs[1]!r} is not a verdict", hint=f"Write one of {', '.join(WORDS)} after RUN, or nothing."
        )
    run_dir = run_named(runs[0]) if runs else newest_run_noted()
    facts = picked(run_dir, Picking(word=word, scores=Path(scores) if scores else None, **given))
    say_json(facts) if as_json else say(_words(facts))
    return int(facts["exit_code"])


def _words(facts: dict[str, Any]) -> str:
    kinds = {"yes": "picked", "no": "rejected", "cleared": "cleared"}
    done = ", ".join(f"{facts[name]:,} {word}" for name, word in kinds.items() if facts[name])
    images = show_count(facts["pictures"], "image matches", "images match")
    lines = [f"{images}: {show_count(facts['written'], 'new verdict')}{f' ({done})' if done else ''}"]
    if facts["groups"] is not None:
        lines[0] += f", in {show_count(facts['groups'], 'group')}"
    if facts["unchanged"]:
        lines.append(f"{facts['unchanged']:,} already had it")
    if facts["unmatched"]:
        lines.append(f"{show_count(facts['unmatched'], 'row names', 'rows name')} no image of this run, such as:")
        lines += [f"  {example}" for example in facts["unmatched_examples"]]
    lines += facts["warnings"]
    if facts["yes"]:
        export = command_line("export", facts["run"], "DIR", "--to", "imagefolder", "--where", 'pick == "yes"')
        lines.append(f"Now: `{export}`")
    return "\n".join(lines)
