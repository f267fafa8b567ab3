"""Time-outs that count only the time in which this process runs.

After a process was stopped (SIGSTOP, a debugger) or its machine slept, all its timers are due at once, before it has
read the answers that arrived meanwhile. A submit that timed out then would be in doubt although its answer is there. So
the time of a call is counted in ticks, and a late tick counts as one: a pause takes no time from any open call.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

TICK = 0.5  # seconds; time-outs are this exact
LATE = 2.0  # ticks: a later tick means that the process was paused


class AwakeTimeouts:
    """Time-outs of the calls of one client, in one event loop."""

    def __init__(self) -> None:
        self._open: dict[asyncio.Timeout, float] = {}  # until when, on the clock of ``_awake``
        self._awake = 0.0  # seconds that the process ran, up to the last tick
        self._ticked = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._drift = _suspended()

    @asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[None]:
        """Raises TimeoutError if the block takes longer, by up to one tick more."""
        loop = asyncio.get_running_loop()
        if self._timer is None:
            self._ticked = loop.time()
            self._timer = loop.call_later(TICK, self._tick)
        until = self._awake + min(loop.time() - self._ticked, TICK) + seconds
        async with asyncio.timeout(None) as scope:
            self._open[scope] = until
            try:
                yield
            finally:
                del self._open[scope]

    def woke_up(self) -> bool:
        """Whether the machine has slept since the last call: then connections may be dead without notice."""
        before, self._drift = self._drift, _suspended()
        return self._drift - before > 1.0

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        jumped = now - self._ticked > LATE * TICK
        self._awake += TICK if jumped else now - self._ticked
        self._ticked = now
        self._timer = loop.call_later(TICK, self._tick) if self._open else None
        if jumped:
            return  # first read the answers that have arrived
        for scope, until in self._open.items():
            if until <= self._awake and not scope.expired():
                scope.reschedule(now)


def _suspended() -> float:
    """Seconds that the machine has slept since boot; 0 if the system does not say."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return 0.0 if boottime is None else time.clock_gettime(boottime) - time.monotonic()
