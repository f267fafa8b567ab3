"""Queries of ``batcher export`` on a state file: images with their jobs, and the order of prompts."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

_ALL = """
SELECT j.id, j.key, j.model, j.prompt_id, j.inputs, j.meta, j.source, j.line, i.file, i.bytes, i.sha256, i.mime,
       i.width, i.height, i.output_index, i.output_count, j.copy, j.chosen, j.cost_usd,
       j.request_id
FROM {} WHERE +j.state = 'done'{}
"""
_IN_MANIFEST = " AND +j.position IS NOT NULL"
# The tables in this order without an index: everything is read, so reading in disk order is fastest.
_AS_IT_LIES = "jobs j CROSS JOIN images i ON i.job_id = j.id"
# Only the sort keys are sorted, to save memory: LIMIT makes SQLite sort first, CROSS JOIN keeps that order.
_BY_ARRIVAL = (
    "(SELECT job_id, output_index FROM images ORDER BY downloaded_at, job_id, output_index LIMIT -1) o"
    " CROSS JOIN jobs j ON j.id = o.job_id"
    " CROSS JOIN images i ON i.job_id = o.job_id AND i.output_index = o.output_index"
)


class Image(NamedTuple):
    """An image file and its job; fields as in ``job.Job`` and ``job.Artifact``, except these.

    job: row number. inputs, meta, chosen: JSON objects; meta and chosen None if empty. cost_usd: of the whole job.
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
    copy: int
    chosen: str | None
    cost_usd: float | None
    request_id: str | None


class Asked(NamedTuple):
    """A job in any state; fields as in ``Image``. images: number requested."""

    job: int
    source: str
    line: int
    inputs: str
    meta: str | None
    prompt_id: str
    model: str
    images: int


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Inside, every query sees the same moment, even if a run goes on."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")


def images(connection: sqlite3.Connection, *, removed: bool, by_arrival: bool = False) -> Iterator[Image]:
    """removed: include jobs that left the manifest. by_arrival: in download order, so that new ones come last."""
    among = "" if removed else _IN_MANIFEST
    if by_arrival:
        return map(Image._make, connection.execute(_ALL.format(_BY_ARRIVAL, among)))
    rows = connection.execute(f"{_ALL.format(_AS_IT_LIES, among)} ORDER BY j.id, i.output_index")
    return map(Image._make, rows)


def removed(connection: sqlite3.Connection) -> int:
    """Finished jobs that left the manifest."""
    (count,) = connection.execute("SELECT count(*) FROM jobs WHERE state = 'done' AND position IS NULL").fetchone()
    return int(count)


def asked(connection: sqlite3.Connection, *, removed: bool) -> Iterator[Asked]:
    """Every job, done or not, in the order of planning."""
    among = "" if removed else "WHERE position IS NOT NULL"
    rows = connection.execute(
        f"SELECT id, source, line, inputs, meta, prompt_id, model, images FROM jobs {among} ORDER BY id"
    )
    return map(Asked._make, rows)
