"""``batcher run``: the main job."""

from typing import Any

import click

from batcher.commands.options import collect, manifest_options, progress_option, run_options, service_options
from batcher.commands.printing import say, say_json
from batcher.commands.recorded import TakesRun


@click.command(
    cls=TakesRun,
    epilog="""\b
Examples:
  batcher run jobs/quickstart.yaml --simulate
  batcher run prompts.csv --rate 5/s --in-flight 64
  batcher run prompts.txt --matrix aspect_ratio=16:9,1:1 --matrix seed=1..20
  cat prompts.txt | batcher run - -o runs/tonight --budget 25 --deadline 07:00""",
)
@click.argument("manifest")
@manifest_options
@run_options
@service_options
@click.option("--cancel-on-interrupt", is_flag=True, help="At Ctrl-C also cancel what is queued at the service.")
@progress_option()
@click.option("--json", "as_json", is_flag=True, help="One JSON report on standard output at the end.")
def run(as_json: bool, **given: Any) -> int:
    """Turn MANIFEST into images with sidecars. Run the same command again to resume.

    MANIFEST is a YAML file, a prompt file (CSV, TSV, JSONL, JSON, text), a folder of text files, or - for standard
    input.
    """
    from batcher.commands import loop  # noqa: PLC0415  start-up time
    from batcher.commands.signals import Signals  # noqa: PLC0415
    from batcher.runner import session  # noqa: PLC0415
    from batcher.runner.work import Surroundings  # noqa: PLC0415

    with Signals() as signals:
        report, summary = loop.run(session.run(collect(given), Surroundings(attend=signals.attend)))
        if as_json:
            say_json(report)
            if report["stopped_by"]:
                click.echo(summary, err=True)
        else:
            say(summary)
    return int(report["exit_code"])
