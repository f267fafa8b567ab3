"""Progress of a run from Python: nothing by default, a bar in a notebook."""

import sys
from typing import Any

from batcher.runner.progress import Progress, listener
from batcher.runner.service import Options


class Quiet:
    """Progress that prints nothing: messages are events too, and reach ``logging``."""

    def show(self, snapshot: Any) -> None:
        pass

    def say(self, text: str) -> None:
        pass

    def close(self, snapshot: Any) -> None:
        pass


def progress_of(options: Options) -> Progress:
    """The listener that ``progress=`` names; by default a bar in a notebook, and nothing elsewhere."""
    if "progress" in options.flags:
        return listener(options.flags["progress"].text)
    return listener("bar") if _in_notebook() else Quiet()


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook; other programs may have loaded IPython too."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None
