"""The whole check: every job that is done, then what shows only when all of them are compared. Changes nothing.

The state file is streamed, and a few batches of jobs at a time are in a pool of threads (hashing and decoding release
the interpreter's lock, so threads scale). Memory grows with the number of findings, not with the size of the run.
"""

import json
import os
import sqlite3
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from msgspec import to_builtins

from batcher.core.batched import batched
from batcher.core.errors import UsageError
from batcher.core.job import State
from batcher.core.one_line import one_line
from batcher.core.sidecar import SidecarFields
from batcher.core.units import show_count
from batcher.core.where import VERDICTS
from batcher.images.check import allow
from batcher.images.storage import RECORD, reader_of
from batcher.runner.progress import Meter, Progress
from batcher.runner.records import RECORDS
from batcher.store import STATE, StateFile, auditing, connect_to_read, has_state, is_going, read_facts, reading
from batcher.store.files.safe_reader import IMAGES, SafeReader, is_plain
from batcher.upkeep.findings import Finding, Fix, Kind, of_job
from batcher.upkeep.inspection import LIMITS, Depth, Inspection, Rules
from batcher.upkeep.orphans import orphans
from batcher.upkeep.rebuild import rebuild

THREADS = min(16, 2 * (os.cpu_count() or 1))
_BATCH = 8  # jobs that a thread takes at once


@dataclass(slots=True)
class Survey:
    """What a check found.

    findings: empty if nothing is wrong. jobs, images: number of those that are done. files,
    bytes: how many were read, and their size. seconds: the time that the check took. going: a run was writing to the
    directory meanwhile.
    """

    findings: list[Finding] = field(default_factory=list)
    jobs: int = 0
    images: int = 0
    files: int = 0
    bytes: int = 0
    seconds: float = 0.0
    going: bool = False


def require(run_dir: Path) -> None:
    """Raises UsageError unless the path is a run directory, or one that lost its state file."""
    if not has_state(run_dir) and not (run_dir / IMAGES).is_dir() and not (run_dir / RECORD).is_file():
        raise UsageError(
            f"{run_dir} is not a run directory: it has neither {STATE} nor {IMAGES}/", hint="`batcher run` makes one."
        )


def check(run_dir: Path, *, depth: Depth, threads: int = THREADS, progress: Progress | None = None) -> Survey:
    """What is wrong with a run directory. Without a state file, it is compared with the one that a repair would make.

    depth: how far each image is checked. threads: files read at once. progress: shows the number of jobs.
    Raises UsageError, DiskError.
    """
    require(run_dir)
    if has_state(run_dir):
        with closing(connect_to_read(run_dir)) as connection:
            return compare(run_dir, connection, depth=depth, threads=threads, progress=progress)
    with (
        tempfile.TemporaryDirectory(prefix="batcher-") as folder,
        closing(StateFile(Path(folder) / STATE, is_scratch=True)) as state,
    ):
        rebuilt = rebuild(run_dir, state)
        survey = compare(run_dir, state.connection, depth=depth, threads=threads, progress=progress)
    message = f"it can be rebuilt for {show_count(rebuilt.jobs, 'job')} from the sidecars"
    survey.findings.insert(0, Finding(kind=Kind.STATE_MISSING, file=STATE, message=message, fix=Fix.FREE))
    return survey


def compare(
    run_dir: Path,
    connection: sqlite3.Connection,
    *,
    depth: Depth,
    threads: int = THREADS,
    progress: Progress | None = None,
    only: Iterable[int] | None = None,
    alone: bool = False,
) -> Survey:
    """Compares a run directory with a state file, which is read only. Works beside a going run.

    depth: how far each image is checked. threads: files read at once. progress: shows the number of jobs.
    only: row numbers of the jobs to read, None for all; what concerns all jobs is checked in any case.
    alone: the run lock is held, so no run is going.
    """
    began = time.monotonic()
    survey = Survey(going=not alone and is_going(connection, run_dir))
    try:
        if damage := auditing.damage(connection):
            raise sqlite3.DatabaseError(damage)
        with closing(Meter(auditing.sizes(connection)[0] if progress else 0, progress)) as meter:
            _compare(run_dir, connection, survey, meter, depth=depth, threads=threads, only=only)
    except (sqlite3.DatabaseError, ValueError) as error:
        message = f"{one_line(str(error), 200)}; a repair makes a new one from the sidecars"
        survey.findings.append(Finding(kind=Kind.STATE_DAMAGED, file=STATE, message=message, fix=Fix.FREE))
    survey.seconds = time.monotonic() - began
    return survey


def _compare(
    run_dir: Path, connection: sqlite3.Connection, survey: Survey, meter: Meter, *, depth: Depth, threads: int,
    only: Iterable[int] | None,
) -> None:  # fmt: skip
    reader, facts = reader_of(run_dir), read_facts(connection)
    rules = Rules(depth, facts.simulated, frozenset(facts.batchers), facts.price_usd)
    allow(LIMITS)
    for inspections in _in_parallel(reader, rules, connection, threads, only):
        survey.jobs += len(inspections)
        for one in inspections:
            survey.images += one.images
            survey.findings += one.findings
            survey.files += one.files
            survey.bytes += one.bytes
        meter.show(survey.jobs)
    survey.findings += _duplicates(connection, rules)
    if not survey.going:
        survey.findings += _unfetched(connection)
    survey.findings += orphans(reader, connection, going=survey.going)
    survey.findings = _with_sources(survey.findings, connection)
    if not survey.going:
        survey.findings += _records(run_dir, connection, rules)


def _in_parallel(
    reader: SafeReader, rules: Rules, connection: sqlite3.Connection, threads: int, only: Iterable[int] | None
) -> Iterator[list[Inspection]]:
    """Batches of jobs through a pool of threads, in order, with a bounded number of them waiting."""

    def inspect(batch: list[auditing.Files]) -> list[Inspection]:
        return [Inspection(reader, rules, entry, artifacts) for entry, artifacts in batch]

    waiting: deque[Future[list[Inspection]]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="verify")
    try:
        for batch in batched(auditing.finished(connection, only), _BATCH):
            waiting.append(pool.submit(inspect, batch))
            if len(waiting) >= 4 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _duplicates(connection: sqlite3.Connection, rules: Rules) -> Iterator[Finding]:
    for number, file, first in auditing.duplicates(connection):
        for entry, _ in auditing.finished(connection, [number]):
            message = f"the same bytes as {first}, which was requested with other inputs"
            yield of_job(Kind.DUPLICATE, entry, file, message, Fix.BY_HAND, price=rules.price)


def _unfetched(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Jobs that were finished at the service when the run or the repair ended, before their files were fetched."""
    for entry in reading.entries(connection, [State.RUNNING, State.READY]):
        if entry.finished_at is not None:
            yield of_job(Kind.UNFETCHED, entry, f"images/{entry.path}", "paid for; its files are not here")


def _with_sources(findings: list[Finding], connection: sqlite3.Connection) -> list[Finding]:
    """The findings, with the place of the right bytes where another file has them, and whose image a file holds."""
    by_content = {finding.actual: finding for finding in findings if finding.actual}
    return [_with_source(finding, by_content, connection) for finding in findings]


def _with_source(finding: Finding, by_content: dict[str, Finding], connection: sqlite3.Connection) -> Finding:
    kinds = {Kind.MISSING, Kind.CHANGED, Kind.TRUNCATED, Kind.OUTSIDE}
    if not finding.expected or finding.kind not in kinds or not is_plain(finding.file):
        return finding
    source = by_content.get(finding.expected)
    owner = auditing.file_with(connection, finding.actual) if finding.actual else None
    message = f"holds the image of {owner}" if owner else finding.message
    if source is None:
        return replace(finding, message=message)
    swapped = source.expected is not None and finding.actual is not None
    return replace(
        finding, kind=Kind.SWAPPED if swapped else finding.kind, source=source.file, fix=Fix.FREE, price_usd=None,
        message=f"{message}; its own is in {source.file}",
    )  # fmt: skip


def _records(run_dir: Path, connection: sqlite3.Connection, rules: Rules) -> Iterator[Finding]:
    """Differences of ``records.jsonl``; none after a run that was killed, as the next run writes the file."""
    path = run_dir / RECORDS
    if read_facts(connection).process or rules.simulated is None:
        return
    if path.is_symlink() or not path.is_file():
        yield _record("no such file")
        return
    expected = reading.records(connection, simulated=rules.simulated, version="")
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not _is_record(line, next(expected, None), rules.versions):
                yield _record(f"line {number:,} is not as recorded")
                return
    if next(expected, None) is not None:
        yield _record("it is cut short")


def _is_record(line: bytes, expected: SidecarFields | None, versions: frozenset[str]) -> bool:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return False
    if expected is None or not isinstance(record, dict) or not line.endswith(b"\n"):
        return False
    version = record.get("batcher")
    for name in VERDICTS:  # a person may have given them since
        record.pop(name, None)
    return record == {**to_builtins(expected), "batcher": version} and (not versions or version in versions)


def _record(message: str) -> Finding:
    return Finding(kind=Kind.RECORDS_DIFFER, file=RECORDS, message=message, fix=Fix.FREE)
