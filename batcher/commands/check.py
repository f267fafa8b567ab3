"""``batcher check``: an export through its reader's eyes."""

from pathlib import Path
from typing import Any

import click

from batcher.commands.options import progress_option
from batcher.commands.printing import say, say_json

READERS = ("imagefolder", "webdataset", "parquet", "captions", "infotext")
_WORDS = {
    "unfinished": "the export is not finished",
    "the reader fails": "the reader can't read it",
    "missing": "pictures of the run that the reader does not see",
    "not of the run": "samples that are not (or no longer) of the run",
    "twice": "samples that are there twice",
    "broken": "samples with something missing",
    "columns differ": "samples whose columns differ from the run",
    "infotext differs": "readings that differ from the sidecars",
    "picture differs": "pictures that differ from the run",
}


@click.command(
    epilog="""\b
Examples:
  batcher check sets/birds --as imagefolder
  batcher check shards --as webdataset --json
  batcher check sets/birds --as imagefolder --run moved/birds
  batcher check share/birds --as infotext    what --embed infotext wrote; also for a RUN
The readers are libraries: pip install datasets webdataset pyarrow.
Exit code 0 when the reader sees the run as it is, 3 when it does not."""
)
@click.argument("folder", metavar="DIR")
@click.option("--as", "reader", type=click.Choice(READERS), required=True, help="The reader to open it with.")
@click.option("--run", "run_dir", metavar="RUN", help="The run it was made of.  [default: as the export remembers]")
@progress_option("auto")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def check(folder: str, reader: str, run_dir: str | None, progress: str, as_json: bool) -> int:
    """Open the export in DIR with the reader it is for, and compare all it sees with the run: every sample, caption,
    column and picture. Changes nothing.
    """
    from batcher.export import checking, infotexts  # noqa: PLC0415  start-up time
    from batcher.runner.progress import listener  # noqa: PLC0415

    shown, run = listener(progress), Path(run_dir) if run_dir else None
    if reader == "infotext":
        report = infotexts.check(Path(folder), shown, run)
    else:
        report = checking.check(Path(folder), reader, shown, run)
    say_json(report) if as_json else say(_words(report))
    return int(report["exit_code"])


def _words(report: dict[str, Any]) -> str:
    from batcher.core.units import show_duration  # noqa: PLC0415  start-up time

    splits = ", ".join(f"{count:,} in {split}" for split, count in sorted(report["splits"].items()))
    lines = [
        (
            f"{report['export']} as {report['as']}: {report['seen']:,} samples{f' ({splits})' if splits else ''},"
            f" {report['expected']:,} expected, in {show_duration(report['seconds'])}"
        ),
        *(f"  {line}" for line in report["reader"]),
        *(f"note: {note}" for note in report["notes"]),
    ]
    for kind, found in report["findings"].items():
        lines.append(f"  {found['count']:>7,}  {_WORDS.get(kind, kind)}")
        lines += [f"           {example}" for example in found["examples"]]
    if report["as"] == "infotext":
        if not report["findings"]:
            lines.append("Every reader finds in every picture what its sidecar says.")
    elif not report["findings"]:
        lines.append("The reader sees the run as it is: every sample, caption, column and picture.")
    return "\n".join(lines)
