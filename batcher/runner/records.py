"""``records.jsonl`` and ``failures.jsonl``: the state file for other tools.

A million lines take half a minute to write, so the files are written only if they may be outdated. The first state
change of a process marks them as outdated in its transaction. After writing, their size and time are recorded, so that
a deleted or edited file is noticed.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import msgspec

from batcher.core.command_line import command_line
from batcher.core.errors import BusyError
from batcher.core.job import State
from batcher.core.json_text import json_line
from batcher.core.sidecar import FailureLine, SidecarFields, failure_line
from batcher.core.version import __version__
from batcher.runner.progress import Says, counted, counting
from batcher.runner.run_dir import hold
from batcher.store import STATE, StateFile, connect_to_read, exporting, is_going, picks, read_facts, reading, viewing
from batcher.store.facts import FileStamp
from batcher.store.files.whole import put_in_place, write_whole

RECORDS, FAILURES = "records.jsonl", "failures.jsonl"
_ALL = RECORDS, FAILURES, picks.PICKS  # verdicts are part of the records


def write(state: StateFile, *, simulated: bool, progress: Says) -> None:
    """Write both files, each whole or not at all. Raises DiskError."""
    run_dir, verdicts = state.path.parent, _stamps(state.path.parent, picks.PICKS)
    images, _, _ = reading.images(state.connection)
    tell = counting(progress, f"writing {RECORDS}: {{:,}} of {images:,}")
    for name, lines in _tables(state.connection, run_dir, simulated=simulated, tell=tell):
        write_whole(run_dir / name, lines)
    state.must_commit([lambda: state.note_tables(_stamps(run_dir, RECORDS, FAILURES) + verdicts)])


def refresh(run_dir: Path) -> bool:
    """Rewrite the files if state file or verdicts are newer. Returns whether it did; a run in progress does it at its
    end.

    They are written under temporary names and renamed while the run directory is locked for a moment, so that a run
    that starts meanwhile is not refused. Raises UsageError, DiskError.
    """
    new = {name: run_dir / f".new-{name}" for name in (RECORDS, FAILURES)}
    with closing(connect_to_read(run_dir)) as connection:
        version, facts = viewing.data_version(connection), read_facts(connection)
        verdicts = _stamps(run_dir, picks.PICKS)
        if facts.tables == _stamps(run_dir, *_ALL) or not (run_dir / RECORDS).exists() or is_going(connection, run_dir):
            return False
        with exporting.snapshot(connection):
            for name, lines in _tables(connection, run_dir, simulated=bool(facts.simulated), tell=lambda _: None):
                write_whole(new[name], lines)
        try:
            with hold(run_dir):
                if viewing.data_version(connection) != version:  # a run wrote them meanwhile
                    return False
                for name, path in new.items():
                    put_in_place(path, run_dir / name)
                with closing(StateFile(run_dir / STATE)) as state:
                    fresh = _stamps(run_dir, RECORDS, FAILURES) + verdicts
                    state.must_commit([lambda: state.note_tables(fresh)])
        except BusyError:
            return False
    return True


def are_fresh(state: StateFile) -> bool:
    """Whether tables and verdicts are as they were when the tables were last written, by size and time."""
    return state.facts.tables == _stamps(state.path.parent, *_ALL)


def _stamps(run_dir: Path, *names: str) -> tuple[FileStamp, ...]:
    """Of each existing file."""
    stamps = []
    for name in names:
        with suppress(OSError):
            facts = (run_dir / name).stat()
            stamps.append(FileStamp(facts.st_size, facts.st_mtime_ns))
    return tuple(stamps)


def _tables(
    connection: Connection, run_dir: Path, *, simulated: bool, tell: Callable[[int], None]
) -> Iterator[tuple[str, Iterator[bytes]]]:
    records = reading.records(connection, simulated=simulated, version=__version__)
    yield RECORDS, _lines(counted(_with_verdicts(records, run_dir), tell))
    yield FAILURES, _lines(failures(connection, run_dir))


def _with_verdicts(records: Iterable[SidecarFields], run_dir: Path) -> Iterator[Any]:
    """The lines with ``pick``, ``stars`` and ``tags``, if there are any."""
    there = picks.read(run_dir)
    for record in records:
        verdict = there.of(record.job, record.output_index, record.sha256) if there.verdicts else None
        yield record if verdict is None else {**msgspec.to_builtins(record), **verdict.given}


def failures(connection: Connection, run_dir: Path) -> Iterator[FailureLine]:
    """The lines of ``failures.jsonl``: each with the command that reopens the jobs of its cause, and only those."""
    for entry in reading.unfinished(connection):
        state = [] if entry.state == State.FAILED else ["--state", entry.state]
        cause = [] if entry.cause is None else ["--cause", entry.cause.kind]
        yield failure_line(entry, command_line("retry", run_dir, *state, *cause))


def _lines(rows: Iterable[Any]) -> Iterator[bytes]:
    return map(json_line, rows)
