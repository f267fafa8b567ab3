"""What is shown while a program's run goes: nothing unless it is asked for, a bar in a notebook."""

import sys
from typing import Any

from batcher.runner.progress import Progress, listener
from batcher.runner.service import Options


class Quiet:
    """Progress for a program: nothing is printed. What is said is an event too, and so in ``logging``."""

    def show(self, snapshot: Any) -> None:
        pass

    def say(self, text: str) -> None:
        pass

    def close(self, snapshot: Any) -> None:
        pass


def progress_of(options: Options) -> Progress:
    """What ``progress=`` names; without it a bar in a notebook, and nothing elsewhere."""
    if "progress" in options.flags:
        return listener(options.flags["progress"].text)
    return listener("bar") if _in_notebook() else Quiet()


def _in_notebook() -> bool:
    """Whether this process is a notebook's: other programs may have its modules, too."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None
