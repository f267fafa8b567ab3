"""Time-outs that count only the time in which this process ran.

A process that is stopped (SIGSTOP, a debugger) or whose machine sleeps finds all its timers due when it goes on, before
it has read the answers that lie in its sockets. A submit that timed out then would be in doubt for nothing. So the time
of a call is counted in ticks, and a tick that comes late counts as one: after a jump every open call has the time left
that it had before, which is more than enough to read what is there.
"""

import asyncio
import time
from types import TracebackType

TICK = 0.5  # seconds; also how exact a time-out is
LATE = 2.0  # ticks: what came later than this was a jump


class AwakeTimeouts:
    """For the calls of one client, in one event loop."""

    def __init__(self) -> None:
        self._open: dict[asyncio.Timeout, float] = {}
        self._awake = 0.0  # seconds, in ticks
        self._ticked = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._drift = _suspended()

    def within(self, seconds: float) -> "_Within":
        """Raises TimeoutError when the block takes longer, by up to one tick more."""
        loop = asyncio.get_running_loop()
        if self._timer is None:
            self._ticked = loop.time()
            self._timer = loop.call_later(TICK, self._tick)
        return _Within(self._open, self._awake + min(loop.time() - self._ticked, TICK) + seconds)

    def woke_up(self) -> bool:
        """Whether the machine slept since this was asked last: connections may be dead without having said so."""
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
            return  # what lies in the sockets is read first
        for scope, until in self._open.items():
            if until <= self._awake and not scope.expired():
                scope.reschedule(now)


class _Within:
    """until: in awake seconds."""

    __slots__ = ("_open", "_scope", "_until")

    def __init__(self, open_scopes: dict[asyncio.Timeout, float], until: float) -> None:
        self._open = open_scopes
        self._scope = asyncio.timeout(None)
        self._until = until

    async def __aenter__(self) -> None:
        await self._scope.__aenter__()
        self._open[self._scope] = self._until

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._open[self._scope]
        await self._scope.__aexit__(kind, error, trace)


def _suspended() -> float:
    """Seconds that the machine slept since it was started; 0 where the system does not say."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return 0.0 if boottime is None else time.clock_gettime(boottime) - time.monotonic()
