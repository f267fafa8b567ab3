"""What a run gets from its caller, and what all steps of its jobs share."""

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from batcher.client.api import Api
from batcher.core.settings import Settings
from batcher.core.tally import Tally
from batcher.runner.clock import Clock
from batcher.runner.engines.engine import Engine
from batcher.runner.engines.opening import Hire, ray_crew
from batcher.runner.events import Event, Noted, Observer
from batcher.runner.flow import Flow
from batcher.runner.health import Health
from batcher.runner.job_table import JobTable
from batcher.runner.money import Money
from batcher.runner.progress import Says
from batcher.runner.service import Options, Service, open_service
from batcher.runner.stop import Stop

Attend = Callable[["RunContext"], AbstractAsyncContextManager[object]]


def _elapsed() -> float:
    boottime = getattr(time, "CLOCK_BOOTTIME", None)  # Linux
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the caller of a run provides.

    observers: receive all events. open_service: opens the service of the options. attend: a context manager around
    the run, given its context: signal handlers for a command, faults for a test. hire: starts the workers of
    ``--engine ray``. wall: Unix seconds. elapsed: seconds on a monotonic clock that goes on in sleep.
    """

    observers: Sequence[Observer] = ()
    open_service: Callable[[Options, Path, Says], AbstractAsyncContextManager[Service]] = open_service
    attend: Attend = lambda _: nullcontext()
    hire: Hire = ray_crew
    wall: Callable[[], float] = time.time
    elapsed: Callable[[], float] = _elapsed

    def tell(self, event: Event) -> None:
        for observer in self.observers:
            observer(event)

    def say(self, text: str, name: str = "note") -> None:
        """Print a message. name: name of the event in a log."""
        self.tell(Noted(text=text, at=self.wall(), name=name))


@dataclass(kw_only=True, repr=False)
class RunContext:
    """The parts of a run, opened and closed by ``work``.

    settings: of the command, as ``tune`` changed them. surroundings: what the caller provides. clock: of all times in
    the run. stop: the reason to end, once there is one. table: the state file. api: the service. health: whether it
    works. money: the budget and the price. flow: how fast the run may go. engine: downloads files. tally: counts for
    the progress.
    """

    settings: Settings
    surroundings: Surroundings
    clock: Clock
    stop: Stop
    table: JobTable
    api: Api
    health: Health
    money: Money
    flow: Flow
    engine: Engine
    tally: Tally

    def __repr__(self) -> str:
        at_service, place = self.tally.in_flight, self.table.state.path.parent
        return f"<RunContext {place}, {at_service} in flight, {self.flow.in_air} unanswered submits, {self.stop!r}>"
