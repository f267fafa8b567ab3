"""Why a run ends before its manifest does, and how far each reason reaches.

Two reaches: a *soft* reason starts nothing new but collects what is at the service; a *hard* one also leaves what is at
the service to the next run (its ids are safe on disk) and only lets submits and files in the air finish.
"""

import asyncio
from enum import Enum


class Reason(Enum):
    """(word for the report, exit code, hard). Listed by severity: the first that applies gives the exit code."""

    ACCOUNT = ("account", 77, True)
    DISK = ("disk", 73, True)
    SERVICE = ("service", 69, True)
    FUSE = ("fuse", 69, False)
    INTERRUPTED = ("interrupted", 130, True)
    BUDGET = ("budget", 4, False)
    DEADLINE = ("deadline", 4, False)
    MAX_FAILURES = ("max_failures", 4, False)
    MANIFEST = ("manifest_changed", 65, False)

    def __init__(self, word: str, exit_code: int, hard: bool) -> None:
        self.word = word
        self.exit_code = exit_code
        self.hard = hard


SEVERITY = list(Reason)


class Flag:
    """Goes up once. Thousands of jobs sleep under it: to each, beginning to and ceasing to takes the same short time
    however many there are, where an ``asyncio.Event`` with a timeout makes three objects and searches a line.
    """

    def __init__(self) -> None:
        self._up = False
        self._sleepers: set[asyncio.Future[None]] = set()

    def is_set(self) -> bool:
        return self._up

    def set(self) -> None:
        self._up = True
        for sleeper in self._sleepers:
            _wake(sleeper)

    async def within(self, seconds: float) -> None:
        """Until it goes up, or so many seconds have passed."""
        loop = asyncio.get_running_loop()
        sleeper: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(seconds, _wake, sleeper)
        self._sleepers.add(sleeper)
        try:
            await sleeper
        finally:
            self._sleepers.discard(sleeper)
            timer.cancel()


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)


class Stop:
    """Asked for by whoever sees a reason, looked at by everyone before the next step. The gravest reason stays."""

    def __init__(self) -> None:
        self.reason: Reason | None = None
        self.message = ""
        self.hint = ""
        self.nothing_new = Flag()
        self.leave = Flag()

    def request(self, reason: Reason, message: str = "", hint: str = "") -> None:
        if self.reason is None or SEVERITY.index(reason) < SEVERITY.index(self.reason):
            self.reason, self.message, self.hint = reason, message, hint
        self.nothing_new.set()
        if reason.hard:
            self.leave.set()


async def pause(seconds: float, unless: Flag) -> bool:
    """Sleeps, but not past the flag. True when it is up."""
    if not unless.is_set() and seconds > 0:
        await unless.within(seconds)
    return unless.is_set()
