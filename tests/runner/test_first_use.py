"""What threads convert with msgspec is analysed before they begin."""

import subprocess
import sys

import pytest

FIRST_USE = """
import sqlite3, sys
from contextlib import suppress
from batcher.runner.sidecars import Untrue, checked_failure, checked_sidecar
from batcher.api.values import Report
from batcher.runner.control import _control
from batcher.store.facts import read_facts
analysed = []
def note(frame, event, argument):
    if event == "call" and "msgspec" in frame.f_code.co_filename:
        analysed.append(frame.f_code.co_name)
connection = sqlite3.connect(":memory:")
connection.execute("CREATE TABLE meta (name, value)")
sys.setprofile(note)
{use}
sys.setprofile(None)
print(*analysed)
"""


@pytest.mark.parametrize(
    "use",
    [
        "with suppress(Untrue): checked_sidecar({}, None)",
        "with suppress(Untrue): checked_failure({})",
        "read_facts(connection)",
        "_control({})",
        "Report.of({'run': 'x'})",
    ],
)
def test_the_first_use_of_a_type_analyses_nothing_because_two_threads_may_be_at_it(use: str) -> None:
    """Two threads that use a type for the first time at once end the process with a segmentation fault."""
    done = subprocess.run(
        [sys.executable, "-c", FIRST_USE.replace("{use}", use)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "\n"
