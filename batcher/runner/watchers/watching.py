"""One observer for all outputs of a run that are not its results: log, metrics, messages, heartbeat, ``--on-end``.

The command and the Python API use it. None of these outputs delays or ends a run: a log or metrics file that can't be
written is reported once, and messages are sent in threads.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from batcher.core import limits
from batcher.core.errors import BatcherError, UsageError
from batcher.core.tally import Snapshot
from batcher.images import contact_sheet
from batcher.runner.events import Event, JobMoved, Observer, RunBegan, RunEnded, RunNamed, Ticked, WorkerMoved
from batcher.runner.watchers import notify, notify_hook, notify_text
from batcher.runner.watchers.events_log import LOGGER, EventLog, LogFile, start_failed, to_logging
from batcher.runner.watchers.metrics import MetricsFile
from batcher.runner.watchers.notify import Heartbeat, Messenger
from batcher.store import connect_to_read, viewing
from batcher.store.files.safe_reader import Absent, NotAFile, Outside, SafeReader

STALL = 15 * 60.0  # seconds without a state change of any job before a message is sent
AFTER_A_SIGNAL = 8.0  # seconds from a signal to the end of the process: most supervisors kill ten seconds after SIGTERM


class Watch:
    """A context manager around a run, and an observer of it.

    log, metrics, on_end: as the flags give them. environ: environment variables with the receivers. stall: seconds
    without a state change before a message is sent. run: the run directory, empty if the manifest names it.

    Raises DiskError for a log that can't be written, UsageError for metrics without their library.
    """

    def __init__(
        self,
        log: str | None = None,
        metrics: str | None = None,
        on_end: str | None = None,
        environ: Mapping[str, str] = os.environ,
        stall: float = STALL,
        run: str = "",
    ) -> None:
        self._early_warnings: list[str] = []
        self._say: Callable[[str], None] = self._early_warnings.append
        self._on_end = on_end
        self._environ = environ
        self._stall = stall
        self._run = run
        self._log = None if log is None else LogFile(Path(log), run, self._warn)
        self._metrics = None if metrics is None else MetricsFile(Path(metrics), self._warn)
        self._events: list[EventLog] = []
        self._messenger = Messenger()
        self._heart: Heartbeat | None = None
        self._run_dir = Path()
        self._report: Mapping[str, Any] | None = None
        self._ticked = self._moved = time.time()
        self._stall_sent = False

    def __enter__(self) -> Self:
        self._name_run(self._run)
        try:
            self._messenger = Messenger(notify.receivers(notify.addresses(self._environ)))
            if url := self._environ.get(notify.HEARTBEAT, "").strip():
                self._heart = Heartbeat(url, lambda: time.time() - self._ticked < notify.PULSE)
        except UsageError as error:
            self._warn(f"warning: {error.message}: no messages are sent. {error.hint}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._heart is not None:
            self._heart.close()
        if self._metrics is not None:
            self._metrics.close()
        self._messenger.close()
        if self._log is not None:
            self._log.close()

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunNamed):
            self._name_run(str(event.run_dir))
        if isinstance(event, RunBegan):
            self._run_dir = event.run_dir
            self._ticked = self._moved = event.at
            if self._metrics is not None:
                self._metrics.begin(event.run_dir)
        for events in self._events:
            events(event)
        if isinstance(event, JobMoved):
            self._moved, self._stall_sent = event.at, False
        elif isinstance(event, Ticked):
            self._ticked = event.at
            self._notice_stall(event.snapshot, event.at)
        elif isinstance(event, RunEnded):
            self._report = event.report
            self._run_dir = Path(str(event.report["run"]))
            if self._metrics is not None:
                self._metrics.end()
            self._messenger.send(*notify_text.at_end(event.report), partial(_sheet, self._run_dir))

    def failed_to_start(self, error: BatcherError, name: str) -> None:
        """Report that the run ended with an error, without a report. name: of the run, for a person."""
        if self._report is None:
            self._emit("start_failed", start_failed(error))
            self._messenger.send(*notify_text.at_failed_start(name, error.exit_code))

    def say_warnings(self, say: Callable[[str], None]) -> None:
        """Print warnings by ``say`` from now on, and at once those that there were before."""
        self._say = say
        while self._early_warnings:
            say(self._early_warnings.pop(0))

    def finish(self, asked_at: float | None = None) -> None:
        """Wait shortly for the messages, then run the user's command. Call it after the run directory is unlocked.

        asked_at: when a signal asked the run to stop, on ``time.monotonic``, because a kill may follow; None: none did.
        """
        until = None if asked_at is None else asked_at + AFTER_A_SIGNAL
        for words in self._messenger.close(notify.LAST_WAIT if until is None else notify.SHORT_WAIT):
            self._warn(f"warning: {words}")
        if self._on_end is not None and self._report is not None:
            patience = notify_hook.PATIENCE if until is None else max(0.5, until - time.monotonic())  # most end at once
            words = notify_hook.run(self._on_end, self._report, self._run_dir, patience)
            if words:
                self._warn(f"warning: {words}")

    def _warn(self, text: str) -> None:
        self._say(text)
        self._emit("note", {"message": text})

    def _emit(self, name: str, facts: Mapping[str, Any]) -> None:
        for events in self._events:
            events.emit(name, time.time(), facts)

    def _name_run(self, run: str) -> None:
        self._run = run
        self._events = [EventLog(to_logging(run), LOGGER.isEnabledFor)]
        if self._log is not None:
            self._log.run = run
            self._events.append(EventLog(self._log.write))

    def _notice_stall(self, snapshot: Snapshot, at: float) -> None:
        still = at - self._moved
        if self._stall_sent or still < self._stall or snapshot.limited_by == "paused":
            return
        self._stall_sent = True
        self._emit("stall", {"seconds": still})
        self._messenger.send(*notify_text.at_stall(str(self._run_dir), still, snapshot))


def _sheet(run_dir: Path) -> bytes | None:
    """A contact sheet of images spread over the run; None if they can't be read, or are in a bucket."""
    try:
        with closing(connect_to_read(run_dir)) as connection:
            files = viewing.some_files(connection, contact_sheet.MOST)
    except (BatcherError, OSError, sqlite3.Error):
        return None
    return contact_sheet.draw(_paths(SafeReader(run_dir), files))


def _paths(reader: SafeReader, files: Iterable[str]) -> Iterator[Path]:
    for file in files:
        with suppress(Absent, NotAFile, Outside, OSError):
            yield reader.regular(file)


def watching_limits(say: Callable[[str], None]) -> Observer:
    """An observer for ``-v``: prints what the next job waits for, whenever that changes, and workers that start."""
    last = ""

    def hear(event: Event) -> None:
        nonlocal last
        if isinstance(event, Ticked) and event.snapshot.limited_by != last:
            last = event.snapshot.limited_by
            say(f"the next job waits for: {limits.WORDS[last]}" if last else "no job waits")
        elif isinstance(event, WorkerMoved) and event.at_work:
            say(f"{event.worker} is at work")

    return hear
