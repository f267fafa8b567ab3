"""``--metrics FILE`` and ``/metrics`` of the page: numbers for Prometheus, all of them from the state file.

So they are right after a resume, and whoever can read the run directory can serve them. No label holds a prompt, a key
or a file name. The library is the extra ``metrics``.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from batcher.core.errors import BatcherError, UsageError
from batcher.core.job import Counts, State
from batcher.core.version import __version__
from batcher.manifest.extras import install_command
from batcher.runner import report
from batcher.store import connect_to_read, read_facts, reading
from batcher.store.facts import Live

EVERY = 5.0  # seconds between two files
_LAST_WAIT = 5.0  # seconds for a file that is being written
SHARE = 0.02  # of the time that may go into reading the table for them
BOUNDS = (1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0, 600.0, 1800.0)  # seconds that a job may take


class Collector:
    """The families of one run directory, as prometheus-client asks for them. going: whether a run is at work."""

    def __init__(self, connection: sqlite3.Connection, *, going: bool) -> None:
        self._connection = connection
        self._going = going

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import (  # noqa: PLC0415  an extra
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
            InfoMetricFamily,
        )

        connection = self._connection
        facts = read_facts(connection)
        live = facts.live or Live(budget=facts.budget_usd)
        counts = reading.counts(connection)
        money = report.standing(connection, counts, facts.price_usd)
        yield InfoMetricFamily("batcher", "The program that made the run.", value={"version": __version__})
        jobs = GaugeMetricFamily("batcher_jobs", "Jobs of the manifest by state.", labels=["state"])
        for state, count in _by_state(connection, counts).items():
            jobs.add_metric([state], count)
        yield jobs
        submits = CounterMetricFamily(
            "batcher_submits", "Submits that may have been paid for, by outcome.", labels=["outcome"]
        )
        for outcome, count in sorted(reading.submits_by_outcome(connection).items()):
            submits.add_metric([outcome], count)
        yield submits
        for name, text, value in (
            ("spent_usd", "Dollars spent over the life of the run directory.", money["spent_usd"]),
            ("reserved_usd", "Dollars set aside for what is at the service.", money["reserved_usd"]),
            ("unclear_usd", "Dollars of failed submits that may have been charged.", money["unclear_usd"]),
            ("budget_usd", "The most that may be spent.", live.budget),
            ("in_flight", "Jobs at the service.", money["at_service"]),
            ("pace_per_second", "Submits a second that are allowed now.", live.pace if self._going else 0.0),
            ("last_change_timestamp_seconds", "When a job last moved.", reading.last_change(connection)),
            ("last_success_timestamp_seconds", "When a run last ended with everything done.",
             _seconds(facts.succeeded_at)),
        ):  # fmt: skip
            if value is not None:  # what is not known is left out: zero would be a lie
                yield GaugeMetricFamily(f"batcher_{name}", text, value=value)
        refused = facts.refused + live.refused  # of ended runs and of a going one
        yield CounterMetricFamily("batcher_refused", "Calls refused for their rate.", value=refused)
        within, count, total = reading.run_times(connection, BOUNDS)
        buckets = [*zip(map(str, BOUNDS), within, strict=True), ("+Inf", count)]
        yield HistogramMetricFamily(
            "batcher_job_seconds", "From submit to the service's result.", buckets=buckets, sum_value=total
        )


def _seconds(moment: str | None) -> float | None:
    return None if moment is None else datetime.fromisoformat(moment).timestamp()


def _by_state(connection: sqlite3.Connection, counts: Counts) -> dict[str, int]:
    counted = reading.by_state(connection)
    unseen = max(0, counts.total - sum(counted.values()))
    return {str(state): counted.get(state, 0) + (unseen if state is State.PENDING else 0) for state in State}


def text(connection: sqlite3.Connection, *, going: bool) -> bytes:
    """All families in Prometheus' text format. Raises UsageError where the library is missing."""
    prometheus = _library()
    registry = prometheus.CollectorRegistry(auto_describe=False)
    registry.register(Collector(connection, going=going))
    return bytes(prometheus.generate_latest(registry))


def _library() -> Any:
    try:
        import prometheus_client  # noqa: PLC0415  an extra
    except ImportError:
        raise UsageError("--metrics needs prometheus-client", hint=install_command("metrics")) from None
    return prometheus_client


class MetricsFile:
    """Writes the file every few seconds, whole, in a thread with a connection of its own."""

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        """Raises UsageError where the library is missing."""
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
        """The last file, that of a run at rest."""
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
        """A file that can't be written is said once; the run goes on."""
        try:
            with closing(connect_to_read(self._run_dir)) as connection:
                registry = self._prometheus.CollectorRegistry(auto_describe=False)
                registry.register(Collector(connection, going=going))
                self._prometheus.write_to_textfile(str(self._path), registry)
        except (OSError, BatcherError) as error:
            if not self._failed:
                self._say(f"warning: --metrics {self._path} can't be written: {error}")
            self._failed = True
