"""The whole check: every job that is done, then what only shows when one looks at all of them together.

The state file is streamed; a window of jobs is read and decoded by a pool of threads at a time (hashing and decoding
let go of the interpreter, so threads do scale), and what is kept grows with what is wrong and not with the run.
"""

import json
import os
import sqlite3
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from batcher.core.job import State
from batcher.core.one_line import one_line
from batcher.core.where import VERDICTS
from batcher.images.check import allow
from batcher.images.storage import reader_of
from batcher.runner.progress import Meter, Progress
from batcher.runner.records import RECORDS
from batcher.store import auditing, is_going, read_facts, reading
from batcher.store.files.safe_reader import SafeReader, is_plain
from batcher.upkeep.findings import Finding, Fix, Kind, of_job
from batcher.upkeep.inspection import LIMITS, Depth, Looked, Rules, look_at
from batcher.upkeep.orphans import strays

THREADS = min(16, 2 * (os.cpu_count() or 1))
_BATCH = 8  # jobs a hop to a thread


@dataclass(slots=True)
class Survey:
    """findings in the order found. files, bytes: read. going: a run was at work meanwhile."""

    findings: list[Finding] = field(default_factory=list)
    jobs: int = 0
    images: int = 0
    files: int = 0
    bytes: int = 0
    seconds: float = 0.0
    going: bool = False


def look(
    run_dir: Path,
    connection: sqlite3.Connection,
    *,
    depth: Depth,
    threads: int = THREADS,
    progress: Progress | None = None,
    only: Iterable[int] | None = None,
    alone: bool = False,
) -> Survey:
    """Checks a run directory against a state file, which is read only. Works beside a going run.

    only: the jobs to read again, by row number; what concerns all of them is looked at all the same.
    alone: the run lock is held, so no run is going.
    """
    began = time.monotonic()
    survey = Survey(going=not alone and is_going(connection, run_dir))
    try:
        if damage := auditing.damage(connection):
            raise sqlite3.DatabaseError(damage)
        with closing(Meter(auditing.sizes(connection)[0] if progress else 0, progress)) as meter:
            _look(run_dir, connection, survey, meter, depth=depth, threads=threads, only=only)
    except (sqlite3.DatabaseError, ValueError) as error:
        survey.findings.append(_damaged(str(error)))
    survey.seconds = time.monotonic() - began
    return survey


def _look(
    run_dir: Path, connection: sqlite3.Connection, survey: Survey, meter: Meter, *, depth: Depth, threads: int,
    only: Iterable[int] | None,
) -> None:  # fmt: skip
    reader = reader_of(run_dir)
    rules = _rules(connection, depth)
    allow(LIMITS)
    for looked, jobs, images in _in_parallel(reader, rules, connection, threads, only):
        survey.jobs += jobs
        survey.images += images
        for one in looked:
            survey.findings += one.findings
            survey.files += one.files
            survey.bytes += one.bytes
        meter.show(survey.jobs)
    survey.findings += _duplicates(connection, rules)
    if not survey.going:
        survey.findings += _unfetched(connection)
    survey.findings += strays(reader, connection, going=survey.going)
    survey.findings = _misplaced(survey.findings, connection)
    if not survey.going:
        survey.findings += _records(run_dir, connection, rules)


def _rules(connection: sqlite3.Connection, depth: Depth) -> Rules:
    facts = read_facts(connection)
    return Rules(depth, facts.simulated, frozenset(facts.batchers), facts.price_usd)


def _in_parallel(
    reader: SafeReader, rules: Rules, connection: sqlite3.Connection, threads: int, only: Iterable[int] | None
) -> Iterator[tuple[list[Looked], int, int]]:
    """Batches of jobs through the pool, at most a few of them waiting: (findings, jobs, images) of each, in order."""

    def look_at_all(batch: list[auditing.Files]) -> tuple[list[Looked], int, int]:
        looked = [look_at(reader, rules, entry, artifacts) for entry, artifacts in batch]
        return looked, len(batch), sum(len(artifacts) for _, artifacts in batch)

    waiting: deque[Future[tuple[list[Looked], int, int]]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="verify")
    try:
        for batch in _batches(auditing.finished(connection, only)):
            waiting.append(pool.submit(look_at_all, batch))
            if len(waiting) >= 4 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _batches(jobs: Iterable[auditing.Files]) -> Iterator[list[auditing.Files]]:
    walk = iter(jobs)
    while batch := list(islice(walk, _BATCH)):
        yield batch


def _damaged(damage: str) -> Finding:
    message = f"{one_line(damage, 200)}; a repair makes a new one from the sidecars"
    return Finding(kind=Kind.STATE_DAMAGED, file="state.db", message=message, fix=Fix.FREE)


def _duplicates(connection: sqlite3.Connection, rules: Rules) -> Iterator[Finding]:
    for number, file, first in auditing.duplicates(connection):
        for entry, _ in auditing.finished(connection, [number]):
            message = f"the same bytes as {first}, which was requested with other inputs"
            yield of_job(Kind.DUPLICATE, entry, file, message, Fix.BY_HAND, price=rules.price)


def _unfetched(connection: sqlite3.Connection) -> Iterator[Finding]:
    """What a run or a repair that ended too early left at the service, though it was ready."""
    for entry in reading.entries(connection, [State.RUNNING, State.READY]):
        if entry.finished_at is not None:
            yield of_job(Kind.UNFETCHED, entry, f"images/{entry.path}", "paid for; its files are not here")


def _misplaced(findings: list[Finding], connection: sqlite3.Connection) -> list[Finding]:
    """Looks for the right bytes of each damaged file among the other ones, and says whose picture it holds."""
    here = {finding.actual: finding for finding in findings if finding.actual}
    return [_placed(finding, here, connection) if finding.expected else finding for finding in findings]


def _placed(finding: Finding, here: dict[str, Finding], connection: sqlite3.Connection) -> Finding:
    if finding.kind not in {Kind.MISSING, Kind.CHANGED, Kind.TRUNCATED, Kind.OUTSIDE} or not is_plain(finding.file):
        return finding
    source = here.get(finding.expected or "")
    owner = auditing.file_with(connection, finding.actual) if finding.actual else None
    message = f"holds the image of {owner}" if owner else finding.message
    if source is None:
        return replace(finding, message=message)
    swapped = source.expected is not None and finding.actual is not None
    where = f"its own is in {source.file}"
    return replace(
        finding, kind=Kind.SWAPPED if swapped else finding.kind, source=source.file, fix=Fix.FREE, price_usd=None,
        message=f"{message}; {where}",
    )  # fmt: skip


def _records(run_dir: Path, connection: sqlite3.Connection, rules: Rules) -> Iterator[Finding]:
    """Only after a run that ended: one that was killed had no time to write it, and the next one does."""
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


def _is_record(line: bytes, expected: dict[str, Any] | None, versions: frozenset[str]) -> bool:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return False
    if expected is None or not isinstance(record, dict) or not line.endswith(b"\n"):
        return False
    version = record.get("batcher")
    for name in VERDICTS:  # they may have been given since
        record.pop(name, None)
    return record == {**expected, "batcher": version} and (not versions or version in versions)


def _record(message: str) -> Finding:
    return Finding(kind=Kind.RECORDS_DIFFER, file=RECORDS, message=message, fix=Fix.FREE)
