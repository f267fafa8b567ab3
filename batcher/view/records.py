"""``records.jsonl`` follows the verdicts of a page: written anew a little after the last one, in a process of its own.

That costs 4 s for 100,000 images, so it waits until nobody has said anything for a while, and runs at the lowest
priority. A run that is going writes them itself at its end.
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from batcher.core.errors import BatcherError
from batcher.runner.records import refresh
from batcher.store.joined import runs_of

AFTER = 2.0  # seconds without a verdict, or as long as the last writing took
_AT_THE_END = 10.0  # seconds that the end of a page waits for it; then it ends by itself
_LOOK_EVERY = 0.05  # seconds


class RecordsWriter:
    """Of one run, or of several that are shown as one. is_going: whether a run is at work there."""

    def __init__(self, run_dir: Path, is_going: Callable[[], bool]) -> None:
        self._run_dir = run_dir
        self._is_going = is_going
        self._due = 0.0  # on the monotonic clock; 0: nothing to write
        self._after = AFTER
        self._ending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def verdicts_came(self) -> None:
        self._due = time.monotonic() + self._after
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())

    async def close(self) -> None:
        """What is due is written at once."""
        self._ending.set()
        if self._task is not None:
            await self._task

    async def _write(self) -> None:
        while self._due:
            if (wait := self._due - time.monotonic()) > 0 and not self._ending.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._ending.wait(), wait)
                continue
            self._due, began = 0.0, time.monotonic()
            for run in () if self._is_going() else runs_of(self._run_dir):
                writer = subprocess.Popen(  # noqa: S603, ASYNC220  it only starts our own module
                    [sys.executable, "-m", "batcher.view.records", str(run)],
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    start_new_session=True,  # a Ctrl-C that ends the page does not end it
                )  # fmt: skip
                while writer.poll() is None:
                    if self._ending.is_set() and time.monotonic() - began > _AT_THE_END:
                        return
                    await asyncio.sleep(_LOOK_EVERY)
            self._after = max(AFTER, time.monotonic() - began)


def main() -> None:
    """The process. What goes wrong is seen by the next one to write them: the run, ``pick``, ``export``."""
    if hasattr(os, "nice"):
        os.nice(19)
    try:
        refresh(Path(sys.argv[1]))
    except BatcherError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
