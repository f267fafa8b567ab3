"""``batcher prune``: out of the way with what the manifest has no more."""

from pathlib import Path
from typing import Any

import click

from batcher.commands.printing import say, say_json


@click.command(
    epilog="""\b
Examples:
  batcher prune runs/birds --dry-run
  batcher prune runs/birds"""
)
@click.argument("run_dir", metavar="RUN")
@click.option("--dry-run", is_flag=True, help="Only say what would be moved.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def prune(run_dir: str, dry_run: bool, as_json: bool) -> int:
    """Move images and sidecars of jobs that are no longer in the manifest to RUN/pruned. Deletes nothing.

    Run it after `batcher run` has seen the shorter manifest. A job that comes back to the manifest gets its files back,
    free: so keep RUN/pruned for as long as it might. If it is interrupted, the same command goes on.
    """
    facts = _pruned(Path(run_dir), dry_run=dry_run)
    say_json(facts) if as_json else say(_words(facts))
    return 0


def _pruned(folder: Path, *, dry_run: bool) -> dict[str, Any]:
    from contextlib import ExitStack, closing  # noqa: PLC0415  start-up time

    from batcher.runner import pruned  # noqa: PLC0415
    from batcher.runner.progress import counting, listener  # noqa: PLC0415
    from batcher.store import connect_to_read, locked  # noqa: PLC0415

    with ExitStack() as held:
        connection = held.enter_context(closing(connect_to_read(folder)))
        if not dry_run:
            held.enter_context(locked(folder))
        tell = counting(listener("auto"), "moving aside: {:,} jobs so far")
        moved = pruned.prune(folder, connection, tell, dry_run=dry_run)
    return {
        "run": str(folder),
        "to": str(folder / pruned.PRUNED),
        "dry_run": dry_run,
        "jobs": moved.jobs,
        "files": moved.files,
        "bytes": moved.bytes,
        "left": moved.left,
    }


def _words(facts: dict[str, Any]) -> str:
    from batcher.core.units import show_bytes  # noqa: PLC0415  start-up time

    if not facts["files"]:
        lines = ["Nothing to move: every image here is of a job in the manifest, or was moved before."]
    else:
        verb = "Would move" if facts["dry_run"] else "Moved"
        lines = [
            (
                f"{verb} {facts['files']:,} files ({show_bytes(facts['bytes'])}) of {facts['jobs']:,} jobs that are"
                f" not in the manifest to {facts['to']}"
            )
        ]
    if facts["left"]:
        lines.append(f"{facts['left']:,} left alone: links, or no ordinary files")
    return "\n".join(lines)
