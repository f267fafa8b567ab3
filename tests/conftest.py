"""How the whole suite runs in little time, for ``pytest -n auto``."""

import os

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # batcher is started some hundred times and need be compiled once only


def pytest_xdist_auto_num_workers() -> int:
    """Twice the processors: half of the time, a test waits for another process, for the disk or for a clock."""
    return 2 * (os.cpu_count() or 1)
