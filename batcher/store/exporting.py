"""What ``batcher export`` asks of a state file: pictures with their jobs, plain and quick, and the order of prompts."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from batcher.store.compact import FILE

_ALL = f"""
SELECT j.id, lower(hex(j.key)), m.word, j.prompt_id, j.inputs, j.meta, s.word, j.line, {FILE}, i.bytes,
       lower(hex(i.sha256)), w.word, i.width, i.height, i.output_index, i.output_count
FROM {{}} CROSS JOIN words m ON m.id = j.model CROSS JOIN words s ON s.id = j.source CROSS JOIN words w ON w.id = i.mime
WHERE +j.state = 'done' AND +j.listed >= ?
"""
# The tables in this order and no index: all of it is read, as it lies on the disk.
_PICTURES = f"{_ALL.format('job_data j CROSS JOIN image_data i ON i.job_id = j.id')} ORDER BY j.id, i.output_index"
# Only what they are sorted by is sorted, so memory stays small. LIMIT has it sorted first, CROSS JOIN keeps that order.
_BY_ARRIVAL = _ALL.format(
    "(SELECT job_id, output_index FROM image_data ORDER BY downloaded_at, job_id, output_index LIMIT -1) o"
    " CROSS JOIN job_data j ON j.id = o.job_id"
    " CROSS JOIN image_data i ON i.job_id = o.job_id AND i.output_index = o.output_index"
)


class Picture(NamedTuple):
    """A file on disk and its job. job: row number, for life. inputs, meta: JSON objects, meta None for an empty one.

    The others as in ``job.Job`` and ``job.Artifact``.
    """

    job: int
    key: str
    model: str
    prompt_id: str
    inputs: str
    meta: str | None
    source: str
    line: int
    file: str
    bytes: int
    sha256: str
    mime: str
    width: int | None
    height: int | None
    output_index: int
    output_count: int


class Asked(NamedTuple):
    """A job, whatever became of it. job: row number. inputs, meta: JSON as above."""

    job: int
    source: str
    line: int
    inputs: str
    meta: str | None
    prompt_id: str
    model: str


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Inside, every question is answered as of one moment, though a run goes on."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def pictures(connection: sqlite3.Connection, *, removed: bool, by_arrival: bool = False) -> Iterator[Picture]:
    """removed: also those of jobs that left the manifest. by_arrival: as downloaded, so that new ones come last."""
    statement = _BY_ARRIVAL if by_arrival else _PICTURES
    return map(Picture._make, connection.execute(statement, (int(not removed),)))


def removed(connection: sqlite3.Connection) -> int:
    """Finished jobs that left the manifest."""
    (count,) = connection.execute("SELECT count(*) FROM job_data WHERE state = 'done' AND listed = 0").fetchone()
    return int(count)


def asked(connection: sqlite3.Connection, *, removed: bool) -> Iterator[Asked]:
    """Every job, done or not, in the order first seen."""
    rows = connection.execute(
        "SELECT j.id, s.word, j.line, j.inputs, j.meta, j.prompt_id, m.word FROM job_data j"
        " JOIN words s ON s.id = j.source JOIN words m ON m.id = j.model WHERE j.listed >= ? ORDER BY j.id",
        (int(not removed),),
    )
    return map(Asked._make, rows)
