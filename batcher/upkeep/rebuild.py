"""Makes a new state file from the files beside it.

The sidecars describe every image that was saved. ``records.jsonl`` describes them again, in the order of the manifest,
and stands in for a sidecar that is missing or damaged. ``failures.jsonl`` has the jobs that had failed or were in doubt
at the end of the last run: without it, a job in doubt would be submitted, and perhaps paid for, once more. No file has
the jobs that were at the service when the state file was lost.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from batcher.client.protocol import is_request_id
from batcher.core.batched import batched
from batcher.core.errors import Cause, UsageError
from batcher.core.job import Job, State
from batcher.core.naming import safe_part, with_key
from batcher.core.one_line import one_line
from batcher.core.sidecar import FailureLine
from batcher.images.storage import reader_of
from batcher.runner.lost_and_found import move_to_lost_and_found
from batcher.runner.records import FAILURES, RECORDS
from batcher.runner.sidecars import (
    Sidecar,
    Untrue,
    checked_failure,
    checked_sidecar,
    job_of,
    parse,
    read_sidecar,
    seconds,
    siblings,
    with_attempt_of,
)
from batcher.store import STATE, RunFacts, StateFile, auditing
from batcher.store.files import whole
from batcher.store.files.disk import disk
from batcher.store.files.safe_reader import SafeReader, extension, sidecar_of

_SCRATCH = ".rebuilt.db"
JOBS_PER_COMMIT = 200
_LONGEST = 4 << 20  # bytes of a line


@dataclass(slots=True)
class Rebuilt:
    """Number of jobs in the new state file. jobs: done. unfinished: failed or in doubt, from ``failures.jsonl``."""

    jobs: int
    unfinished: int


def put_in_place(run_dir: Path) -> Rebuilt:
    """Makes ``state.db``, whole or not at all. The run lock must be held. Raises UsageError, DiskError."""
    scratch = run_dir / _SCRATCH
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            scratch.with_name(_SCRATCH + suffix).unlink()
        if suffix:  # SQLite would apply the log of the old file to the new one
            _clear(run_dir, STATE + suffix)
    state = StateFile(scratch)
    try:
        rebuilt = rebuild(run_dir, state)
    finally:
        state.close()
    with disk(STATE):
        whole.put_in_place(scratch, run_dir / STATE)
    return rebuilt


def _clear(run_dir: Path, name: str) -> None:
    """Removes a file without bytes; moves any other to ``lost+found``."""
    if (run_dir / name).is_file() and (run_dir / name).stat().st_size == 0:
        (run_dir / name).unlink()
    move_to_lost_and_found(run_dir, name)


def rebuild(run_dir: Path, state: StateFile) -> Rebuilt:
    """Fills an empty state file. Raises UsageError if simulated and real images are mixed."""
    unfinished = 0
    simulated: bool | None = None
    model: str | None = None
    versions: set[str] = set()
    for jobs in batched(_jobs(run_dir, state), JOBS_PER_COMMIT):
        for sidecars in jobs:
            versions |= {one.version for one in sidecars}
            simulated = sidecars[0].simulated if simulated is None else simulated
            if simulated != sidecars[0].simulated:
                raise UsageError(f"{run_dir} holds simulated and real images: one state file can't be made for both")
            model = sidecars[0].entry.job.model
        state.must_commit([partial(take_in, state, sidecars) for sidecars in jobs])
    for lines in batched(_failures(run_dir, state), JOBS_PER_COMMIT):
        state.must_commit([partial(_restore_failure, state, job, failure) for job, failure in lines])
        unfinished += len(lines)
    facts = RunFacts(simulated=simulated, model=model, batchers=tuple(sorted(versions)))
    state.must_commit([lambda: state.change_facts(lambda _: facts)])
    return Rebuilt(auditing.sizes(state.connection)[0], unfinished)


def take_in(state: StateFile, sidecars: Sequence[Sidecar], *, listed: bool = True) -> None:
    """Records that a job is done with these files.

    sidecars: of one job. listed: whether a job that is not in the state file counts as a job of the manifest.
    """
    sidecar = sidecars[0]
    artifacts = [one.artifact for one in sidecars]
    entry = auditing.by_key(state.connection, sidecar.entry.job.key)
    if entry is None:
        (entry,) = state.enlist([sidecar.entry.job])
        if not listed:
            state.unlist([entry.id])
    if entry.state is State.DONE:
        recorded = auditing.indexes(state.connection, entry.id)
        state.redescribe(entry, [one for one in artifacts if one.output_index not in recorded])
    else:
        state.find(with_attempt_of(sidecar, entry), artifacts)


def _jobs(run_dir: Path, state: StateFile) -> Iterator[list[Sidecar]]:
    """The sidecars of each job, in the order of the manifest as far as ``records.jsonl`` has it."""
    reader = reader_of(run_dir)
    of_records = _sidecars_of_records(run_dir, reader)
    for _, recorded in groupby(of_records, key=lambda sidecar: sidecar.entry.job.key):
        yield list(recorded)
    for seen in reader.walk():
        for one in seen:
            if one.outside or extension(one.file) != "json":
                continue
            with suppress(Untrue):
                sidecars = siblings(reader, read_sidecar(reader, one.file))
                is_first = sidecar_of(sidecars[0].artifact.file) == one.file
                if is_first and _adds_images(state, sidecars):
                    yield sidecars


def _adds_images(state: StateFile, sidecars: Sequence[Sidecar]) -> bool:
    entry = auditing.by_key(state.connection, sidecars[0].entry.job.key)
    recorded = {} if entry is None else auditing.indexes(state.connection, entry.id)
    return any(one.artifact.output_index not in recorded for one in sidecars)


def _sidecars_of_records(run_dir: Path, reader: SafeReader) -> Iterator[Sidecar]:
    for line in _lines(run_dir / RECORDS):
        with suppress(Untrue):
            sidecar = checked_sidecar(parse(line), None)
            with suppress(Untrue):
                on_disk = read_sidecar(reader, sidecar_of(sidecar.artifact.file))
                sidecar = on_disk if on_disk.entry.job.key == sidecar.entry.job.key else sidecar
            yield sidecar


def _failures(run_dir: Path, state: StateFile) -> Iterator[tuple[Job, FailureLine]]:
    for line in _lines(run_dir / FAILURES):
        with suppress(Untrue):
            failure = checked_failure(parse(line))
            job = job_of(failure, with_key(safe_part(failure.prompt_id), failure.job))
            if auditing.by_key(state.connection, job.key) is None:
                yield job, failure


def _restore_failure(state: StateFile, job: Job, failure: FailureLine) -> None:
    """Adds a job that failed or is in doubt, by the moves that led there."""
    (entry,) = state.enlist([job])
    counted = failure.attempts
    attempts = counted if isinstance(counted, int) and 0 < counted < 1_000 else 1
    moment = _moment(failure.submitted_at)
    cause = _cause(failure.cause)
    entry = state.claim(replace(entry, attempts=attempts - 1), moment)
    if failure.state == "in_doubt":
        state.doubt(entry, cause)
    elif is_request_id(failure.request_id):
        accepted = state.accept(entry, str(failure.request_id), moment)
        if accepted.state is State.RUNNING:  # it may have failed here only: then it can still be collected
            state.fail_here(accepted, cause)
    else:
        state.reject(entry, cause, moment)


def _moment(text: Any) -> float:
    try:
        return seconds(text) or 0.0
    except Untrue:
        return 0.0


def _cause(values: Any) -> Cause:
    facts = values if isinstance(values, dict) else {}
    status = facts.get("http_status")
    return Cause(
        kind=one_line(str(facts.get("kind", "unknown")), 60),
        message=one_line(str(facts.get("message", "")), 500),
        http_status=status if isinstance(status, int) else None,
        code=one_line(str(facts["code"]), 60) if facts.get("code") is not None else None,
    )


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a table; none if it is missing or a link."""
    if path.is_symlink() or not path.is_file():
        return
    with path.open("rb") as file:
        while line := file.readline(_LONGEST):
            yield line
