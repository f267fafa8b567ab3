"""``--metrics FILE`` and ``/metrics`` of the page: numbers for Prometheus, all of them read from the state file.

So they stay right after a resume, and every process that can read the run directory can serve them. No label holds a
prompt, a job key or a file name. The library is the extra ``metrics``.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from batcher.core.errors import BatcherError, UsageError
from batcher.core.job import Counts, State
from batcher.core.version import __version__
from batcher.manifest.extras import install_command
from batcher.runner import report
from batcher.store import RunFacts, connect_to_read, read_facts, reading
from batcher.store.facts import Live

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

EVERY = 5.0  # seconds between two files
_LAST_WAIT = 5.0  # seconds for a file that is being written
SHARE = 0.02  # of the time that the thread may spend reading the state file
BOUNDS = (1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 600.0, 1800.0)  # seconds: upper ends of the buckets


class Collector:
    """The metric families of one run directory, in the form that prometheus-client collects.

    connection: to the state file. going: whether a run is in progress.
    """

    def __init__(self, connection: sqlite3.Connection, *, going: bool) -> None:
        self._connection = connection
        self._going = going

    def collect(self) -> Iterator[Any]:
        from prometheus_client import core  # noqa: PLC0415  an extra

        connection = self._connection
        facts = read_facts(connection)
        live = facts.live or Live(budget=facts.budget_usd)
        counts = reading.counts(connection)
        yield core.InfoMetricFamily("batcher", "The program that made the run.", value={"version": __version__})
        jobs = core.GaugeMetricFamily("batcher_jobs", "Jobs of the manifest by state.", labels=["state"])
        for state, number in _by_state(connection, counts).items():
            jobs.add_metric([state], number)
        yield jobs
        words = "Submits that may have been paid for, by outcome."
        submits = core.CounterMetricFamily("batcher_submits", words, labels=["outcome"])
        for outcome, number in sorted(reading.submits_by_outcome(connection).items()):
            submits.add_metric([outcome], number)
        yield submits
        for name, words, value in self._gauges(counts, facts, live):
            if value is not None:  # an unknown value is left out: zero would be wrong
                yield core.GaugeMetricFamily(f"batcher_{name}", words, value=value)
        refused = facts.refused + live.refused  # by runs that ended, and by the one in progress
        yield core.CounterMetricFamily("batcher_refused", "Calls refused for their rate.", value=refused)
        within, number, total = reading.run_times(connection, BOUNDS)
        buckets = [*zip(map(str, BOUNDS), within, strict=True), ("+Inf", number)]
        words = "From submit to the service's result."
        yield core.HistogramMetricFamily("batcher_job_seconds", words, buckets=buckets, sum_value=total)

    def _gauges(self, counts: Counts, facts: RunFacts, live: Live) -> Iterator[tuple[str, str, float | None]]:
        """Name, description and value of each metric without a label."""
        money = report.standing(self._connection, counts, facts.price_usd)
        yield "spent_usd", "Dollars spent over the life of the run directory.", money.spent_usd
        yield "reserved_usd", "Dollars set aside for what is at the service.", money.reserved_usd
        yield "unclear_usd", "Dollars of failed submits that may have been charged.", money.unclear_usd
        yield "budget_usd", "The most that may be spent.", live.budget
        yield "in_flight", "Jobs at the service.", money.at_service
        yield "pace_per_second", "Submits a second that are allowed now.", live.pace if self._going else 0.0
        yield "last_change_timestamp_seconds", "When a job last moved.", reading.last_change(self._connection)
        succeeded = None if facts.succeeded_at is None else datetime.fromisoformat(facts.succeeded_at).timestamp()
        yield "last_success_timestamp_seconds", "When a run last ended with everything done.", succeeded


def _by_state(connection: sqlite3.Connection, counts: Counts) -> dict[str, int]:
    counted = reading.by_state(connection)
    unseen = max(0, counts.total - sum(counted.values()))
    return {str(state): counted.get(state, 0) + (unseen if state is State.PENDING else 0) for state in State}


def text(connection: sqlite3.Connection, *, going: bool) -> bytes:
    """All families in Prometheus' text format. Raises UsageError if the library is missing."""
    prometheus = _library()
    return bytes(prometheus.generate_latest(_registry(prometheus, connection, going=going)))


def _registry(prometheus: ModuleType, connection: sqlite3.Connection, *, going: bool) -> "CollectorRegistry":
    registry: CollectorRegistry = prometheus.CollectorRegistry(auto_describe=False)
    registry.register(Collector(connection, going=going))
    return registry


def _library() -> ModuleType:
    try:
        import prometheus_client  # noqa: PLC0415  an extra
    except ImportError:
        raise UsageError("--metrics needs prometheus-client", hint=install_command("metrics")) from None
    return prometheus_client


class MetricsFile:
    """Replaces the file every few seconds, in a thread with its own connection.

    path: of the file. say: prints a message. Raises UsageError if the library is missing.
    """

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self._prometheus = _library()
        self._path = path
        self._say = say
        self._run_dir = Path()
        self._failed = False
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._thread = threading.Thread(target=self._keep, name="metrics", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Write the last file, after the run ended."""
        self.close()
        if self._thread is not None:
            self._write(going=False)

    def close(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(_LAST_WAIT)

    def _keep(self) -> None:
        while True:
            began = time.monotonic()
            self._write(going=True)
            if self._over.wait(max(EVERY, (time.monotonic() - began) / SHARE)):
                return

    def _write(self, *, going: bool) -> None:
        """Write one file. A failure is reported once, and the run goes on."""
        try:
            with closing(connect_to_read(self._run_dir)) as connection:
                registry = _registry(self._prometheus, connection, going=going)
                self._prometheus.write_to_textfile(str(self._path), registry)
        except (OSError, BatcherError) as error:
            if not self._failed:
                self._say(f"warning: --metrics {self._path} can't be written: {error}")
            self._failed = True
