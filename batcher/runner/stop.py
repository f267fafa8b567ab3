"""Why a run ends before its manifest does, and how far each reason reaches.

A *soft* reason starts nothing new but fetches the results of jobs at the service. A *hard* one also leaves jobs at the
service to the next run (their ids are on disk), and only lets open submits and downloads finish.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum

from batcher.core.errors import AccountError, BalanceGone, DiskError, TakenOver
from batcher.core.settings import Deadline, Settings

SEVERITY = (1, 75, 77, 73, 69, 130, 5, 3, 4)  # exit codes: the first that applies is that of the run


class Reason(Enum):
    """(word for the report, exit code, hard). Of two with the same exit code the first listed is the more severe.

    word: as in ``stopped_by``. exit_code: of ``SEVERITY``. hard: whether jobs at the service are left to the next run.
    """

    DEFECT = ("defect", 1, True)
    ACCOUNT = ("account", 77, True)
    BALANCE = ("balance", 77, False)
    DISK = ("disk", 73, True)
    TAKEN = ("taken_over", 75, True)
    SERVICE = ("service", 69, True)
    FUSE = ("fuse", 69, False)
    INTERRUPTED = ("interrupted", 130, True)
    BUDGET = ("budget", 4, False)
    DEADLINE = ("deadline", 4, False)
    MAX_FAILURES = ("max_failures", 4, False)
    PAUSED = ("paused", 4, False)
    DRAINED = ("drained", 4, False)

    def __init__(self, word: str, exit_code: int, hard: bool) -> None:
        self.word = word
        self.exit_code = exit_code
        self.hard = hard


_BY_SEVERITY = sorted(Reason, key=lambda reason: SEVERITY.index(reason.exit_code))
GRACE = 6.0  # seconds for open calls after an interruption; most supervisors kill ten seconds after SIGTERM
CANCELS = 2.0  # of these, at least for cancels (--cancel-on-interrupt)


class Stop:
    """A request to end the run; every step checks it. The most severe reason is kept.

    asked: called at each request.
    """

    def __init__(self) -> None:
        self.reason: Reason | None = None
        self.message = ""
        self.hint = ""
        self.nothing_new = asyncio.Event()
        self.leave = asyncio.Event()
        self.leave_at = 0.0  # on the loop's clock, when ``leave`` was set
        self.asked: Callable[[], object] = lambda: None

    def __repr__(self) -> str:
        return f"<Stop {self.reason.word if self.reason else 'no reason'}>"

    def request(self, reason: Reason, message: str = "", hint: str = "", *, leave: bool = False) -> None:
        """Request the end. leave: leave jobs at the service to the next run, even for a soft reason."""
        if self.reason is None or _BY_SEVERITY.index(reason) < _BY_SEVERITY.index(self.reason):
            self.reason, self.message, self.hint = reason, message, hint
        self.nothing_new.set()
        if (reason.hard or leave) and not self.leave.is_set():
            self.leave_at = asyncio.get_running_loop().time()
            self.leave.set()
        self.asked()


def grace(settings: Settings) -> float:
    """Seconds that open submits and downloads get after an interruption."""
    return GRACE - CANCELS if settings.cancel_on_interrupt else GRACE


def of_account(error: AccountError) -> Reason:
    """Why a run ends after an error of its account: the balance is gone, or the token was refused."""
    return Reason.BALANCE if isinstance(error, BalanceGone) else Reason.ACCOUNT


def of_disk(error: DiskError) -> Reason:
    """Why a run ends after an error of its disk: another batcher took it over, or the disk can't take more."""
    return Reason.TAKEN if isinstance(error, TakenOver) else Reason.DISK


async def pause(seconds: float, unless: asyncio.Event, timer: asyncio.Timeout | None = None) -> bool:
    """Sleep until ``seconds`` are over or the event is set. True if it is set. timer: in place of ``seconds``."""
    if not unless.is_set() and seconds > 0:
        try:
            async with timer or asyncio.timeout(seconds):
                await unless.wait()
        except TimeoutError:
            pass
    return unless.is_set()


def deadline_at(deadline: Deadline | None, now: float) -> float | None:
    """The deadline in Unix seconds. A time of day is the next one on the local clock, whatever summer time does."""
    if deadline is None:
        return None
    if deadline.seconds is not None:
        return now + deadline.seconds
    local = datetime.fromtimestamp(now).astimezone()
    today = local.replace(tzinfo=None, hour=deadline.hour, minute=deadline.minute, second=0, microsecond=0, fold=0)
    again = today.replace(fold=1)  # the second one of an hour that the clock shows twice; in other hours no other
    twice = again.timestamp() > today.timestamp()
    moments = (today, again if twice else today, today + timedelta(days=1))
    return next(moment.timestamp() for moment in moments if moment.timestamp() > now)
