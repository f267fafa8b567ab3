"""What some tests need beside Python: skipped without it, with the reason, and failed where CI has installed it."""

import importlib.util
import os

import pytest

MUST = "BATCHER_TESTS_NEED"  # names with commas between them, which must not be missing: azure, browser, buckets, ray


def lacks(name: str, reason: str) -> None:
    """Skips a test, or a whole module at its import; a failure where it must not be missing."""
    if name in os.environ.get(MUST, "").split(","):
        pytest.fail(f"{reason}, and {MUST} says that it must be here")
    pytest.skip(reason, allow_module_level=True)


def need_buckets() -> None:
    """At the head of a module that imports what talks to object storage."""
    if importlib.util.find_spec("obstore") is None:
        lacks("buckets", "the extra `cloud` is not installed")
