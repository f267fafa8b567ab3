"""``batcher export``: a run as a dataset for other programs."""

from pathlib import Path
from typing import Any

import click

from batcher.commands.options import flag, progress_option
from batcher.commands.printing import say, say_json
from batcher.commands.run_argument import complete_runs, is_run, newest_run_noted, run_named, runs_named
from batcher.core.command_line import command_line, repair
from batcher.core.errors import UsageError
from batcher.core.units import show_bytes, show_count, show_duration
from batcher.export import TARGETS


@click.command(
    epilog="""\b
Examples:
  batcher export runs/birds --to imagefolder sets/birds
  batcher export runs/birds --to imagefolder sets/birds --split train=0.9,test=0.1 --split-by prompt
  batcher export runs/birds --to webdataset shards --where 'aspect_ratio == "1:1" and seed < 10'
  batcher export runs/birds --to captions train/10_birds --convert jpeg:95 --caption 'birdstyle, {prompt}'
  batcher export runs/birds --to captions share/birds --embed infotext,xmp
  batcher export runs/geneval --to layout scored --layout geneval
  batcher export runs/birds sets/pairs --to pairs
  batcher export runs/birds s3://my-bucket/sets/birds --to webdataset
  batcher export runs/birds-*-of-4 sets/birds --to parquet    several runs as one
  batcher export runs/draft best.jsonl --to manifest --where 'pick == "yes"'
Run the same command again to add what is new.
Exit code 3 when images are missing; --allow-missing makes that 0."""
)
@click.argument("words", metavar="[RUN]... DIR", nargs=-1, required=True, shell_complete=complete_runs)
@click.option("--to", type=click.Choice(TARGETS), required=True, help="The format to write.")
@flag("--where", "EXPR", 'Only these images: seed < 10 and meta.category in ("birds", "cats") and "lake" in prompt.')
@flag("--split", "SHARES", "train=0.9,test=0.1. A hash decides, so an image never changes its split.")
@flag("--split-by", "NAME", "Keep equal ones together: job, prompt, or meta.NAME.  [default: job]")
@flag("--convert", "FORMAT", "Convert to webp:90, jpeg:95 or png.  [default: as delivered]")
@flag("--embed", "WHAT", "Embed in each image what made it: infotext, xmp, iptc.")
@click.option("--include-removed", is_flag=True, help="Also images whose jobs left the manifest.")
@click.option("--allow-missing", is_flag=True, help="Exit 0 also when some jobs have no image.")
@click.option("--copy", is_flag=True, help="Copy even where hard links can be made.")
@flag("--caption", "TEXT", "The caption: 'a photo, {prompt}'.  [default: {prompt}]")
@flag("--layout", "NAME", "geneval, t2i-compbench, dpg-bench, hpsv2, or '{stem}/{index:05d}'.")
@flag("--shard-size", "SIZE", "For webdataset, parquet, pairs: 1GB.  [default: 500MB]")
@click.option("--shard-count", type=click.IntRange(1), metavar="N", help="Maximum images in a shard.  [default: 10000]")
@click.option("--no-pictures", is_flag=True, help="For parquet: only the table.")
@click.option("--replace", is_flag=True, help="Replace an export that was made with other options.")
@progress_option("auto")
@click.option("--json", "as_json", is_flag=True, help="One JSON report on standard output at the end.")
def export(words: tuple[str, ...], replace: bool, progress: str, as_json: bool, **given: Any) -> int:
    """Write the finished images of RUN to DIR, as another program reads them. Run it again to add what is new.

    Several RUNs are exported as one. DIR is the last argument.

    Images are hard links where the disk allows it. Nothing in DIR that this command did not make is touched. DIR may be
    a bucket: s3://, gs:// or az://.
    """
    from batcher.export.exporting import export_to
    from batcher.export.request import Options
    from batcher.runner.progress import listener

    runs, place = _places(words)
    options = Options(**{name: value for name, value in given.items() if value is not None})
    report = export_to(runs, place, options, listener(progress), replace=replace)
    say_json(report) if as_json else say(_words(report))
    return int(report["exit_code"])


def _places(words: tuple[str, ...]) -> tuple[tuple[Path, ...], str]:
    """The run directories, and DIR, which is last and may be a URL. Without RUN: the newest run, with a note."""
    *runs, place = words
    if is_run(Path(place) if runs else run_named(place)):
        are = f"{place} is a run" if len(words) == 1 else "all of these are runs"
        raise UsageError(f"{are}, and the folder to export to is missing", hint="Name it behind the run.")
    return (runs_named(runs) or (newest_run_noted(),)), place


def _words(report: dict[str, Any]) -> str:
    from batcher.export.exporting import without_image

    kind = "simulated image" if report["simulated"] else "image"
    kind, count = {"pairs": ("pair", report["pictures"]), "manifest": ("prompt", report["jobs"])}.get(
        report["to"], (kind, report["pictures"])
    )
    lines = [
        (
            f"{report['export']}: {show_count(count, kind)}, {show_bytes(report['bytes'])},"
            f" for {report['to']}, in {show_duration(report['seconds'])}"
        )
    ]
    if len(report["splits"]) > 1 or "train" not in report["splits"]:
        lines.append("  " + ", ".join(f"{count:,} {split}" for split, count in sorted(report["splits"].items())))
    words = {
        "linked": "linked (the same file: changing one changes both)",
        "copied": "copied",
        "written": "written",
        "unchanged": "there already",
        "removed": "removed",
    }
    files = [f"{report[name]:,} {word}" for name, word in words.items() if report[name]]
    lines.append(f"files: {', '.join(files)}")
    if objects := report.get("objects"):
        lines.append("objects: " + ", ".join(f"{count:,} {word}" for word, count in objects.items()))
    if report["without_picture"]:
        status = command_line("status", *report["runs"])
        lines += [
            f"left out: {without_image(report['without_picture_by_state'], report['jobs'])}",
            f"`{status}` says why; --allow-missing exports without them and exits 0.",
        ]
    lines += [f"left out: {count:,} {reason}" for reason, count in report["left_out"].items()]
    if report["missing"]:
        lines += [f"  {file}" for file in report["missing"]]
        lines.append(f"`{repair(*report['runs'])}` fetches again what is free to fetch.")
    if report["not_embedded"]:
        lines.append(f"as they were, nothing embedded: {report['not_embedded']:,} of those made now, such as:")
        lines += [f"  {example}" for example in report["not_embedded_examples"]]
    lines += [f"note: {note}" for note in report["notes"]]
    return "\n".join(lines)
