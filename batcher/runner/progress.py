"""Progress on standard error: a bar, lines, JSON lines or nothing.

A listener gets a ``Snapshot`` a few times a second and decides how often to show one.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import Any, Protocol, TextIO, TypeVar

from batcher.core.folding import folded
from batcher.core.one_line import one_line
from batcher.core.tally import Snapshot
from batcher.runner.events import Event, Noted, Observer, RunEnded, Ticked
from batcher.runner.progress_words import COLUMNS, ROOM, in_words

T = TypeVar("T")

LINE_EVERY = 10.0  # seconds between lines
JSON_EVERY = 1.0
COUNT_EVERY = 2.0
PATIENCE = 2.0  # seconds before a long step is shown
READING = "reading the manifest: {:,} bytes so far"
SHORT_BAR = 5


class Says(Protocol):
    """Something that prints messages for a person."""

    def say(self, text: str) -> None:
        """Print one message that must not be missed."""


class Progress(Says, Protocol):
    """What shows a run, or a long step, on standard error. It never raises, even if the terminal is gone."""

    def show(self, snapshot: Snapshot) -> None:
        """Show the snapshot, if it is time to. Called often; cheap."""

    def close(self, snapshot: Snapshot | None) -> None:
        """Print the last line; afterwards standard error is free."""


def listener(kind: str, stream: TextIO | None = None) -> Progress:
    """kind: auto, bar, lines, json or none; auto is a bar on a terminal and lines elsewhere."""
    stream = sys.stderr if stream is None else stream
    if kind == "bar" or (kind == "auto" and stream.isatty()):
        return Bar(stream)
    if kind == "json":
        return JsonLines(stream)
    return Silent(stream) if kind == "none" else Lines(stream)


class Meter:
    """Progress of a step of a given size, shown once it takes longer than PATIENCE.

    total: the size. progress: shows it; None shows nothing. now: seconds on a monotonic clock.
    """

    def __init__(self, total: int, progress: Progress | None, now: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._progress = progress
        self._now = now
        self._began = now()
        self._done = 0.0
        self._shown: Snapshot | None = None

    def add(self, amount: float) -> None:
        """Add to the amount done."""
        self.show(self._done + amount)

    def show(self, done: float) -> None:
        """Set the amount done."""
        self._done = done
        whole = min(self._total, round(done))
        elapsed = self._now() - self._began
        if self._progress is None or elapsed < PATIENCE:
            return
        if self._shown is not None and elapsed - self._shown.elapsed < 0.1 and whole < self._total:
            return
        rate = done / elapsed
        self._shown = Snapshot(
            total=self._total, done=whole, failed=0, cancelled=0, in_doubt=0, in_flight=0, downloading=0, rate=rate,
            eta=(self._total - done) / rate if rate else None, cost_usd=None, elapsed=elapsed,
        )  # fmt: skip
        self._progress.show(self._shown)

    def close(self) -> None:
        if self._progress is not None and self._shown is not None:
            self._progress.close(self._shown)


def counting(progress: Says, words: str) -> Callable[[int], None]:
    """A function that shows the count of a long step every two seconds. words: a format such as ``{:,} prompts``."""
    shown_at = time.monotonic()

    def tell(count: int) -> None:
        nonlocal shown_at
        if time.monotonic() - shown_at >= COUNT_EVERY:
            shown_at = time.monotonic()
            progress.say(words.format(count))

    return tell


def counted(items: Iterable[T], tell: Callable[[int], None]) -> Iterator[T]:
    """Yield the items; now and then call ``tell`` with their number so far."""
    for number, item in enumerate(items):
        if number % 1000 == 0:
            tell(number)
        yield item


def as_observer(progress: Progress) -> Observer:
    """Wrap a listener as an observer of a run."""
    last: Snapshot | None = None

    def hear(event: Event) -> None:
        nonlocal last
        if isinstance(event, Ticked):
            last = event.snapshot
            progress.show(last)
        elif isinstance(event, Noted):
            progress.say(event.text)
        elif isinstance(event, RunEnded):
            progress.close(last)

    return hear


class Silent:
    """Prints only messages that must not be missed. stream: it is not closed here."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._gone = False

    def write(self, line: str) -> None:
        """Write one line. A closed pipe must not end the run: then output is dropped."""
        if self._gone:
            return
        try:
            print(line, file=self.stream, flush=True)
        except (OSError, ValueError):
            self._gone = True

    def show(self, snapshot: Snapshot) -> None:
        pass

    def say(self, text: str) -> None:
        self.write(one_line(text, 2000))

    def close(self, snapshot: Snapshot | None) -> None:
        pass


class Lines(Silent):
    """A line at the start, every ten seconds, when the service stops or resumes answering, and at the end.

    stream: as of ``Silent``. clock: gives the time of day at the beginning of a line.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], str] = lambda: time.strftime("%H:%M:%S")) -> None:
        super().__init__(stream)
        self._clock = clock
        self._shown_at = float("-inf")
        self._quiet = False
        self._last = ""

    def show(self, snapshot: Snapshot) -> None:
        quiet = bool(snapshot.note)
        gap = 120.0 if quiet and self._quiet else LINE_EVERY  # an outage is repeated less often
        if snapshot.elapsed - self._shown_at >= gap or quiet is not self._quiet:
            self._shown_at, self._quiet = snapshot.elapsed, quiet
            self._print(snapshot)

    def close(self, snapshot: Snapshot | None) -> None:
        if snapshot is not None and _with_note(snapshot) != self._last:  # the same line is not printed twice
            self._print(snapshot)

    def _print(self, snapshot: Snapshot) -> None:
        self._last = _with_note(snapshot)
        self.write(f"{self._clock()}  {self._last}")


class JsonLines(Silent):
    """One JSON object a line: ``{"event": "progress", ...}`` every second, ``note`` for messages, ``end`` at last.

    stream: as of ``Silent``.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._shown_at = float("-inf")

    def show(self, snapshot: Snapshot) -> None:
        if snapshot.elapsed - self._shown_at >= JSON_EVERY:
            self._shown_at = snapshot.elapsed
            self._print("progress", **_rounded(snapshot))

    def say(self, text: str) -> None:
        self._print("note", message=one_line(text, 2000))

    def close(self, snapshot: Snapshot | None) -> None:
        if snapshot is not None:
            self._print("end", **_rounded(snapshot))

    def _print(self, event: str, **facts: Any) -> None:
        self.write(json.dumps({"event": event, **facts}))  # in ASCII: safe on any terminal


class Bar(Silent):
    """A tqdm bar. The pace and the time left are ours: tqdm would count what earlier processes did.

    stream: as of ``Silent``.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._bar: Any = None

    def show(self, snapshot: Snapshot) -> None:
        try:
            self._draw(snapshot)
        except (OSError, ValueError):  # the terminal was closed
            self._gone, self._bar = True, None

    def _draw(self, snapshot: Snapshot) -> None:
        if self._gone:
            return
        if self._bar is None:
            from tqdm import tqdm  # noqa: PLC0415  60 ms that a run without a bar need not pay

            self._bar = tqdm(
                total=snapshot.total,
                file=self.stream,
                dynamic_ncols=True,
                bar_format="{unit}%|{bar}| {desc}",
                unit="  0",
                mininterval=0,
                miniters=1,
                ascii=None if (self.stream.encoding or "").lower().startswith("utf") else True,
            )
        self._bar.total = snapshot.total
        self._bar.unit = f"{100 * snapshot.done // max(1, snapshot.total):3d}"  # tqdm would round up to 100
        self._bar.n = min(snapshot.done, snapshot.total)  # 100 % is when all are done, and not before
        self._bar.set_description_str(_with_note(snapshot, self._columns() - len("100%||") - SHORT_BAR))

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self.stream.fileno()).columns or COLUMNS
        except (OSError, ValueError):
            return COLUMNS

    def say(self, text: str) -> None:
        with suppress(OSError, ValueError):
            if self._bar is not None:
                self._bar.clear()
            self.write("\n".join(folded(one_line(text, 2000), self._columns())))
            if self._bar is not None:
                self._bar.refresh()

    def close(self, snapshot: Snapshot | None) -> None:
        if snapshot is not None and self._bar is not None:
            self.show(snapshot)
        if self._bar is not None:
            with suppress(OSError, ValueError):
                self._bar.close()


def _with_note(snapshot: Snapshot, room: int = ROOM) -> str:
    note = f" ({one_line(snapshot.note)})" if snapshot.note else ""
    return in_words(snapshot, room - len(note)) + note


def _rounded(snapshot: Snapshot) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(snapshot).items()}
