"""Queries of the page (``batcher view``) on a state file: all jobs with their images, changes, one job in full."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from batcher.store.rows import in_groups

_ROWS = """
SELECT j.id, j.key, j.state, j.position, j.model, j.inputs, j.copy, j.prompt_id, j.meta, j.chosen, j.source, j.line,
       j.submitted_at, j.finished_at, j.cost_usd, j.cause, j.message, j.http_status, i.output_index, i.width, i.height,
       i.sha256, i.bytes, i.mime, i.file, i.warning
FROM jobs j LEFT JOIN images i ON i.job_id = j.id AND j.state = 'done' WHERE {}
"""


class JobRow(NamedTuple):
    """An image and its job, or a job without images: then the columns from ``output_index`` on are None.

    Fields as in ``job.Job``, ``job.Entry`` and ``job.Artifact``, except these. id: row number. position: in the
    manifest, from 0. Times are ISO 8601 texts, UTC. inputs, meta, chosen: JSON; meta and chosen None if empty. cause,
    message, http_status: of ``errors.Cause``.
    """

    id: int
    key: str
    state: str
    position: int | None
    model: str
    inputs: str
    copy: int
    prompt_id: str
    meta: str | None
    chosen: str | None
    source: str
    line: int
    submitted_at: str | None
    finished_at: str | None
    cost_usd: float | None
    cause: str | None
    message: str | None
    http_status: int | None
    output_index: int | None
    width: int | None
    height: int | None
    sha256: str | None
    bytes: int | None
    mime: str | None
    file: str | None
    warning: str | None


def data_version(connection: sqlite3.Connection) -> int:
    """A number that changes with every commit of another process."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


def rows(connection: sqlite3.Connection) -> Iterator[JobRow]:
    """All jobs of the manifest, a row for each image, in the order of planning."""
    statement = _ROWS.format("j.position IS NOT NULL ORDER BY j.id, i.output_index")
    return map(JobRow._make, connection.execute(statement))


def rows_of(connection: sqlite3.Connection, ids: Sequence[int]) -> Iterator[JobRow]:
    """The rows of these jobs. ids: row numbers."""
    for places, some in in_groups(ids):
        among = f"j.id IN {places} ORDER BY j.id, i.output_index"
        yield from map(JobRow._make, connection.execute(_ROWS.format(among), some))


def job_rows(connection: sqlite3.Connection, key: str) -> list[JobRow]:
    """The rows of one job; empty if there is no such job."""
    return list(map(JobRow._make, connection.execute(_ROWS.format("j.key = ? ORDER BY i.output_index"), (key,))))


def some_image(connection: sqlite3.Connection) -> JobRow | None:
    """The row of any image, None if there are none."""
    row = connection.execute(_ROWS.format("i.sha256 IS NOT NULL LIMIT 1")).fetchone()
    return None if row is None else JobRow._make(row)


def some_files(connection: sqlite3.Connection, most: int) -> list[str]:
    """Up to ``most`` image files, spread evenly over all jobs. Reads no more rows than that."""
    first, last = connection.execute("SELECT min(job_id), max(job_id) FROM images").fetchone()
    if first is None:
        return []
    step = max(1.0, (last - first + 1) / most)
    names: dict[str, None] = {}
    for at in range(most):
        row = connection.execute(
            "SELECT file FROM images WHERE job_id >= ? AND mime LIKE 'image/%' ORDER BY job_id, output_index LIMIT 1",
            (first + int(at * step),),
        ).fetchone()
        if row is not None:
            names[row[0]] = None
    return list(names)


def states(connection: sqlite3.Connection) -> Iterator[tuple[int, str, int]]:
    """Row number, state and position of every job of the manifest. Reads one index: 20 ms for 100,000 jobs."""
    return connection.execute("SELECT id, state, position FROM jobs INDEXED BY job_states WHERE position IS NOT NULL")


def attempts(connection: sqlite3.Connection, key: str) -> list[dict[str, Any]]:
    """All submits of a job, the newest last, each as the columns of the view ``attempts``."""
    cursor = connection.execute("SELECT * FROM attempts WHERE key = ? ORDER BY n", (key,))
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]
