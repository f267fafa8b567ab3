"""``records.jsonl`` and ``failures.jsonl``: the state file as other tools read it.

A million lines take half a minute to write, so they are only written when the state file may say something else by
now. The first move of a process notes, in its transaction, that they are outdated; once they are written, what they
look like from outside is remembered, so that one that is gone or was changed by somebody is noticed.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from batcher.core.command_line import command_line
from batcher.core.job import State
from batcher.core.json_text import as_json
from batcher.core.version import __version__
from batcher.runner.progress import Progress, counted, counting
from batcher.store import StateFile, picks, reading
from batcher.store.files.whole import write_whole

RECORDS, FAILURES = "records.jsonl", "failures.jsonl"


def write(state: StateFile, *, simulated: bool, progress: Progress) -> None:
    """Both, each whole or not at all. Raises DiskError."""
    connection, run_dir = state.connection, state.path.parent
    records = reading.records(connection, simulated=simulated, version=__version__)
    images, _, _ = reading.pictures(connection)
    tell = counting(progress, f"writing {RECORDS}: {{:,}} of {images:,}")
    write_whole(run_dir / RECORDS, _lines(counted(_with_verdicts(records, run_dir), tell)))
    write_whole(run_dir / FAILURES, _lines(failures(connection, run_dir)))
    state.must_commit([lambda: state.note_tables(_looks(run_dir))])


def are_fresh(state: StateFile) -> bool:
    looks = _looks(state.path.parent)
    return looks is not None and state.facts.tables == looks


def _looks(run_dir: Path) -> list[list[int]] | None:
    try:
        facts = [(run_dir / name).stat() for name in (RECORDS, FAILURES)]
    except OSError:
        return None
    with suppress(OSError):
        facts.append((run_dir / picks.PICKS).stat())  # verdicts are part of the records
    return [[fact.st_size, fact.st_mtime_ns] for fact in facts]


def _with_verdicts(records: Iterable[dict[str, Any]], run_dir: Path) -> Iterator[dict[str, Any]]:
    """``pick``, ``stars`` and ``tags`` where there are any."""
    there = picks.read(run_dir)
    for record in records:
        verdict = there.of(record["job"], record["output_index"], record["sha256"]) if there.verdicts else None
        yield record if verdict is None else {**record, **verdict.given}


def failures(connection: Connection, run_dir: Path) -> Iterator[dict[str, Any]]:
    """The lines of ``failures.jsonl``: each with the command that reopens the jobs of its cause, and only those."""
    for row in reading.unfinished(connection):
        state = [] if row["state"] == State.FAILED else ["--state", row["state"]]
        cause = ["--cause", row["cause"]["kind"]] if "kind" in row["cause"] else []
        yield {**row, "retry": command_line("retry", run_dir, *state, *cause)}


def _lines(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    return (as_json(row) + "\n" for row in rows)
