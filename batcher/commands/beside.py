"""``run --view``: the page as a process of its own, beside a run. It ends when the run does."""

import os
import subprocess
import sys
from typing import Self

from batcher.client.token import TOKEN_ENV
from batcher.runner.events import Event, RunBegan


class Beside:
    """An observer that starts the page when the run directory is there. A page that can't start stops no run."""

    def __init__(self) -> None:
        self._page: subprocess.Popen[bytes] | None = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunBegan) and self._page is None:
            environ = {name: value for name, value in os.environ.items() if name not in TOKEN_ENV}
            words = [sys.executable, "-m", "batcher", "view", str(event.run_dir)]
            # Its address goes where the progress goes; a Ctrl-C for the run is not for the page.
            self._page = subprocess.Popen(  # noqa: S603  our own command
                words, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno(), env=environ, start_new_session=True
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._page is not None:
            self._page.terminate()
            self._page.wait(10)
