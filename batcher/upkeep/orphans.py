"""Files in the folder of images that are not in the state file, and what they are.

Left out are files of jobs in flight, left by a run that was killed: the next run goes on from there. An image whose
sidecar proves to be of a job that the state file takes for not done (an older copy of it was put back, say) is to be
taken into the state file, since it was paid for. Everything else is an orphan.
"""

import re
import sqlite3
from collections.abc import Iterator

from batcher.core.job import Entry, State
from batcher.runner.sidecars import Sidecar, Untrue, read_sidecar, siblings
from batcher.store import auditing
from batcher.store.files.safe_reader import IMAGES, SafeReader, extension, stem
from batcher.upkeep.findings import Finding, Fix, Kind

_IN_FLIGHT = frozenset({State.SUBMITTING, State.RUNNING, State.READY})
_NUMBER = re.compile(r"_[0-9]{1,4}\Z")  # of one of several images of a job


def orphans(reader: SafeReader, connection: sqlite3.Connection, *, going: bool) -> Iterator[Finding]:
    """Findings about unknown files, each of which is read once. going: a run is writing there at this moment."""
    recorded = auditing.Recorded(connection)
    try:
        for seen in reader.walk():
            unknown = []
            for one in seen:
                if one.outside:
                    message = "a link that leads out of the folder of images; not followed"
                    yield Finding(kind=Kind.OUTSIDE, file=one.file, message=message, fix=Fix.FREE)
                elif one.file not in recorded:
                    unknown.append(one.file)
            yield from _unknown(reader, connection, unknown, going=going)
    finally:
        recorded.close()


def _unknown(reader: SafeReader, connection: sqlite3.Connection, files: list[str], *, going: bool) -> Iterator[Finding]:
    explained: set[str] = set()  # images of a job in flight, or of an earlier finding
    for file in files:
        if extension(file) == "part" and not going:
            yield _orphan(reader, file, Kind.LEFTOVER, "a file that was being written when its run was killed")
        elif extension(file) == "json":
            yield from _sidecar(reader, connection, file, explained)
    for file in files:
        if extension(file) not in {"part", "json"} and file not in explained and not _in_flight(connection, file):
            yield _orphan(reader, file, Kind.ORPHAN, "no job has this image")


def _sidecar(reader: SafeReader, connection: sqlite3.Connection, file: str, explained: set[str]) -> Iterator[Finding]:
    try:
        sidecar = read_sidecar(reader, file)
    except Untrue as problem:
        if not _in_flight(connection, file):
            yield _orphan(reader, file, Kind.ORPHAN, f"no job has this sidecar ({problem})")
        return
    entry = auditing.by_key(connection, sidecar.entry.job.key)
    if entry is not None and entry.state in _IN_FLIGHT:
        explained.add(sidecar.artifact.file)
        return
    recorded = auditing.indexes(connection, entry.id) if entry is not None and entry.state is State.DONE else {}
    if recorded.get(sidecar.artifact.output_index) == sidecar.artifact.file:
        explained.add(sidecar.artifact.file)  # saved by a run during this check
        return
    sidecars = [one for one in siblings(reader, sidecar) if one.artifact.output_index not in recorded]
    if sidecar.artifact.output_index in recorded or not _worth_taking_in(reader, entry, sidecars, len(recorded)):
        yield _orphan(reader, file, Kind.ORPHAN, "its job has another image, or this one is damaged")
        return
    explained.update(one.artifact.file for one in sidecars)
    if sidecars[0].artifact.file == sidecar.artifact.file:
        message = "it is not in the state file" if entry is None else f"the state file says {entry.state}"
        yield Finding(
            kind=Kind.UNRECORDED, file=sidecar.artifact.file, job=sidecar.entry.job.key, message=message, fix=Fix.FREE,
            entry=entry, sidecars=tuple(sidecars),
        )  # fmt: skip


def _worth_taking_in(reader: SafeReader, entry: Entry | None, sidecars: list[Sidecar], recorded: int) -> bool:
    """Always for a job that is not in the state file: it was paid for. Otherwise if all of its images are whole."""
    if entry is None:
        return True
    return len(sidecars) + recorded == sidecars[0].artifact.output_count and all(
        reader.sha256(one.artifact.file) == one.artifact.sha256 for one in sidecars
    )


def _in_flight(connection: sqlite3.Connection, file: str) -> bool:
    """Whether it has the name of a file of a job in flight: the next run uses it or writes over it."""
    path = stem(file).removeprefix(f"{IMAGES}/")
    entries = [auditing.by_path(connection, name) for name in {path, _NUMBER.sub("", path)}]
    return any(entry is not None and entry.state in _IN_FLIGHT for entry in entries)


def _orphan(reader: SafeReader, file: str, kind: Kind, message: str) -> Finding:
    actual = None if extension(file) == "json" else reader.sha256(file)
    return Finding(kind=kind, file=file, message=message, fix=Fix.FREE, actual=actual)
