"""The simulator as a child process, for ``--simulate``: a service of its own on a port of its own, ended with us.

Its journal lives in the run directory, so that request ids, charges and pictures outlive a kill like those of the real
service do.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile

from batcher.core.errors import ServiceError

LAST = 10.0  # seconds that its end may take
JOURNAL = ".simulator.jsonl"
TOKEN = "simulated"  # noqa: S105  the simulator takes any; no real one is ever sent to it


@asynccontextmanager
async def simulator(run_dir: Path | None) -> AsyncIterator[str]:
    """Starts it and gives its base URL. Its standard input is its lifeline: when we die, however, it ends."""
    arguments = ["--port", "0", "--exit-with-parent"]
    if run_dir is not None:
        arguments += ["--journal", str(run_dir / JOURNAL)]
    without_token = {name: value for name, value in os.environ.items() if not name.startswith("RUNCOMFY_")}
    command = [sys.executable, "-m", "batcher.simulator", *arguments]
    pipe = subprocess.PIPE
    with (
        TemporaryFile() as complaints,  # a pipe that nobody reads would hold it up when it is full
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=complaints, env=without_token) as child,  # noqa: ASYNC220, S603  it takes a millisecond, and the program is ours
    ):
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            first = await asyncio.to_thread(child.stdout.readline)
            if not first.strip():
                complaints.seek(0)
                lines = complaints.read().decode(errors="replace").strip().splitlines()
                raise ServiceError(f"the simulator did not start: {lines[-1] if lines else 'no reason given'}")
            yield str(json.loads(first)["base_url"])
        finally:
            child.stdin.close()
            last = threading.Timer(LAST, child.kill)  # one that was stopped, or is stuck
            last.daemon = True
            with suppress(RuntimeError):  # the system gives no thread
                last.start()
            await asyncio.to_thread(child.wait)
            last.cancel()
