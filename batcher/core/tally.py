"""Counts of a run in progress: initialised from the state file, then kept in memory until the end."""

from collections import Counter, deque
from dataclasses import dataclass

from batcher.core.job import CancelOutcome, Counts, State
from batcher.core.limits import Waits

WINDOW = 60.0  # seconds over which the pace is measured
LEAST_FINISHED = 3  # jobs before a pace is shown
STEP = 1.0  # seconds between samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One moment of a run, for progress.

    total, done, failed, cancelled, in_doubt: jobs of the manifest.
    in_flight: jobs at the service. downloading: files on their way.
    rate: jobs finished per second by this process, over the last minute.
    eta: seconds left at that rate, None while unknown. eta_model: by the pace of submits and the run time of jobs.
    cost_usd: over the life of the run directory, None if unknown.
    elapsed: seconds since this process began.
    note: what the run is waiting for, "" for nothing.
    limited_by: what limits the speed, a word of ``limits``, "" for nothing.
    limited_for: seconds since that began, None if nothing limits it.
    asked, pace: submits per second, as requested and as allowed now.
    in_flight_cap: submits per second that ``--in-flight`` allows with the run time of jobs, None while unknown.
    """

    total: int
    done: int
    failed: int
    cancelled: int
    in_doubt: int
    in_flight: int
    downloading: int
    rate: float
    eta: float | None
    cost_usd: float | None
    elapsed: float
    note: str = ""
    eta_model: float | None = None
    limited_by: str = ""
    limited_for: float | None = None
    asked: float | None = None
    pace: float | None = None
    in_flight_cap: float | None = None

    @property
    def finished(self) -> int:
        return self.done + self.failed + self.cancelled + self.in_doubt


class Tally:
    """The counts of a run, and its pace from the work of this process alone. counts: at its start. now: seconds on the
    loop's clock.
    """

    def __init__(self, counts: Counts, now: float) -> None:
        self.recount(counts)
        self.in_flight = 0
        self.downloading = 0
        self.submits = 0
        self.rate_limited = 0
        self.taken_in = 0  # jobs whose files were already on disk at the start
        self.cancelled: Counter[CancelOutcome] = Counter()  # outcomes of --cancel-on-interrupt
        self.warnings: deque[str] = deque(maxlen=20)
        self.warned = 0
        self.note = ""  # of the service
        self.file_note = ""
        self.control_note = ""
        self.started = now
        self.first_submit: float | None = None
        self.last_submit: float | None = None
        self._finished_here = 0
        self._job_seconds: float | None = None
        self._samples: deque[tuple[float, int]] = deque([(now, 0)])

    def recount(self, counts: Counts) -> None:
        """Set the counts from the state file: at the start, and after another process has changed it."""
        self.total = counts.total
        self.at = {
            State.DONE: counts.done,
            State.FAILED: counts.failed,
            State.CANCELLED: counts.cancelled,
            State.IN_DOUBT: counts.in_doubt,
        }

    def submitted(self, now: float) -> None:
        self.submits += 1
        self.first_submit = now if self.first_submit is None else self.first_submit
        self.last_submit = now

    def reached_terminal(self, state: State, now: float) -> None:
        """A job reached a terminal state in this process."""
        self.at[state] += 1
        self._finished_here += 1
        if self._finished_here == 1:  # the wait for the first one says nothing about the pace
            self._samples[0] = (now, 1)
        if now - self._samples[-1][0] >= STEP:
            self._samples.append((now, self._finished_here))
        while len(self._samples) > 1 and now - self._samples[1][0] >= WINDOW:  # one older sample stays: its span counts
            self._samples.popleft()

    def took(self, seconds: float) -> None:
        """Add the seconds a job spent at the service to the mean of the last few dozen."""
        before = self._job_seconds
        self._job_seconds = seconds if before is None else before + (seconds - before) / 20

    def warn(self, text: str) -> None:
        self.warned += 1
        self.warnings.append(text)

    def rate(self, now: float) -> float:
        then, count = self._samples[0]
        return (self._finished_here - count) / max(now - then, 1e-3)

    @property
    def submit_rate(self) -> float:
        """Submits per second between the first and the last."""
        if self.first_submit is None or self.last_submit is None or self.submits < 2:
            return 0.0
        return (self.submits - 1) / max(self.last_submit - self.first_submit, 1e-3)

    def snapshot(
        self, now: float, cost_usd: float | None, *, waits: Waits | None = None, asked: float | None = None,
        pace: float | None = None, slots: int | None = None,
    ) -> Snapshot:  # fmt: skip
        """asked, pace: submits per second. slots: most jobs at the service at once."""
        rate = self.rate(now)
        left = max(0, self.total - sum(self.at.values()))
        is_known = self._finished_here >= LEAST_FINISHED and rate > 0
        takes = self._job_seconds
        cap = None if not takes or slots is None else slots / takes
        fastest = min((one for one in (pace, cap) if one), default=None)
        model = None if takes is None or not fastest else max(0, left - self.in_flight) / fastest + takes
        return Snapshot(
            total=self.total, done=self.at[State.DONE], failed=self.at[State.FAILED],
            cancelled=self.at[State.CANCELLED], in_doubt=self.at[State.IN_DOUBT], in_flight=self.in_flight,
            downloading=self.downloading, rate=rate if is_known else 0.0, eta=left / rate if is_known else None,
            cost_usd=cost_usd, elapsed=now - self.started, note=self.control_note or self.note or self.file_note,
            eta_model=model if is_known else None, limited_by="" if waits is None else waits.by,
            limited_for=now - waits.since if waits is not None and waits.by else None, asked=asked, pace=pace,
            in_flight_cap=cap,
        )  # fmt: skip
