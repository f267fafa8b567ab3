"""``batcher view``: the page that shows a run and takes verdicts."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from batcher.commands.printing import say
from batcher.commands.run_argument import runs_argument


@click.command(
    epilog="""\b
Examples:
  batcher view                          the newest run
  batcher view runs/tonight --port 0 --no-browser
  batcher view runs                     every run in that folder
  batcher view runs/birds-*-of-4        these runs as one
  batcher view runs/tonight --export gallery
The first line on standard output is the page's address. It works before,
during and after the run; Ctrl-C ends the page and nothing else. Keys: press ?"""
)
@runs_argument
@click.option("--port", type=click.IntRange(0, 65_535), metavar="N", help="0 picks a free one.  [default: 8642]")
@click.option("--host", metavar="H", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
@click.option("--read-only", is_flag=True, help="Show everything, change nothing.")
@click.option("--export", "folder", metavar="DIR", help="Write the page as files that need no server.")
@click.option("--exit-with-parent", "with_parent", is_flag=True, hidden=True)  # of `run --view`
def view(run_dirs: tuple[Path, ...], folder: str | None, **given: Any) -> int:
    """Look at a run in the browser, live or after; pick, reject, retry, ask for more.

    Several RUNs are shown as one; a folder of runs is shown as a list. --export writes a folder in DIR for each RUN.
    """
    if folder is not None:
        from batcher.view.static import export

        for run in run_dirs:
            say(export(run, Path(folder) if len(run_dirs) == 1 else Path(folder, run.resolve().name)))
        return 0
    from batcher.commands import loop
    from batcher.view.serve import Address, serve

    _without_secrets()
    browser = not given["no_browser"] and _has_browser()
    address = Address(host=given["host"], port=given["port"], browser=browser)
    loop.run(serve(run_dirs, address, say, read_only=given["read_only"], with_parent=given["with_parent"]))
    return 0


def _has_browser() -> bool:
    """Whether there is a screen for a browser; a text browser in the terminal is of no use."""
    return os.name == "nt" or sys.platform == "darwin" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def _without_secrets() -> None:
    """Restart this process without the API token in its environment: the page does not need it."""
    from batcher.client.token import TOKEN_ENV

    secret = [name for name in TOKEN_ENV if name in os.environ]
    for name in secret:
        del os.environ[name]
    if secret and os.name == "posix" and "view" in sys.orig_argv:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], dict(os.environ))  # noqa: S606  itself
