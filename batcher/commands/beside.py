"""``run --view``: the page in a process of its own. It ends when the run ends, in whatever way."""

import os
import subprocess
import sys
from threading import Thread
from typing import Self

import click

from batcher.client.token import TOKEN_ENV
from batcher.runner.events import Event, RunBegan


class Beside:
    """An observer that starts the page when the run directory exists. A run goes on if the page can't start.

    to_stderr: print its address on standard error, because standard output has the JSON report.
    """

    def __init__(self, *, to_stderr: bool) -> None:
        self._to_stderr = to_stderr
        self._page: subprocess.Popen[str] | None = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunBegan) and self._page is None:
            environ = {name: value for name, value in os.environ.items() if name not in TOKEN_ENV}
            words = [sys.executable, "-m", "batcher", "view", "--exit-with-parent", str(event.run_dir)]
            self._page = subprocess.Popen(  # noqa: S603  our own command
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ,
                start_new_session=True,  # a Ctrl-C for the run is not for the page
            )  # fmt: skip
            Thread(target=self._say_address, args=(self._page,), daemon=True).start()

    def _say_address(self, page: subprocess.Popen[str]) -> None:
        """Print its first line only: the next one says how to end the page, which is wrong beside a run."""
        assert page.stdout is not None
        if address := page.stdout.readline().strip():
            click.echo(address, err=self._to_stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._page is not None:
            self._page.terminate()
            try:
                self._page.wait(10)
            except subprocess.TimeoutExpired:
                self._page.kill()
