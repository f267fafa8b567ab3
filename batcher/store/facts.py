"""The recorded facts of a run, as one typed value. On disk: a row of ``meta`` for each field."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import NamedTuple

import msgspec

from batcher.core.control import Obeyed


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """The process of a run in progress. pid: on the machine ``host``. since: Unix seconds."""

    pid: int
    host: str
    since: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """The last snapshot of a run in progress, for ``batcher status``.

    rate, eta, eta_model, in_flight, note, limited_by, limited_for, asked, pace, in_flight_cap: as in
    ``core.tally.Snapshot``. slots: jobs that may be at the service. workers: of ``--engine ray``, in words. budget:
    dollars. refused: calls refused for their rate. at: Unix seconds.
    """

    rate: float | None = None
    eta: float | None = None
    eta_model: float | None = None
    in_flight: int = 0
    note: str = ""
    limited_by: str = ""
    limited_for: float | None = None
    asked: float | None = None
    pace: float | None = None
    in_flight_cap: float | None = None
    slots: int = 0
    workers: tuple[str, ...] = ()
    budget: float | None = None
    refused: int = 0
    at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How the last run ended; fields as in ``report.json``.

    began_at, ended_at: UTC. stopped_by: one word, None if it came to its end; message: the same in words. exit_code: of
    the process. submits, seconds: of that start.
    """

    began_at: str | None = None
    ended_at: str | None = None
    stopped_by: str | None = None
    message: str = ""
    exit_code: int = 0
    submits: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """Identifies the last run, to detect copies.

    id: drawn for that run. number: one more for each run. path: where it was made. place: inode of that folder, and the
    machine. file: inode of the state file, 0 if unknown. settled: nothing was left to do at its end. at: Unix seconds.
    """

    id: str
    number: int
    path: str = ""
    at: float = 0.0
    place: tuple[int, str] | None = None
    file: int = 0
    settled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The part of a manifest that is in the table.

    digest: of its bytes, flags and schema. limit: only positions below it were written, None for all. jobs: number
    written. whole: jobs in all, None if ``limit`` ended the reading before they were counted. warnings: of the
    manifest, one line each. prompt_input: the model's name for the input of prompts, None if it has none.
    """

    digest: str
    limit: int | None
    jobs: int
    whole: int | None
    warnings: tuple[str, ...] = ()
    prompt_input: str | None = "prompt"

    def covers(self, digest: str, limit: int | None) -> bool:
        """Whether the table holds everything that a run with these arguments would read."""
        if not digest or digest != self.digest:
            return False
        return self.limit is None or self.jobs == self.whole or (limit is not None and limit <= self.limit)

    def within(self, limit: int | None) -> int:
        """Number of its jobs that a run with this limit makes."""
        return self.jobs if limit is None else min(self.jobs, limit)


class FileStamp(NamedTuple):
    """Size in bytes (``size``) and time in nanoseconds (``mtime_ns``) of a file, by which a change is noticed."""

    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """Each field is None, 0 or empty if unknown.

    service, base_url: the service of the run and its address; None also if the state file was rebuilt from sidecars.
    simulated: whether that is the simulator.
    manifest: as it was named; manifest_path: from the run directory to it; piped: its hash, if it came through a pipe.
    model: the model id. total: jobs of the manifest. command: the whole command line. budget_usd, price_usd: dollars;
    the price is of an image, known since price_at (UTC). shard: as ``--shard`` has it. embed: words of ``--embed``.
    batchers: versions that worked here.
    process: of a going run, or of one that was killed; live: its last snapshot.
    stopped_by: a word, as in the report. ended: how the last run ended. refused: calls of ended runs that were refused
        for their rate.
    succeeded_at: when a run last ended with everything done, UTC.
    tables: of ``records.jsonl``, ``failures.jsonl`` and verdicts, None if they are out of date.
    generation: of the last run. run_id: of the run directory; a copy keeps it.
    planned: the part of the manifest that is in the table.
    control: what ``tune`` requested; control_history: this and earlier ones, oldest first.
    workers_left: temporary files of workers may exist.
    cancels: how often ``cancel`` was used beside a going run, which then polls every job at the service.
    """

    service: str | None = None
    base_url: str | None = None
    simulated: bool | None = None
    manifest: str | None = None
    manifest_path: str | None = None
    piped: str | None = None
    model: str | None = None
    total: int | None = None
    command: str | None = None
    budget_usd: float | None = None
    price_usd: float | None = None
    price_at: str | None = None
    shard: str | None = None
    batchers: tuple[str, ...] = ()
    embed: tuple[str, ...] = ()
    process: Process | None = None
    live: Live | None = None
    stopped_by: str | None = None
    ended: Ended | None = None
    refused: int = 0
    succeeded_at: str | None = None
    tables: tuple[FileStamp, ...] | None = None
    generation: Generation | None = None
    run_id: str | None = None
    planned: Planned | None = None
    control: Obeyed | None = None
    control_history: tuple[Obeyed, ...] = ()
    workers_left: bool = False
    cancels: int = 0

    @property
    def prompt_input(self) -> str | None:
        """What the model calls the input of prompts; None if it has none."""
        return "prompt" if self.planned is None else self.planned.prompt_input


# msgspec analyses a type at its first use; a first use in two threads at once is a segmentation fault (0.22).
_ANALYSED = msgspec.json.Decoder(RunFacts)


def read_facts(connection: sqlite3.Connection) -> RunFacts:
    """Raises sqlite3.DatabaseError if a value was not written by batcher: the file is damaged."""
    rows = connection.execute("SELECT name, value FROM meta WHERE value != 'null'")
    try:
        return msgspec.convert({name: json.loads(value) for name, value in rows}, RunFacts)
    except (ValueError, msgspec.ValidationError) as error:
        raise sqlite3.DatabaseError(f"the facts of the run can't be read: {error}") from None


def change_facts(connection: sqlite3.Connection, change: Callable[[RunFacts], RunFacts]) -> None:
    """Write the facts that ``change`` returns changed. Call it in a transaction."""
    before = read_facts(connection)
    after = change(before)
    names = [one.name for one in fields(RunFacts) if getattr(before, one.name) != getattr(after, one.name)]
    rows = [(name, json.dumps(msgspec.to_builtins(getattr(after, name)))) for name in names]
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)


def forget_tables(connection: sqlite3.Connection) -> None:
    """Set ``tables`` to None without reading the others: every process does it with its first state change."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('tables', 'null')")
