"""What all steps of a job share: settings, store, service, rates, slots, money, and the health of the service."""

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
from batcher.core.retry import READS, RetryPolicy, decide
from batcher.core.settings import Settings
from batcher.core.tally import Tally
from batcher.core.units import show_usd
from batcher.pacing import Pace
from batcher.runner.engines.engine import Engine
from batcher.runner.events import Event, Noted, Observer
from batcher.runner.intake.media_inputs import MediaInputs
from batcher.runner.places import Places
from batcher.runner.recovery.rescue import Rescue
from batcher.runner.stop import CANCELS, GRACE, Reason, Stop, of_disk, pause
from batcher.store import Ballast, CommitQueue
from batcher.store.machine import machine_problem, may_have_lost

PATIENCE = 6 * 3600.0  # seconds without an answer before the run gives up on a service that answered before
FIRST_PATIENCE = 60.0  # the same for a service that never answered
LAST_PATIENCE = 30.0  # the same once the balance is used up or the deadline is reached
NOWHERE = 3  # 404 answers before the address counts as wrong
NOTEWORTHY = 10.0  # seconds without an answer before progress shows it


@dataclass(kw_only=True, repr=False)
class RunContext:
    """Opened and closed by ``work``. Times are seconds: ``now`` on the loop's clock, ``wall`` Unix.

    settings: of the command, as ``tune`` changed them. queue: writes to the state file. reader: a read-only connection
    to it, for the event loop's thread. api: the service. engine: downloads files. tally: counts for the progress.
    stop: the reason to end, once there is one. budget: dollars. ballast: disk space for the last writes on a full disk.
    simulated: whether the images come from the simulator. observers: get all events. media: makes links to input files;
    None if there are none. past_deadline: whether the deadline is over. patient: whether to wait for the end of an
    outage; False for a repair, because a person waits for it.
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
        self.reads = Pace(None)  # of status and result, limited only by their own refusals
        self.slots = Places(self.settings.in_flight)  # jobs at the service
        self.downloads = Places(self.engine.resize(self.settings.downloads))
        self.waits = Waits()
        self.failure_limit = FailureLimit(self.settings.fuse, self.settings.fuse_share)
        self.money_moved = asyncio.Event()
        self.go_on = asyncio.Event()  # cleared while the run is paused
        self.go_on.set()
        self.no_catalogue: str | None = None  # answer to the catalogue request if it failed, until a submit is accepted
        self._nowhere = 0  # 404 answers to submits
        self.files: dict[int, list[Artifact]] = {}  # by job id, for jobs just saved that still have a task
        self.left_at: dict[int, float] = {}  # when submits left, by job id, on the clock of ``now``
        self.in_air = 0  # submits without an answer
        self.taken_in = 0  # jobs whose files were already on disk at the start
        self.cancelled: Counter[CancelOutcome] = Counter()  # outcomes of --cancel-on-interrupt
        self.started = self.wall()
        self._born = self.now()
        self._answered_at: float | None = None
        self._stuck_since: float | None = None  # since when every fetch failed; None: the last one worked
        self._stuck_kind = ""  # the kind of cause

    def __repr__(self) -> str:
        at_service, place = self.tally.in_flight, self.state.path.parent
        return f"<RunContext {place}, {at_service} in flight, {self.in_air} unanswered submits, {self.stop!r}>"

    @property
    def grace(self) -> float:
        """Seconds that open submits and downloads get after an interruption."""
        return GRACE - CANCELS if self.settings.cancel_on_interrupt else GRACE

    def tell(self, event: Event) -> None:
        for observer in self.observers:
            observer(event)

    def say(self, text: str) -> None:
        """Print a message that a person must not miss."""
        self.tell(Noted(text=text, at=self.wall()))

    def settle(self, entry: Entry, cost_usd: float | None, *, failed: bool = False) -> None:
        """The job ended or is in doubt: replace its reservation by its cost. failed: it failed at the service."""
        before = self.budget.price
        self.budget.settle(entry.job.images, cost_usd, kind_of(entry.job.model, entry.job.inputs), failed=failed)
        real = self.budget.price
        if before is not None and real is not None and real > before * 1.001:
            self.tally.warn(
                f"the service charges {show_usd(real)} an image, not {show_usd(before)}: this price is used from now on"
            )
        self.money_moved.set()

    def unspend(self, entry: Entry) -> None:
        """Release the reservation: the submit was not accepted, or the job was cancelled in the queue."""
        self.budget.release(entry.job.images, kind_of(entry.job.model, entry.job.inputs))
        self.money_moved.set()

    def left_service(self, entry: Entry) -> None:
        """A job left the state of ``entry``: its time at the service counts if this process submitted it."""
        if entry.state is State.RUNNING and entry.submitted_at is not None and entry.submitted_at >= self.started:
            self.tally.took(max(0.0, self.wall() - entry.submitted_at))

    def count_outcome(self, entry: Entry, cause: Cause | None) -> None:
        """Count the outcome of a submit: success (None) or a cause. Too many of one cause stop the run."""
        if (why := self.failure_limit.ended(entry.id, cause)) and cause is not None:
            self.stop.request(
                Reason.FUSE,
                f"{why}: {cause}",
                "What was at the service was collected. Fix the cause, then run the same command again.",
            )

    def count_doubt(self, entry: Entry, cause: Cause) -> None:
        """Count a submit without a usable answer."""
        self.stop_if_unanswered(self.failure_limit.doubted(entry.id), cause)

    def stop_if_unanswered(self, why: str | None, cause: Cause) -> None:
        """Stop the run if ``why`` is set: too many submits in a row got no usable answer, even if reads work."""
        if why:
            self.stop.request(
                Reason.FUSE,
                f"the fuse blew: {why}: {cause}",
                "What was at the service was collected. Look for the jobs in doubt on RunComfy's Generations page; then"
                f" `{command_line('retry', self.state.path.parent, '--state', 'in_doubt')}` submits them again.",
            )

    def is_wrong_address(self, cause: Cause) -> bool:
        """Whether a submit got the same 404 as the catalogue request before any submit was accepted. Then the address
        is wrong, not the job. The third such answer ends the run.
        """
        if cause.http_status != 404 or cause.code is not None or cause.message != self.no_catalogue:
            return False
        self._nowhere += 1
        if self._nowhere >= NOWHERE:
            self.stop.request(
                Reason.SERVICE,
                f"{self.api.base_url} is not a Model API: it answers 404 to catalogue and submits ({cause.message})",
                "Nothing was submitted. Check --base-url, then run the same command again.",
            )
        return True

    def machine_failed(self, problem: DiskError) -> None:
        """The machine lacks disk, memory or threads: end the run and leave jobs at the service to the next one."""
        self.stop.request(of_disk(problem), problem.message, problem.hint)
        if may_have_lost(problem):
            self.rescue.distrust_journal()

    async def call_turn(self) -> None:
        """Wait until one more read may be sent (``--api-rate``, and after a refused read)."""
        for pace in (self.reads, self.calls):
            now = self.now()
            if (at := pace.reserve(now)) > now:
                await pause(at - now, self.stop.leave)

    def note_answer(self) -> None:
        """The service gave a readable answer of any kind."""
        self._answered_at = self.now()
        self.tally.note = ""

    def note_silence(self, problem: CallError) -> None:
        """A call got no readable answer. After PATIENCE the run ends and can be resumed."""
        if problem.cause.kind == "too_many_files":
            self.stop.request(
                Reason.DISK,
                f"too many open files: {problem.cause.message}",
                "Everything is kept. Raise the limit (`ulimit -n 4096`), or lower --in-flight and --downloads.",
            )
        if problem.__cause__ is not None and (too_little := machine_problem(problem.__cause__)):
            self.machine_failed(too_little)
        silence = self.now() - (self._born if self._answered_at is None else self._answered_at)
        if silence > NOTEWORTHY:
            self.tally.note = f"no answer from the service for {silence:.0f} s; still retrying"
        if silence > (PATIENCE if self.patient and self._answered_at is not None else FIRST_PATIENCE):
            self.stop.request(
                Reason.SERVICE,
                f"the service does not answer: {problem.cause.message}",
                f"Nothing is lost. Check the network and --base-url ({self.api.base_url}).",
            )

    def note_stuck(self, cause: Cause) -> None:
        """A result or a file that is paid for could not be fetched."""
        self._stuck_since = self.now() if self._stuck_since is None else self._stuck_since
        self._stuck_kind = cause.kind

    def note_fetched(self) -> None:
        """One was fetched, or is not asked for again."""
        self._stuck_since = None

    def stop_if_stuck(self) -> None:
        """Stop the run if nothing could be fetched for LAST_PATIENCE past the deadline or without a balance. Call it
        now and then.
        """
        if self._stuck_since is None or self.now() - self._stuck_since < LAST_PATIENCE:
            return
        hint = "What is paid for and not here stays at the service: the same command collects it."
        if self._stuck_kind == NO_MONEY:
            why = "the balance is gone: the service gives no results without one"
            self.stop.request(Reason.BALANCE, why, f"Top the account up. {hint}", leave=True)
        elif self.past_deadline():
            self.stop.request(
                Reason.DEADLINE, "the deadline is reached, and no result or file can be fetched", hint, leave=True
            )

    def delay_of_read(self, problem: CallError, count: int, entry: Entry) -> float:
        """Seconds until the next try of a read that got no answer ``count`` times."""
        if isinstance(problem, Refused):
            self.note_answer()
            if problem.cause.http_status != 503:  # a 503 is about the service's state, not about our rate
                self.reads.refused(self.now(), problem.retry_after)
            self.tally.rate_limited += 1
        else:
            self.note_silence(problem)
        return self.delay(READS, count, entry, asked=problem.retry_after)

    def delay(self, policy: RetryPolicy, failures: int, entry: Entry, *, asked: float | None = None) -> float:
        """Seconds to wait, by a policy without a limit of attempts."""
        wait = decide(policy, failures, draw(entry, failures), asked=asked)
        assert wait is not None, "this policy has an end"
        return wait


def draw(entry: Entry, count: int) -> float:
    """Uniform in [0, 1), from a hash of job, attempt and count, so that the order of tasks does not matter."""
    digest = blake2b(f"{entry.job.key}/{entry.attempts}/{count}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32
