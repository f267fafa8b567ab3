"""How the whole suite runs in little time, for ``pytest -n auto``."""

import contextlib
import os
import signal

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # batcher is started some hundred times and need be compiled once only

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a job that a script put in the background
    with contextlib.suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.default_int_handler)  # what tests start must not inherit it: they send it


def pytest_xdist_auto_num_workers() -> int:
    """Twice the processors: half of the time, a test waits for another process, for the disk or for a clock."""
    return 2 * (os.cpu_count() or 1)
