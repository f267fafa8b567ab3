"""``batcher run``: the main job."""

from typing import TYPE_CHECKING, Any

import click

from batcher.commands.options import collect, flag, manifest_options, progress_option, run_options, service_options
from batcher.commands.printing import say, say_json
from batcher.commands.recorded import TakesRun
from batcher.commands.values import complete_file
from batcher.core.errors import BatcherError
from batcher.core.one_line import one_line

if TYPE_CHECKING:  # start-up time
    from batcher.commands.signals import Signals
    from batcher.runner.events import Observer
    from batcher.runner.service import Options
    from batcher.runner.session import Ended
    from batcher.runner.watchers.watching import Watch


@click.command(
    cls=TakesRun,
    epilog="""\b
Examples:
  batcher run jobs/quickstart.yaml --simulate
  batcher run prompts.csv --rate 5/s --in-flight 64
  batcher run prompts.txt --matrix aspect_ratio=16:9,1:1 --matrix seed=1..20
  cat prompts.txt | batcher run - -o runs/tonight --budget 25 --deadline 07:00""",
)
@click.argument("manifest", shell_complete=complete_file)
@manifest_options
@run_options
@service_options
@click.option("--cancel-on-interrupt", is_flag=True, help="At Ctrl-C also cancel what is queued at the service.")
@click.option("--continue-copy", is_flag=True, help="Go on in a copy of a run whose original will not be run again.")
@progress_option()
@click.option("-v", "--verbose", is_flag=True, help="Also say what limits the speed of the run, as it changes.")
@flag("--log", "FILE", "Append the events of the run as JSON lines (batcher help logs).", complete_file)
@flag("--metrics", "FILE", "Keep a Prometheus text file up to date.", complete_file)
@flag("--on-end", "CMD", "Run this in a shell at the end, with BATCHER_* (batcher help messages).")
@click.option("--view", "with_page", is_flag=True, help="Open the page beside the run (batcher help view).")
@click.option("--json", "as_json", is_flag=True, help="One JSON report on standard output at the end.")
def run(  # one word for each of its own flags
    as_json: bool,
    verbose: bool,
    log: str | None,
    metrics: str | None,
    on_end: str | None,
    with_page: bool,
    **given: Any,
) -> int:
    """Turn MANIFEST into images with sidecars. Run the same command again to resume.

    MANIFEST is a YAML file, a prompt file (CSV, TSV, JSONL, JSON, text), a folder of text files, the URL of a file
    (https://, s3://), or - for standard input.
    """
    from batcher.commands.beside import Beside
    from batcher.commands.signals import Signals
    from batcher.runner.progress import listener
    from batcher.runner.watchers.watching import Watch, watching_limits

    options = collect(given)
    say_beside = listener("json").say if given["progress"] == "json" else _to_stderr
    with Watch(log, metrics, on_end, run=options.out or "") as watch, Beside(to_stderr=as_json) as page:
        observers: list[Observer] = [watch]
        observers += [watching_limits(say_beside)] if verbose else []
        observers += [page] if with_page else []
        watch.say_warnings(say_beside)
        with Signals() as signals:
            ended = _run(options, watch, observers, signals)
            _say_end(ended.report, ended.summary, as_json=as_json)
        watch.finish(signals.asked_at)
    return ended.exit_code


def _run(options: "Options", watch: "Watch", observers: "list[Observer]", signals: "Signals") -> "Ended":
    """Raises BatcherError when the run could not begin."""
    from batcher.commands import loop
    from batcher.images.remote_file import shown
    from batcher.runner import session
    from batcher.runner.run_context import Surroundings

    try:
        return loop.run(session.run(options, Surroundings(observers=observers, attend=signals.attend)))
    except BatcherError as error:
        watch.failed_to_start(error, options.out or shown(options.manifest))
        raise


def _say_end(report: dict[str, Any], summary: str, *, as_json: bool) -> None:
    if not as_json:
        say(summary)
        return
    say_json(report)
    if report["stopped_by"]:
        click.echo(summary, err=True)


def _to_stderr(text: str) -> None:
    click.echo(one_line(text, 2000), err=True)
