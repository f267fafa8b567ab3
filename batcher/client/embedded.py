"""The simulator as a child process, for ``--simulate``: a service on a free port of this machine.

Its journal is in the run directory, so request ids, charges and images outlive a kill, as they do at the real service.
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

LAST = 10.0  # seconds until it is killed if it does not end
JOURNAL = ".simulator.jsonl"
TOKEN = "simulated"  # noqa: S105  the simulator accepts any token; the real one is never sent to it


@asynccontextmanager
async def simulator(run_dir: Path | None) -> AsyncIterator[str]:
    """The base URL of a simulator that runs for the block. It also ends with this process: its standard input closes.

    run_dir: where its journal is; None for no journal. Raises ServiceError if it does not start.
    """
    arguments = ["--port", "0", "--exit-with-parent"]
    if run_dir is not None:
        arguments += ["--journal", str(run_dir / JOURNAL)]
    without_token = {name: value for name, value in os.environ.items() if not name.startswith("RUNCOMFY_")}
    command = [sys.executable, "-m", "batcher.simulator", *arguments]
    pipe = subprocess.PIPE
    with (
        TemporaryFile() as complaints,  # a full pipe would block it
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
            last = threading.Timer(LAST, child.kill)  # if it is stopped or stuck
            last.daemon = True
            with suppress(RuntimeError):  # the system allows no thread
                last.start()
            await asyncio.to_thread(child.wait)
            last.cancel()
