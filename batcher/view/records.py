"""Rewrites ``records.jsonl`` after verdicts on the page, in a process of its own.

That takes 4 s for 100,000 images, so it starts when no verdict came for a while, and has the lowest priority. While a
process works on the run, nothing is written, because that process writes the file when it ends.
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
_AT_THE_END = 10.0  # most seconds that ``close`` waits; the writing process then goes on alone
_CHECK_EVERY = 0.05  # seconds


class RecordsWriter:
    """Rewrites the records of a run, or of several runs that are shown as one.

    run_dir: the run, or the joined runs. is_going: whether a process is working there.
    """

    def __init__(self, run_dir: Path, is_going: Callable[[], bool]) -> None:
        self._run_dir = run_dir
        self._is_going = is_going
        self._due = 0.0  # on the monotonic clock; 0: nothing to write
        self._after = AFTER
        self._ending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def verdicts_came(self) -> None:
        """Write the records soon."""
        self._due = time.monotonic() + self._after
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Write what is due now."""
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
                writer = subprocess.Popen(  # noqa: S603, ASYNC220  starts our own module
                    [sys.executable, "-m", "batcher.view.records", str(run)],
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    start_new_session=True,  # a Ctrl-C that ends the page does not end it
                )  # fmt: skip
                while writer.poll() is None:
                    if self._ending.is_set() and time.monotonic() - began > _AT_THE_END:
                        return
                    await asyncio.sleep(_CHECK_EVERY)
            self._after = max(AFTER, time.monotonic() - began)


def main() -> None:
    """The writing process. Nobody reads its errors; the next writer (the run, ``pick``, ``export``) has them too."""
    if hasattr(os, "nice"):
        os.nice(19)
    try:
        refresh(Path(sys.argv[1]))
    except BatcherError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
