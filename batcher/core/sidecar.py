"""What a run writes beside its images, as types: the sidecar and the line of ``failures.jsonl``.

Both are written from these types and read as them. A line of ``records.jsonl`` is a sidecar, perhaps with a verdict.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from batcher.core.job import Artifact, Entry, utc

Size = Annotated[int, Meta(ge=0, le=1 << 53)]
Side = Annotated[int, Meta(ge=0, lt=1 << 31)]  # of an image, in pixels
Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]  # UTC
Key = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]


class Source(msgspec.Struct, frozen=True):
    """The place of a prompt. manifest: the file, as given. line: in it, from 1; 0 for a file without lines."""

    manifest: str
    line: Size


class SidecarFields(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A sidecar, version 1, in the order in which it is written. Fields of later versions are ignored."""

    schema: Literal["batcher/1"]
    job: Key  # of the job, in every run
    request_id: str | None  # of the attempt that made the file; None if it was lost
    model: str
    inputs: dict[str, Any]  # as sent: with model and copy number they hash to ``job``
    prompt_id: str
    meta: dict[str, Any]  # of the manifest, never sent
    source: Source
    file: str  # relative to the run directory, ``/`` between parts
    bytes: Size  # of the file on disk, as is ``sha256``
    sha256: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    mime: str  # of its content, whatever the host said
    width: Side | None  # None, as ``height``, for a file without pixels
    height: Side | None
    url: str  # where it came from; of a ``data:`` URL without its content
    output_index: Annotated[int, Meta(ge=0, lt=1_000)]
    output_count: Annotated[int, Meta(ge=1, le=1_000)]
    submitted_at: Moment | None  # of that attempt, as ``finished_at``; None if unknown
    finished_at: Moment | None
    downloaded_at: Moment
    attempts: Annotated[int, Meta(ge=1, le=1_000)]  # submits of the job so far
    cost_usd: Annotated[float, Meta(ge=0, lt=1e9)] | None  # of all images of the job; None if not reported
    simulated: bool  # whether the simulator made it
    batcher: str  # version that wrote it
    chosen: dict[str, Any] | None = None  # by ``vars``, templates and ``repeat``; left out if empty
    c2pa: bool = False  # whether the file carries a C2PA manifest; left out if false


class FailureLine(msgspec.Struct, frozen=True, kw_only=True):
    """A failed or in-doubt job. ``Any``: an odd value costs a line of an edited file not its job.

    job, model, inputs, prompt_id, meta, source: as in ``SidecarFields``.
    state: at the time of writing. cause: an object with ``kind`` and ``message``, perhaps ``http_status`` and ``code``.
    request_id, attempts, submitted_at: of the last attempt; None if it never had a request id.
    retry: the command that reopens the jobs of this cause.
    """

    job: Key
    state: Literal["failed", "in_doubt"]
    cause: Any = None
    model: str
    inputs: dict[str, Any]
    prompt_id: str
    meta: dict[str, Any]
    source: Source
    request_id: Any = None
    attempts: Any = None
    submitted_at: Any = None
    retry: Any = None


def sidecar(entry: Entry, artifact: Artifact, *, simulated: bool, version: str) -> dict[str, Any]:
    """The sidecar as JSON data. The row of the state file can be rebuilt from it. version: of batcher."""
    values: dict[str, Any] = msgspec.to_builtins(sidecar_fields(entry, artifact, simulated=simulated, version=version))
    return values


def sidecar_fields(entry: Entry, artifact: Artifact, *, simulated: bool, version: str) -> SidecarFields:
    """The sidecar of one image. version: of batcher."""
    job = entry.job
    return SidecarFields(
        schema="batcher/1", job=job.key, request_id=entry.request_id, model=job.model, inputs=dict(job.inputs),
        prompt_id=job.prompt_id, meta=dict(job.meta), source=Source(job.source, job.line), file=artifact.file,
        bytes=artifact.bytes, sha256=artifact.sha256, mime=artifact.mime, width=artifact.width, height=artifact.height,
        url=artifact.url, output_index=artifact.output_index, output_count=artifact.output_count,
        submitted_at=utc(entry.submitted_at), finished_at=utc(entry.finished_at),
        downloaded_at=utc(artifact.downloaded_at) or "", attempts=entry.attempts, cost_usd=entry.cost_usd,
        simulated=simulated, batcher=version, chosen=dict(job.chosen) if job.chosen else None, c2pa=artifact.c2pa,
    )  # fmt: skip


def failure_line(entry: Entry, retry: str) -> FailureLine:
    """The line of ``failures.jsonl`` of a job. retry: the command that reopens the jobs of its cause."""
    job, cause = entry.job, entry.cause
    facts = {} if cause is None else {name: getattr(cause, name) for name in ("kind", "message", "http_status", "code")}
    return FailureLine(
        job=job.key, state="in_doubt" if entry.state == "in_doubt" else "failed",
        cause={name: value for name, value in facts.items() if value is not None}, model=job.model,
        inputs=dict(job.inputs), prompt_id=job.prompt_id, meta=dict(job.meta), source=Source(job.source, job.line),
        request_id=entry.request_id, attempts=entry.attempts, submitted_at=utc(entry.submitted_at), retry=retry,
    )  # fmt: skip
