"""Ctrl-C, SIGTERM and a closed terminal, from the start of a run until its summary is out."""

import asyncio
import math
import os
import select
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from batcher.core.units import show_count

if TYPE_CHECKING:  # start-up time
    from batcher.runner.run_context import RunContext

ONE = 0.5  # seconds: signals this close together are one (`timeout` sends two, to the child and to its group)
LAST = 15.0  # seconds that leaving at once and writing the report may take
WORDS = """
batcher: a disk or a service has not answered for %.0f s, so this process ends as a kill would end it.
What was paid for is kept. Resume with the same command.
"""
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Signals:
    """Signals as a context manager around a whole run. A signal that is ignored at the start (nohup) stays ignored.

    Before the jobs begin, a signal raises KeyboardInterrupt. While they go, the first one ends the run in good order, a
    second one, or a SIGTERM six seconds ago, leaves at once. While report and summary are written, signals are
    ignored: that takes moments. Where it takes more than LAST, a disk or a bucket keeps a thread for ever, and the
    process ends as a kill would end it.
    """

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._heard: Callable[[int], None] | None = None
        self._over = False
        self._first: float | None = None
        self._leave_by = math.inf
        self._left = threading.Event()
        self.asked_at: float | None = None  # when the first one came while jobs went, on ``time.monotonic``

    def __enter__(self) -> Self:
        for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._came)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @asynccontextmanager
    async def attend(self, context: "RunContext") -> AsyncIterator[None]:
        """Handle signals while the jobs go. A second signal cancels the current task."""
        from batcher.runner.stop import GRACE, Reason, grace

        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None

        def heard(number: int) -> None:
            now = time.monotonic()
            if self.asked_at is None:
                self.asked_at = now
                words = (
                    f"stopping: {_under_way(context.flow.in_air, context.tally.downloading, grace(context.settings))}"
                    "Ctrl-C once more leaves at once"
                )
                context.surroundings.say(words)
                context.stop.request(Reason.INTERRUPTED, "interrupted")
                if number == signal.SIGTERM:
                    loop.call_later(GRACE, task.cancel)
                    self._leave_by = min(self._leave_by, now + GRACE + LAST)
            elif now - self.asked_at > ONE:
                task.cancel()

        def wake(number: int) -> None:
            loop.call_soon_threadsafe(heard, number)

        self._heard = wake
        with suppress(RuntimeError):  # the system gives no thread
            threading.Thread(target=self._leave_in_time, name="leave", daemon=True).start()
        try:
            yield
        finally:
            self._heard, self._over = None, True

    def _came(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  the signal module's signature
        now = time.monotonic()
        self._first = now if self._first is None else self._first
        if self._over or now - self._first > ONE:
            self._leave_by = min(self._leave_by, now + LAST)
        if self._heard is not None:
            self._heard(number)
        elif not self._over:
            raise KeyboardInterrupt

    def _leave_in_time(self) -> None:
        while not self._left.wait(1.0):  # it looks, so that a signal's handler needs no lock to wake it
            if time.monotonic() > self._leave_by:
                with suppress(OSError, ValueError):  # closed
                    if select.select([], [2], [], 1.0)[1]:
                        os.write(2, (WORDS % LAST).encode())
                os._exit(130)


def _under_way(submits: int, downloads: int, grace: float) -> str:
    """What the run waits for, and how long at most; empty if nothing."""
    parts = [(submits, show_count(submits, "submit without an answer yet", "submits without an answer yet"))]
    parts += [(downloads, show_count(downloads, "download"))]
    words = " and ".join(text for count, text in parts if count)
    gets = "gets" if submits + downloads == 1 else "get"
    return f"{words} {gets} up to {grace:.0f} s to finish; " if words else ""
