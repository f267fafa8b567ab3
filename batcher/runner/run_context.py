"""What every step of a job works with, and what they all know of the service's health."""

import asyncio
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from batcher.client.api import Api
from batcher.client.protocol import NO_MONEY
from batcher.core.budget import Budget, kind_of
from batcher.core.command_line import command_line
from batcher.core.errors import CallError, Cause, DiskError, Refused
from batcher.core.failure_limit import FailureLimit
from batcher.core.job import Artifact, CancelOutcome, Entry, State
from batcher.core.limits import Waits
from batcher.core.retry import READS, GiveUp, RetryPolicy, decide
from batcher.core.settings import Settings
from batcher.core.tally import Tally
from batcher.core.units import show_usd
from batcher.pacing import Pace
from batcher.runner.engines.engine import Engine
from batcher.runner.events import Event, Observer
from batcher.runner.intake.media_inputs import MediaInputs
from batcher.runner.places import Places
from batcher.runner.recovery.rescue import Rescue
from batcher.runner.stop import CANCELS, GRACE, Reason, Stop, of_disk, pause
from batcher.store import Ballast, CommitQueue
from batcher.store.machine import machine_problem, may_have_lost

PATIENCE = 6 * 3600.0  # seconds without any answer before the run gives up on a service that had answered before
FIRST_PATIENCE = 60.0  # and on one that never did
LAST_PATIENCE = 30.0  # once the money is gone or the deadline is reached, while nothing can be had
NOWHERE = 3  # answers that nothing is at an address, before it is believed
NOTEWORTHY = 10.0  # seconds of silence worth a word to the person who watches


@dataclass(kw_only=True)
class RunContext:
    """Opened and closed by whoever composes the run. Times are seconds: ``now`` on the loop's clock, ``wall`` Unix.

    reader: a read-only connection to the state file, for the event loop's thread.
    media: makes links to the files among inputs; None where there are none.
    simulated: whether the pictures are the simulator's. past_deadline: whether nothing new may start any more.
    patient: whether outages are waited out; False for a repair, which a person waits for.
    """

    settings: Settings
    queue: CommitQueue
    reader: sqlite3.Connection
    api: Api
    engine: Engine
    tally: Tally
    stop: Stop
    budget: Budget
    ballast: Ballast
    simulated: bool
    observers: Sequence[Observer] = ()
    media: MediaInputs | None = None
    past_deadline: Callable[[], bool] = lambda: False
    patient: bool = True
    wall: Callable[[], float] = time.time
    now: Callable[[], float] = field(default_factory=lambda: asyncio.get_running_loop().time)

    def __post_init__(self) -> None:
        self.state = self.queue.state
        self.rescue = Rescue(self.state)
        self.pace = Pace(self.settings.rate)  # of submits
        self.calls = Pace(self.settings.api_rate)  # of all calls
        self.reads = Pace(None)  # of status and result, by what refusals of these have taught: submits have their own
        self.slots = Places(self.settings.in_flight)  # at the service
        self.downloads = Places(self.engine.resize(self.settings.downloads))
        self.waits = Waits()
        self.failure_limit = FailureLimit(self.settings.fuse, self.settings.fuse_share)
        self.money_moved = asyncio.Event()
        self.go_on = asyncio.Event()  # cleared while the run is paused
        self.go_on.set()
        self.no_catalogue: str | None = None  # what the address answered in its place, until a submit is taken up there
        self._nowhere = 0  # such answers to submits
        self.files: dict[int, list[Artifact]] = {}  # of jobs that have just been saved, until nobody works on them
        self.left_at: dict[int, float] = {}  # of submits whose answer is not waited for yet, on the clock of ``now``
        self.in_air = 0  # submits without an answer yet
        self.lay_there = 0  # jobs whose files lay in their place
        self.cancelled: Counter[CancelOutcome] = Counter()  # what --cancel-on-interrupt came to
        self.started = self.wall()
        self._born = self.now()
        self._heard: float | None = None
        self._stuck_since: float | None = None  # nothing that is paid for could be had since; None: the last could
        self._stuck_for = ""  # the kind of cause

    @property
    def grace(self) -> float:
        """Seconds that submits and downloads in the air get after an interruption."""
        return GRACE - CANCELS if self.settings.cancel_on_interrupt else GRACE

    def tell(self, event: Event) -> None:
        for observer in self.observers:
            observer(event)

    def settle(self, entry: Entry, cost_usd: float | None, *, failed: bool = False) -> None:
        """The job ended, or is in doubt: its reserved money is spent. ``failed``: the service failed it."""
        before = self.budget.price
        self.budget.settle(entry.job.images, cost_usd, kind_of(entry.job.model, entry.job.inputs), failed=failed)
        real = self.budget.price
        if before is not None and real is not None and real > before * 1.001:
            self.tally.warn(
                f"the service charges {show_usd(real)} an image, not {show_usd(before)}: that counts from now on"
            )
        self.money_moved.set()

    def unspend(self, entry: Entry) -> None:
        """It was never taken up, or was cancelled in the queue: its reserved money is free again."""
        self.budget.release(entry.job.images, kind_of(entry.job.model, entry.job.inputs))
        self.money_moved.set()

    def left_service(self, entry: Entry) -> None:
        """A job moved on from where ``entry`` has it: what it took counts if it came to the service in this process."""
        if entry.state is State.RUNNING and entry.submitted_at is not None and entry.submitted_at >= self.started:
            self.tally.took(max(0.0, self.wall() - entry.submitted_at))

    def came_to(self, entry: Entry, cause: Cause | None) -> None:
        """What a submit came to: files (None), or nothing, for a cause. Enough of one cause blow the fuse."""
        if (why := self.failure_limit.ended(entry.id, cause)) and cause is not None:
            self.stop.request(
                Reason.FUSE,
                f"{why}: {cause}",
                "What is at the service was collected. Fix the cause, then run the same command again.",
            )

    def doubted(self, entry: Entry, cause: Cause) -> None:
        """A submit got no usable answer."""
        self.lost(self.failure_limit.doubted(entry.id), cause)

    def lost(self, why: str | None, cause: Cause) -> None:
        """Enough submits without a usable answer in a row (why) end the submits, whatever reads say."""
        if why:
            self.stop.request(
                Reason.FUSE,
                f"the fuse blew: {why}: {cause}",
                "What is at the service was collected. Look for the jobs in doubt on RunComfy's Generations page; then"
                f" `{command_line('retry', self.state.path.parent, '--state', 'in_doubt')}` submits them again.",
            )

    def is_wrong_address(self, cause: Cause) -> bool:
        """Whether a submit got the very 404 that the catalogue got, and none was taken up yet: then neither is there,
        and the job is not to blame. The third such answer ends the run.
        """
        if cause.http_status != 404 or cause.code is not None or cause.message != self.no_catalogue:
            return False
        self._nowhere += 1
        if self._nowhere >= NOWHERE:
            self.stop.request(
                Reason.SERVICE,
                f"{self.api.base_url} is no Model API: it answers 404 to catalogue and submits ({cause.message})",
                "Nothing was submitted. Check --base-url, then run the same command again.",
            )
        return True

    def machine_failed(self, problem: DiskError) -> None:
        """Its disk, its memory or its threads: the run ends, and what is at the service is left to the next one."""
        self.stop.request(of_disk(problem), problem.message, problem.hint)
        if may_have_lost(problem):
            self.rescue.distrust_journal()

    async def call_turn(self) -> None:
        """Waits until one more read may leave (``--api-rate``, and after a refused read)."""
        for pace in (self.reads, self.calls):
            now = self.now()
            if (at := pace.reserve(now)) > now:
                await pause(at - now, self.stop.leave)

    def heard(self) -> None:
        """The service answered, whatever it said."""
        self._heard = self.now()
        self.tally.note = ""

    def unheard(self, problem: CallError) -> None:
        """A call got no readable answer. After enough silence the run ends, resumable."""
        if problem.cause.kind == "too_many_files":
            self.stop.request(
                Reason.DISK,
                f"too many open files: {problem.cause.message}",
                "Everything is kept. Raise the limit (`ulimit -n 4096`), or lower --in-flight and --downloads.",
            )
        if problem.__cause__ is not None and (too_little := machine_problem(problem.__cause__)):
            self.machine_failed(too_little)
        silence = self.now() - (self._born if self._heard is None else self._heard)
        if silence > NOTEWORTHY:
            self.tally.note = f"no answer from the service for {silence:.0f} s; still retrying"
        if silence > (PATIENCE if self.patient and self._heard is not None else FIRST_PATIENCE):
            self.stop.request(
                Reason.SERVICE,
                f"the service does not answer: {problem.cause.message}",
                f"Nothing is lost. Check the network and --base-url ({self.api.base_url}).",
            )

    def stuck(self, cause: Cause) -> None:
        """A result or a file that was paid for could not be fetched."""
        self._stuck_since = self.now() if self._stuck_since is None else self._stuck_since
        self._stuck_for = cause.kind

    def went_on(self) -> None:
        """One was fetched, or will not be asked for again."""
        self._stuck_since = None

    def look(self) -> None:
        """Stops the run when nothing could be fetched for a while, and waiting is no use: past the deadline, or without
        a balance. To be called now and then.
        """
        if self._stuck_since is None or self.now() - self._stuck_since < LAST_PATIENCE:
            return
        hint = "What is paid for and not here stays at the service: the same command collects it."
        if self._stuck_for == NO_MONEY:
            why = "the balance is gone: the service gives no results without one"
            self.stop.request(Reason.BALANCE, why, f"Top the account up. {hint}", leave=True)
        elif self.past_deadline():
            self.stop.request(Reason.DEADLINE, "the deadline is reached, and nothing can be had", hint, leave=True)

    def trouble(self, problem: CallError, count: int, entry: Entry) -> float:
        """Seconds until a read that got no answer, ``count`` times now, is tried again."""
        if isinstance(problem, Refused):
            self.heard()
            if problem.cause.http_status != 503:  # that one speaks of the moment, not of our rate
                self.reads.refused(self.now(), problem.retry_after)
            self.tally.rate_limited += 1
        else:
            self.unheard(problem)
        return self.delay(READS, count, entry, asked=problem.retry_after)

    def delay(self, policy: RetryPolicy, failures: int, entry: Entry, *, asked: float | None = None) -> float:
        """Seconds to wait by a policy that has no end."""
        wait = decide(policy, failures, draw(entry, failures), asked=asked)
        assert not isinstance(wait, GiveUp), "this policy has an end"
        return wait.delay


def draw(entry: Entry, count: int) -> float:
    """Uniform in [0, 1), and the job's own, so that the order in which tasks happen to run changes nothing."""
    digest = blake2b(f"{entry.job.key}/{entry.attempts}/{count}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32
