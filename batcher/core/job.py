"""The nouns: what a row of a prompt file is on its way to a picture. All frozen, none holds a client or a store."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import msgspec

from batcher.core.errors import Cause


class State(StrEnum):
    """Where a job stands, as a text too. The moves between them are in ``lifecycle.py``.

    >>> [failed.job for failed in batcher.open("runs/kite").failures() if failed.state is batcher.State.IN_DOUBT]
    []
    >>> batcher.State.IN_DOUBT == "in_doubt"
    True
    """

    PENDING = "pending"  # nothing has left the house
    SUBMITTING = "submitting"  # the intent is on disk, the answer is not
    RUNNING = "running"  # the service has it and we have its request id
    READY = "ready"  # the links are known, the files are not here
    DONE = "done"  # image and sidecar are on disk
    FAILED = "failed"  # at rest; its cause is recorded
    CANCELLED = "cancelled"  # at rest; the service confirmed it, or it never left
    IN_DOUBT = "in_doubt"  # a submit whose outcome nobody knows: a person or a flag decides


RETRIED = ("failed", "cancelled", "in_doubt")  # the states that ``batcher retry`` leads out of
MISSING = "missing"  # for it, a done job with an image that is missing or damaged: it is fetched again, free


class Job(msgspec.Struct, frozen=True, kw_only=True):  # a dataclass takes twenty times as long to make, by the million
    """One request to make: the unit that is paid for.

    key: identity, 32 hex digits (``job_key``): the same request is the same job wherever it stands.
    model: model id as published, ``vendor/name/.../task``.
    inputs: the request body as sent.
    copy: 1 for the first occurrence of this request in the manifest, 2 for the second, and so on.
    prompt_id: the manifest's ``id``, else a readable name made from the prompt.
    meta: carried through to the sidecar, never sent.
    source, line: the file the prompt stands in, as given, and its line, from 1.
    chosen: what ``vars``, templates and ``repeat`` chose for it, by name; None where there was no choice. No part of
        the key.
    path: where its image goes, relative to ``images/``, without extension, ``/`` between parts, safe on every
        system (``naming.py``).
    images: how many pictures it asks for, at least 1: what its price is multiplied by.
    inputs_json: ``canonical_json`` of the inputs where whoever made the job had it, so that it is not made twice; no
        part of what makes two jobs equal.

    ``Image.job`` and ``Failed.job`` are its key: the same in every run, so tables of several runs can be joined by it.

    >>> batcher.run(["a gull", "a red kite"], out="runs/two", simulate=True).done
    2
    >>> red = batcher.open("runs/two").images('"red" in prompt')[0]
    >>> red.job == batcher.open("runs/kite").images()[0].job
    True
    """

    key: str
    model: str
    inputs: Mapping[str, Any]
    copy: int
    prompt_id: str
    meta: Mapping[str, Any]
    source: str
    line: int
    path: str
    chosen: Mapping[str, Any] | None = None
    images: int = 1
    inputs_json: str | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and _without_json(self) == _without_json(other)

    __hash__ = None  # type: ignore[assignment]  # it holds mappings


def _without_json(job: Job) -> list[Any]:
    return [getattr(job, name) for name in Job.__struct_fields__ if name != "inputs_json"]


COUNT_INPUTS = ("num_images", "number_of_images", "max_images", "num_outputs", "n")  # what models call the number
_COUNTS = frozenset(COUNT_INPUTS)


def images_asked(inputs: Mapping[str, Any], default: int = 1) -> int:
    """How many pictures a request asks for, at least 1. default: what the model makes where its inputs do not say."""
    if _COUNTS.isdisjoint(inputs):
        return max(1, default)
    for name in COUNT_INPUTS:
        wanted = inputs.get(name)
        if isinstance(wanted, int) and not isinstance(wanted, bool) and wanted > 0:
            return wanted
    return max(1, default)


_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
# ``encode`` makes an encoder for each value, at the cost of a small value. CPython's own can be kept; others have none.
_MAKER = getattr(json.encoder, "c_make_encoder", None)
_PIECES = _MAKER and _MAKER(
    None, _CANONICAL.default, json.encoder.encode_basestring, None, ":", ",", True, False, False
)


def canonical_json(value: Any) -> str:
    """JSON that is the same text for the same value: sorted keys, no spaces, no escapes beyond the needed."""
    return "".join(_PIECES(value, 0)) if _PIECES else _CANONICAL.encode(value)


def job_key(model: str, inputs: Mapping[str, Any], copy: int = 1) -> str:
    """Identity of a job: BLAKE2b-128 over canonical JSON of model, inputs as sent and copy number, in hex."""
    return key_of_json(model, canonical_json(inputs), copy)


def key_of_json(model: str, inputs_json: str, copy: int = 1) -> str:
    """``job_key``, of inputs as canonical JSON."""
    text = f'{{"copy":{copy},"inputs":{inputs_json},"model":{_model_json(model)}}}'
    return blake2b(text.encode(), digest_size=16).hexdigest()


_model_json = lru_cache(maxsize=64)(canonical_json)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A job as the state file knows it.

    id: row number, from 1, for life.
    path: as recorded when the job was first seen (a clash may have changed it from ``job.path``).
    attempts: submits that left this machine so far, refused ones not counted: each may have been paid for.
    request_id, submitted_at, finished_at, urls: of the newest attempt; times are Unix seconds, UTC.
    cost_usd: what the service said this attempt cost, None while unknown.
    cause: why it failed or is in doubt, None otherwise.
    """

    id: int
    job: Job
    state: State
    path: str
    attempts: int = 0
    request_id: str | None = None
    submitted_at: float | None = None
    finished_at: float | None = None
    urls: tuple[str, ...] = ()
    cost_usd: float | None = None
    cause: Cause | None = None


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The service took a submit up: from now on it may cost money."""

    request_id: str


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Not finished. ``status`` is the service's own word, lower case; unknown words mean this too."""

    status: str
    queue_position: int | None = None


class Succeeded(msgspec.Struct, frozen=True, kw_only=True):
    """Finished with something to fetch.

    urls: in order, without duplicates, at least one.
    finished_at: Unix seconds, None when the service did not say or said it unreadably.
    word: the service's status where it is no word for success that is known; "" where it is one, or there is none.
    """

    urls: tuple[str, ...]
    cost_usd: float | None = None
    finished_at: float | None = None
    word: str = ""


class FailedThere(msgspec.Struct, frozen=True, kw_only=True):
    """Finished without: the service's own failure. ``final`` when paying again can't mend it (content policy)."""

    cause: Cause
    final: bool
    cost_usd: float | None = None


class CancelledThere(msgspec.Struct, frozen=True, kw_only=True):
    """The service says this request was cancelled."""


Answer = Waiting | Succeeded | FailedThere | CancelledThere


class CancelOutcome(StrEnum):
    CANCELLED = "cancelled"
    TOO_LATE = "too_late"  # already running or finished: it will be charged and can be collected
    UNKNOWN = "unknown"  # no readable answer: the id is kept


CARRIES_C2PA = "it carries a C2PA manifest"  # in a warning, which is how the state file remembers


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """One file that is safely on disk, with its sidecar beside it.

    file: relative to the run directory, ``/`` between parts (``images/...``).
    bytes, sha256, mime: of the bytes on disk, which are the bytes received, and with ``--embed`` what was written into
        them.
    width, height: in pixels; None for what is not a picture.
    output_index: from 0, of ``output_count`` files that this job gave.
    downloaded_at: Unix seconds.
    warning: what is odd about it, one line, None when nothing is.
    """

    file: str
    bytes: int
    sha256: str
    mime: str
    width: int | None
    height: int | None
    url: str
    output_index: int
    output_count: int
    downloaded_at: float
    warning: str | None = None

    @property
    def c2pa(self) -> bool:
        """Whether it was seen to carry a C2PA manifest: looked for where something is to be embedded."""
        return CARRIES_C2PA in (self.warning or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many jobs stand where; ``total`` is the size of the manifest, known or not to the state file yet."""

    total: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    in_doubt: int = 0

    @property
    def pending(self) -> int:
        """Not at rest: not submitted yet, or at the service."""
        return max(0, self.total - self.done - self.failed - self.cancelled - self.in_doubt)


def sidecar(entry: Entry, artifact: Artifact, *, simulated: bool, version: str) -> dict[str, Any]:
    """The sidecar, version 1, as JSON data: enough to rebuild the row of the state file from it."""
    return {
        "schema": "batcher/1",
        "job": entry.job.key,
        "request_id": entry.request_id,
        "model": entry.job.model,
        "inputs": dict(entry.job.inputs),
        "prompt_id": entry.job.prompt_id,
        "meta": dict(entry.job.meta),
        "source": {"manifest": entry.job.source, "line": entry.job.line},
        "file": artifact.file,
        "bytes": artifact.bytes,
        "sha256": artifact.sha256,
        "mime": artifact.mime,
        "width": artifact.width,
        "height": artifact.height,
        "url": artifact.url,
        "output_index": artifact.output_index,
        "output_count": artifact.output_count,
        "submitted_at": utc(entry.submitted_at),
        "finished_at": utc(entry.finished_at),
        "downloaded_at": utc(artifact.downloaded_at),
        "attempts": entry.attempts,
        "cost_usd": entry.cost_usd,
        "simulated": simulated,
        "batcher": version,
        **({"chosen": dict(entry.job.chosen)} if entry.job.chosen else {}),
        **({"c2pa": True} if artifact.c2pa else {}),
    }


def utc(seconds: float | None) -> str | None:
    """Unix seconds as ISO 8601 in UTC with milliseconds (``2026-11-22T03:00:00.000Z``); None stays None."""
    if seconds is None:
        return None
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return f"{_second(whole)}.{thousandths:03d}Z"


@lru_cache(maxsize=1024)
def _second(second: int) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S")


def each_once(values: Sequence[str]) -> tuple[str, ...]:
    """The values in order, the later ones of equal ones left out."""
    return tuple(dict.fromkeys(values))
