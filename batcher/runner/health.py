"""The health of the service: whether it answers, accepts submits, and gives what is paid for. Ends the run if not."""

from batcher.client.protocol import NO_MONEY
from batcher.core.circuit_breaker import CircuitBreaker
from batcher.core.command_line import command_line
from batcher.core.errors import CallError, Cause
from batcher.core.failure_limit import FailureLimit
from batcher.core.job import Entry
from batcher.core.settings import Settings
from batcher.core.tally import Tally
from batcher.runner.clock import Clock
from batcher.runner.job_table import JobTable
from batcher.runner.stop import Reason, Stop
from batcher.store.machine import machine_problem

PATIENCE = 6 * 3600.0  # seconds without an answer before the run gives up on a service that answered before
FIRST_PATIENCE = 60.0  # the same for a service that never answered
LAST_PATIENCE = 30.0  # the same once the balance is used up or the deadline is reached
NOWHERE = 3  # 404 answers before the address counts as wrong
NOTEWORTHY = 10.0  # seconds without an answer before progress shows it


class Health:
    """What a run knows about its service.

    patient: whether to wait for the end of an outage; False for a repair, because a person waits for it. no_catalogue:
    answer to the catalogue request if it failed, until a submit is accepted.

    settings: of the failure limit. clock: of all times here. stop: where the end of the run is requested. tally: gets
    the notes for the progress. table: its ``failed`` is called when the machine fails. base_url: of the service, for
    messages.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        stop: Stop,
        tally: Tally,
        table: JobTable,
        base_url: str,
        *,
        patient: bool,
    ) -> None:
        self.breaker = CircuitBreaker()
        self.failure_limit = FailureLimit(settings.fuse, settings.fuse_share)
        self.no_catalogue: str | None = None
        self.patient = patient
        self._clock, self._stop, self._tally, self._table, self._base_url = clock, stop, tally, table, base_url
        self._nowhere = 0  # 404 answers to submits
        self._answered_at: float | None = None
        self._stuck_since: float | None = None  # since when every fetch failed; None: the last one worked
        self._stuck_kind = ""  # the kind of cause

    def ended(self, entry: Entry, cause: Cause | None) -> None:
        """Count the outcome of a submit: success (None) or a cause. Too many of one cause stop the run."""
        if (why := self.failure_limit.ended(entry.id, cause)) and cause is not None:
            self._stop.request(
                Reason.FUSE,
                f"{why}: {cause}",
                "What was at the service was collected. Fix the cause, then run the same command again.",
            )

    def unanswered(self, cause: Cause, entry: Entry | None = None) -> None:
        """Count a submit without a usable answer, or a free one (None). Too many in a row stop the run, even if reads
        work.
        """
        limit = self.failure_limit
        if why := limit.unanswered() if entry is None else limit.doubted(entry.id):
            again = command_line("retry", self._table.state.path.parent, "--state", "in_doubt")
            self._stop.request(
                Reason.FUSE,
                f"the fuse blew: {why}: {cause}",
                "What was at the service was collected. Look for the jobs in doubt on RunComfy's Generations page; then"
                f" `{again}` submits them again.",
            )

    def is_wrong_address(self, cause: Cause) -> bool:
        """Whether a submit got the same 404 as the catalogue request before any submit was accepted. Then the address
        is wrong, not the job. The third such answer ends the run.
        """
        if cause.http_status != 404 or cause.code is not None or cause.message != self.no_catalogue:
            return False
        self._nowhere += 1
        if self._nowhere >= NOWHERE:
            self._stop.request(
                Reason.SERVICE,
                f"{self._base_url} is not a Model API: it answers 404 to catalogue and submits ({cause.message})",
                "Nothing was submitted. Check --base-url, then run the same command again.",
            )
        return True

    def answered(self) -> None:
        """The service gave a readable answer of any kind."""
        self._answered_at = self._clock.now()
        self._tally.note = ""

    def submit_answered(self) -> None:
        """It accepted, refused or rejected a submit."""
        self.breaker.answered()
        self.failure_limit.answered()
        self.answered()

    def submit_silent(self, problem: CallError) -> None:
        """A submit, or a probe before the next one, got no readable answer."""
        self.breaker.failed(self._clock.now())
        self.silent(problem)

    def silent(self, problem: CallError) -> None:
        """A call got no readable answer. After PATIENCE the run ends and can be resumed."""
        if problem.cause.kind == "too_many_files":
            self._stop.request(
                Reason.DISK,
                f"too many open files: {problem.cause.message}",
                "Everything is kept. Raise the limit (`ulimit -n 4096`), or lower --in-flight and --downloads.",
            )
        if problem.__cause__ is not None and (too_little := machine_problem(problem.__cause__)):
            self._table.failed(too_little)
        silence = self._clock.now() - (self._clock.began if self._answered_at is None else self._answered_at)
        if silence > NOTEWORTHY:
            self._tally.note = f"no answer from the service for {silence:.0f} s; still retrying"
        if silence > (PATIENCE if self.patient and self._answered_at is not None else FIRST_PATIENCE):
            self._stop.request(
                Reason.SERVICE,
                f"the service does not answer: {problem.cause.message}",
                f"Nothing is lost. Check the network and --base-url ({self._base_url}).",
            )

    def stuck(self, cause: Cause) -> None:
        """A result or a file that is paid for could not be fetched."""
        self._stuck_since = self._clock.now() if self._stuck_since is None else self._stuck_since
        self._stuck_kind = cause.kind

    def fetched(self) -> None:
        """One was fetched, or is not asked for again."""
        self._stuck_since = None

    def stop_if_stuck(self) -> None:
        """Stop the run if nothing could be fetched for LAST_PATIENCE past the deadline or without a balance. Call it
        now and then.
        """
        if self._stuck_since is None or self._clock.now() - self._stuck_since < LAST_PATIENCE:
            return
        hint = "What is paid for and not here stays at the service: the same command collects it."
        if self._stuck_kind == NO_MONEY:
            why = "the balance is gone: the service gives no results without one"
            self._stop.request(Reason.BALANCE, why, f"Top the account up. {hint}", leave=True)
        elif self._clock.past_deadline():
            self._stop.request(
                Reason.DEADLINE, "the deadline is reached, and no result or file can be fetched", hint, leave=True
            )
