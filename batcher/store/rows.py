"""Converts rows of a state file to ``core.job`` values (Entry, Artifact, Cause) and back."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

from batcher.core.errors import Cause
from batcher.core.job import Artifact, Entry, Job, State, canonical_json, utc
from batcher.core.naming import folded

T = TypeVar("T")

_AT_ONCE = 500
IMAGES = "images/"  # every path in the state file begins with it

ENTRY = """
SELECT j.id, j.key, j.state, j.model, j.inputs, j.copy, j.prompt_id, j.meta, j.source, j.line, j.path, j.attempts,
       j.request_id, j.submitted_at, j.finished_at, j.urls, j.cost_usd, j.cause, j.message, j.http_status, j.code,
       j.images, j.chosen
"""
ENTRY_WIDTH = 23
IMAGE_COLUMNS = """, i.file, i.bytes, i.sha256, i.mime, i.width, i.height, i.url, i.output_index, i.output_count,
       i.downloaded_at, i.warning
"""
JOB_COLUMNS = "key, state, position, model, inputs, copy, prompt_id, meta, chosen, source, line, path, name, images"
INSERT_JOB = f"INSERT INTO jobs ({JOB_COLUMNS}) VALUES ({', '.join('?' * len(JOB_COLUMNS.split(',')))})"


def in_groups(values: Sequence[T]) -> Iterator[tuple[str, Sequence[T]]]:
    """Splits values for SQL statements: yields ``(?, ?, ...)`` and the values for it, up to 500 at a time."""
    for start in range(0, len(values), _AT_ONCE):
        some = values[start : start + _AT_ONCE]
        yield f"({', '.join('?' * len(some))})", some


def job_row(job: Job, position: int | None, path: str | None = None) -> tuple[Any, ...]:
    """The values of JOB_COLUMNS for a new job. path: below ``images/``; None for the job's own path."""
    path = IMAGES + (job.path if path is None else path)
    return (
        job.key, "pending", position, job.model, job.inputs_json or canonical_json(job.inputs), job.copy, job.prompt_id,
        canonical_json(job.meta) if job.meta else None, canonical_json(job.chosen) if job.chosen else None,
        job.source, job.line, path, folded(path), job.images,
    )  # fmt: skip


def entry_of(row: Sequence[Any]) -> Entry:
    """row: the columns of ENTRY."""
    path = row[10].removeprefix(IMAGES)
    job = Job(
        key=row[1], model=row[3], inputs=json.loads(row[4]), copy=row[5], prompt_id=row[6],
        meta=json.loads(row[7]) if row[7] else {}, source=row[8], line=row[9], path=path,
        images=row[21], chosen=json.loads(row[22]) if row[22] else None,
    )  # fmt: skip
    return Entry(
        id=row[0], job=job, state=State(row[2]), path=path, attempts=row[11], request_id=row[12],
        submitted_at=seconds(row[13]), finished_at=seconds(row[14]), urls=tuple(json.loads(row[15])) if row[15] else (),
        cost_usd=row[16], cause=cause_of(row[17:21]),
    )  # fmt: skip


def artifact_of(row: Sequence[Any]) -> Artifact:
    """row: the columns of IMAGE_COLUMNS."""
    file, size, sha256, mime, width, height, url, index, count, downloaded, warning = row
    return Artifact(
        file=file, bytes=size, sha256=sha256, mime=mime, width=width, height=height, url=url, output_index=index,
        output_count=count, downloaded_at=seconds(downloaded) or 0.0, warning=warning,
    )  # fmt: skip


def image_row(entry: Entry, artifact: Artifact) -> tuple[Any, ...]:
    """The values for all columns of ``images``, in order."""
    return (
        entry.id, artifact.output_index, artifact.output_count, artifact.file, artifact.bytes, artifact.sha256,
        artifact.mime, artifact.width, artifact.height, utc(artifact.downloaded_at), artifact.url, artifact.warning,
    )  # fmt: skip


def cause_of(row: Sequence[Any]) -> Cause | None:
    """row: the columns cause, message, http_status, code."""
    kind, message, status, code = row
    return None if kind is None else Cause(kind=kind, message=message or "", http_status=status, code=code)


def seconds(text: str | None) -> float | None:
    """ISO 8601 text as Unix seconds, to the millisecond: the inverse of ``job.utc``."""
    return None if text is None else round(datetime.fromisoformat(text).timestamp(), 3)
