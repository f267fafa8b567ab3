"""Writes the events of a run to ``--log FILE`` and to ``logging``.

EVENTS is the contract: names, levels, fields. A test compares it with the manual and with the output of real runs.
Events that cost money have the amount in dollars. No line holds a secret or a prompt, and links lose their query.
"""

import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from batcher.core.errors import BatcherError, DiskError
from batcher.core.job import Entry, State, utc
from batcher.core.one_line import one_line
from batcher.core.version import __version__
from batcher.runner.events import (
    CameBack,
    Event,
    JobMoved,
    Noted,
    RunBegan,
    RunEnded,
    Steered,
    Ticked,
    WorkerMoved,
)
from batcher.store import has_state
from batcher.store.files.disk import open_own

DEBUG, INFO, WARNING, ERROR = logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR
LOGGER = logging.getLogger("batcher")
LOGGER.addHandler(logging.NullHandler())  # a library prints nothing unless asked
_QUERY = re.compile(r"(\w+://[^\s?#\"']+)[?#][^\s\"')\]]*")
_USER = re.compile(r"(\w+://)[^/\s@]+@")
_SECRET = re.compile(r"\b(bearer|token|api[-_ ]?key)\b([\"':= ]+)[\w.~+/-]{8,}=*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Kind:
    """level: of ``logging``. fields: names that such an event may have, besides ts, level, event and run. text: what it
    means, for the manual.
    """

    level: int
    fields: str
    text: str


EVENTS: Mapping[str, Kind] = {
    "run_start": Kind(INFO, "manifest model total simulated price_usd budget_usd batcher", "a run begins to work"),
    "submit": Kind(INFO, "job prompt_id attempt request_id reserved_usd", "the service accepted a job"),
    "refused": Kind(
        INFO, "job prompt_id attempt cause", "the service refused a submit; it waits for its next turn, free"
    ),
    "unsent": Kind(WARNING, "job prompt_id attempt cause", "a submit never reached the service; it waits, free"),
    "in_doubt": Kind(
        ERROR, "job prompt_id attempt cause reserved_usd", "a submit was not answered: it may have been paid for"
    ),
    "result": Kind(INFO, "job request_id seconds cost_usd", "the service finished a job; its files are fetched next"),
    "again": Kind(WARNING, "job request_id attempt cause cost_usd", "the service failed a job; it is submitted again"),
    "link": Kind(DEBUG, "job request_id", "a link gave no file; batcher asks for a fresh one, free"),
    "saved": Kind(INFO, "job prompt_id request_id files bytes cost_usd", "a job is done: its files are on the disk"),
    "failed": Kind(ERROR, "job prompt_id request_id attempt cause http_status code cost_usd", "a job failed for good"),
    "cancelled": Kind(INFO, "job prompt_id request_id", "a job was cancelled"),
    "limit": Kind(INFO, "by", "something else limits the speed of the run now"),
    "pause": Kind(INFO, "reason", "nothing new is submitted until the pause ends"),
    "resume": Kind(INFO, "reason", "submits go on"),
    "tune": Kind(INFO, "rate in_flight downloads budget_usd deadline drain reason", "settings were changed"),
    "stall": Kind(WARNING, "seconds", "no job moved for a while"),
    "worker": Kind(INFO, "worker at_work orders", "a worker of `--engine ray` began to work, or was lost"),
    "columns": Kind(INFO, "message", "what the columns of a prompt file became"),
    "note": Kind(WARNING, "message", "a warning; it is on standard error too"),
    "start_failed": Kind(ERROR, "exit_code message", "the run ended before it began"),
    "run_end": Kind(
        INFO,
        "exit_code stopped_by message total done failed in_doubt cancelled pending submits seconds cost_usd spent_usd"
        " reserved_usd unclear_usd",
        "the run is over",
    ),
}
_MOVES = {  # by state now and before
    (State.RUNNING, State.PENDING): "submit",
    (State.READY, State.RUNNING): "result",
    (State.PENDING, State.RUNNING): "again",
    (State.RUNNING, State.READY): "link",
}
_ENDS = {
    State.DONE: "saved",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
    State.IN_DOUBT: "in_doubt",
}

Write = Callable[[str, float, Mapping[str, Any]], None]


class EventLog:
    """An observer that writes each event under its name.

    write: gets name, Unix seconds and fields of each event. wanted: whether job events of a level are written at all.
    """

    def __init__(self, write: Write, wanted: Callable[[int], bool] = lambda _level: True) -> None:
        self._write = write
        self._wanted = wanted
        self._price: float | None = None
        self._limit = ""

    def __call__(self, event: Event) -> None:
        for name, facts in self._named(event):
            self.emit(name, event.at, facts)

    def emit(self, name: str, at: float, facts: Mapping[str, Any]) -> None:
        """Write one event. at: Unix seconds. facts: JSON data; None values and fields of other events are left out."""
        fields = EVENTS[name].fields.split()
        self._write(name, at, {key: _plain(facts[key]) for key in fields if facts.get(key) is not None})

    def _named(self, event: Event) -> Iterator[tuple[str, Mapping[str, Any]]]:
        if isinstance(event, JobMoved):
            name = _ENDS.get(event.entry.state) or _MOVES.get((event.entry.state, event.before))
            if name is not None and self._wanted(EVENTS[name].level):
                yield name, self._of_job(event, event.entry)
        elif isinstance(event, Ticked):
            by = event.snapshot.limited_by
            if by != self._limit:
                self._limit = by
                yield "limit", {"by": by or "nothing"}
        elif isinstance(event, RunBegan):
            self._price = event.price_usd
            names = ("manifest", "model", "total", "simulated", "price_usd", "budget_usd")
            yield "run_start", {**{name: getattr(event, name) for name in names}, "batcher": __version__}
        else:
            yield from _stateless(event)

    def _of_job(self, event: JobMoved, entry: Entry) -> dict[str, Any]:
        cause = entry.cause
        began, ended = entry.submitted_at, entry.finished_at
        return {
            **_job(entry),
            "request_id": entry.request_id,
            "cost_usd": entry.cost_usd,
            "reserved_usd": None if self._price is None else self._price * entry.job.images,
            "seconds": None if began is None or ended is None else max(0.0, ended - began),
            "files": len(event.artifacts),
            "bytes": sum(artifact.bytes for artifact in event.artifacts),
            "cause": None if cause is None else str(cause),
            "http_status": None if cause is None else cause.http_status,
            "code": None if cause is None else cause.code,
        }


def _stateless(event: Event) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and fields of an event that needs nothing of earlier ones."""
    if isinstance(event, WorkerMoved):
        yield "worker", {"worker": event.worker, "at_work": event.at_work, "orders": event.orders}
    elif isinstance(event, CameBack):
        yield "refused" if event.refused else "unsent", {**_job(event.entry), "cause": event.why}
    elif isinstance(event, Steered):
        if event.paused is not None:
            yield "pause" if event.paused else "resume", {"reason": event.reason or None}
        if event.changes:
            yield "tune", {**event.changes, "reason": event.reason or None}
    elif isinstance(event, Noted):
        yield event.name, {"message": event.text}
    elif isinstance(event, RunEnded):
        yield "run_end", event.report


def _job(entry: Entry) -> dict[str, Any]:
    return {"job": entry.job.key, "prompt_id": one_line(entry.job.prompt_id, 80), "attempt": entry.attempts}


def to_logging(run: str) -> Write:
    """Write events as records of the logger ``batcher``, which have name (``event``) and fields (``facts``).

    run: the run directory; each record has it too.
    """

    def write(name: str, at: float, facts: Mapping[str, Any]) -> None:  # noqa: ARG001  logging has its own clock
        level = EVENTS[name].level
        if LOGGER.isEnabledFor(level):
            LOGGER.log(level, "%s", _in_words(name, facts), extra={"event": name, "facts": facts, "run": run})

    return write


class LogFile:
    """``--log FILE``: appends one JSON line for each event. A full disk is reported once, and the run goes on.

    path: of the file. run: the run directory, empty if it is not known yet. say: prints a message. Raises DiskError if
    the file can't be opened.
    """

    def __init__(self, path: Path, run: str, say: Callable[[str], None]) -> None:
        self.run = run
        self._say = say
        try:
            opened = open_own if has_state(path.parent) else os.open  # a run directory may have a stranger's link
            handle = opened(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            self._file: TextIO | None = os.fdopen(handle, "a", encoding="utf-8", buffering=1)
        except OSError as error:
            hint = "Nothing was submitted. Give --log a file that can be written."
            raise DiskError(f"--log {path} can't be written: {error.strerror}", hint=hint) from error

    def write(self, name: str, at: float, facts: Mapping[str, Any]) -> None:
        if self._file is None:
            return
        level = logging.getLevelName(EVENTS[name].level).lower()
        line = {"ts": utc(at), "level": level, "event": name, "run": self.run, **facts}
        try:
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        except (OSError, ValueError) as error:
            self._file = None
            self._say(f"warning: the log can't be written any more: {error}")

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def start_failed(error: BatcherError) -> dict[str, Any]:
    """The fields of the event ``start_failed``."""
    return {"exit_code": error.exit_code, "message": error.message}


def clean(text: str) -> str:
    """The text as one line, without possible secrets: queries of links, users in addresses, tokens."""
    text = _USER.sub(r"\1", _QUERY.sub(r"\1", one_line(text, 1000)))
    return _SECRET.sub(r"\1\2...", text)


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    return clean(value) if isinstance(value, str) else value


def _in_words(name: str, facts: Mapping[str, Any]) -> str:
    return " ".join([name, *(f"{key}={str(value)[:8] if key == 'job' else value}" for key, value in facts.items())])
