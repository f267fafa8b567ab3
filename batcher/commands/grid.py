"""``batcher grid``: contact sheets of a run. Reads the state file and the images, and writes only sheets."""

from contextlib import closing
from pathlib import Path
from typing import Any

import click

from batcher.commands.options import flag
from batcher.commands.printing import json_option, say, say_json
from batcher.commands.run_argument import runs_argument
from batcher.core.errors import UsageError
from batcher.core.units import show_bytes, show_count, show_duration
from batcher.export.sheets import FORMATS

SHOWN = 5  # files


@click.command(
    epilog="""\b
Examples:
  batcher grid runs/tonight
  batcher grid runs/tonight --rows seed --cols aspect_ratio
  batcher grid runs/tonight --rows prompt --cols guidance --per none -o sheet.webp
  batcher grid runs/tonight --where 'seed <= 4 and state != "failed"' --per none
  batcher grid runs/tonight --where 'pick == "yes"' --per none
  batcher grid runs/tonight --cols seed --per prompt --per meta.style --size 160
An axis is an input, meta.NAME, a name of vars, prompt_id, model, copy, or
repeat (the number of the job among those that differ in their seed alone)."""
)
@runs_argument
@flag("--rows", "AXIS", "One row for each value of this.  [default: seed, or what varies]")
@flag("--cols", "AXIS", "One column for each value of this.  [default: aspect_ratio, or what varies]")
@flag(
    "--per",
    "AXIS",
    "One sheet for each value of this; repeatable; none: one sheet in all.  [default: prompt]",
    multiple=True,
)
@flag("--where", "EXPR", 'Only these jobs: seed < 10 and meta.style == "oil".')
@flag("-o --out", "PATH", "A folder, or a file for one sheet.  [default: RUN/grid]")
@click.option("--format", "form", type=click.Choice(FORMATS), help="[default: by the file, else png]")
@click.option(
    "--size",
    type=click.IntRange(32, 2048),
    default=256,
    metavar="PX",
    show_default=True,
    help="Longest side of an image.",
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N sheets.")
@json_option
def grid(run_dirs: tuple[Path, ...], as_json: bool, **given: Any) -> int:
    """Draw labelled contact sheets. A mark shows where an image is missing, and why.

    Several RUNs are drawn as one.
    """
    from batcher.export.sheets.drawing import Wanted, draw
    from batcher.runner.progress import listener
    from batcher.store import connect_to_read
    from batcher.store.joined import joined

    out = given.pop("out")
    wanted = Wanted(**given, out=Path(out) if out else None)
    with joined(run_dirs) as whole, closing(connect_to_read(whole.path)) as connection:
        if len(whole.runs) > 1 and not out:
            raise UsageError("there are several runs", hint="Say with -o where their sheets go.")
        report = draw(whole.path, connection, wanted, progress=listener("none" if as_json else "auto"))
        facts = {"run": whole.name, **report}
    say_json(facts) if as_json else say(_words(facts))
    return 0


def _words(facts: dict[str, Any]) -> str:
    files = facts["files"]
    size = show_bytes(sum(file["bytes"] for file in files))
    axes = f"{facts['rows']} by {facts['cols']}" if facts["rows"] else str(facts["cols"])
    per = f", one for each {' and '.join(facts['per'])}" if facts["per"] else ""
    pages = f" on {len(files):,} pages" if len(files) > facts["sheets"] else ""
    lines = [
        f"{show_count(facts['sheets'], 'sheet')}{pages}: {axes}{per}",
        f"{show_count(facts['pictures'], 'image')}, {size} in {show_duration(facts['seconds'])}",
    ]
    if facts["gaps"]:
        lines.append(
            "Marked as missing: " + ", ".join(f"{count:,} {word}" for word, count in sorted(facts["gaps"].items()))
        )
    lines += [f"  {file['file']}" for file in files[:SHOWN]]
    if len(files) > SHOWN:
        lines.append(f"  ... and {len(files) - SHOWN:,} more in {facts['out']}")
    return "\n".join([*lines, *facts["warnings"]])
