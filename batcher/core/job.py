"""The nouns of a run: a job, its entry in the state file, answers of the service, images.

All are frozen, and none holds a client or a store.
"""

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
    """The state of a job; each member is also a string. ``lifecycle.py`` has the moves between them.

    >>> [failed.job for failed in batcher.open("runs/kite").failures() if failed.state is batcher.State.IN_DOUBT]
    []
    >>> batcher.State.IN_DOUBT == "in_doubt"
    True
    """

    PENDING = "pending"  # not submitted yet
    SUBMITTING = "submitting"  # the intent to submit is on disk, the answer is not
    RUNNING = "running"  # the service accepted it and its request id is recorded
    READY = "ready"  # the links are recorded, the files are not downloaded yet
    DONE = "done"  # image and sidecar are on disk
    FAILED = "failed"  # final, with its cause
    CANCELLED = "cancelled"  # final: the service confirmed it, or it was never submitted
    IN_DOUBT = "in_doubt"  # it is unknown whether the service accepted the submit: a person or a flag decides


RETRIED = ("failed", "cancelled", "in_doubt")  # the states that ``batcher retry`` reopens
MISSING = "missing"  # for ``retry``: done, but an image is missing or damaged: it is fetched again, free


class Job(msgspec.Struct, frozen=True, kw_only=True):  # creating a dataclass takes 20 times as long
    """One request to the service: the unit that is paid for.

    key: identity, 32 hex digits (``job_key``): the same request has the same key in every manifest.
    model: model id as published, ``vendor/name/.../task``.
    inputs: the request body as sent.
    copy: 1 for the first occurrence of this request in the manifest, 2 for the second, and so on.
    prompt_id: the manifest's ``id``, else a readable name made from the prompt.
    meta: carried through to the sidecar, never sent.
    source, line: the file that holds the prompt, as given, and its line, from 1.
    chosen: the values that ``vars``, templates and ``repeat`` chose, by name; None without any. Not part of the key.
    path: path of its image relative to ``images/``, without extension, ``/`` between parts, valid on every system
        (see ``naming``).
    images: number of images requested, at least 1; the price of one is multiplied by it.
    inputs_json: ``canonical_json`` of the inputs, if the caller already computed it. Ignored by ``==``.

    ``Image.job`` and ``Failed.job`` hold this key. It is the same in every run, so tables of several runs can be
    joined on it.

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

    __hash__ = None  # type: ignore[assignment]  # mappings are not hashable


def _without_json(job: Job) -> list[Any]:
    return [getattr(job, name) for name in Job.__struct_fields__ if name != "inputs_json"]


COUNT_INPUTS = ("num_images", "number_of_images", "max_images", "num_outputs", "n")  # as models call it
_COUNTS = frozenset(COUNT_INPUTS)


def images_asked(inputs: Mapping[str, Any], default: int = 1) -> int:
    """Number of images a request asks for, at least 1. default: the model's own number, if the inputs don't say."""
    if not _COUNTS.isdisjoint(inputs):
        for name in COUNT_INPUTS:
            wanted = inputs.get(name)
            if isinstance(wanted, int) and not isinstance(wanted, bool) and wanted > 0:
                return wanted
    return default


_CANONICAL = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
# ``encode`` builds an encoder for each call, which costs as much as encoding a small value. CPython's can be kept.
_MAKER = getattr(json.encoder, "c_make_encoder", None)
_PIECES = _MAKER and _MAKER(
    None, _CANONICAL.default, json.encoder.encode_basestring, None, ":", ",", True, False, False
)


def canonical_json(value: Any) -> str:
    """JSON text that is identical for equal values: sorted keys, no spaces, only the required escapes."""
    return "".join(_PIECES(value, 0)) if _PIECES else _CANONICAL.encode(value)


def job_key(model: str, inputs: Mapping[str, Any], copy: int = 1) -> str:
    """The key of a job: BLAKE2b-128 of the canonical JSON of model, inputs as sent and copy number, in hex."""
    return key_of_json(model, canonical_json(inputs), copy)


def key_of_json(model: str, inputs_json: str, copy: int = 1) -> str:
    """``job_key`` for inputs that already are canonical JSON."""
    text = f'{{"copy":{copy},"inputs":{inputs_json},"model":{_model_json(model)}}}'
    return blake2b(text.encode(), digest_size=16).hexdigest()


_model_json = lru_cache(maxsize=64)(canonical_json)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A job with its row of the state file.

    id: row number, from 1; it never changes.
    path: as recorded when the job was first planned; it differs from ``job.path`` after a name clash.
    attempts: submits sent so far, without refused ones: each may have been charged.
    request_id, submitted_at, finished_at, urls: of the newest attempt; times are Unix seconds, UTC.
    cost_usd: cost of this attempt as the service reported it, None while unknown.
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
    """The service accepted a submit: from now on it may cost money. request_id: safe in a URL path."""

    request_id: str


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Not finished yet.

    status: the service's own word, lower case; an unknown word counts as unfinished. queue_position: jobs before it,
    None if the service does not say.
    """

    status: str
    queue_position: int | None = None


class Succeeded(msgspec.Struct, frozen=True, kw_only=True):
    """Finished, with files to download.

    urls: in order, without duplicates, at least one.
    cost_usd: as reported, None if it was not.
    finished_at: Unix seconds; None if the service gave no readable time.
    word: the service's status if it is not a known word for success; "" if it is one, or if there is no status.
    """

    urls: tuple[str, ...]
    cost_usd: float | None = None
    finished_at: float | None = None
    word: str = ""


class FailedThere(msgspec.Struct, frozen=True, kw_only=True):
    """The job failed at the service.

    cause: in the service's words. final: a new submit would fail too (content policy, say). cost_usd: as reported, None
    if it was not: then the submit may have been charged.
    """

    cause: Cause
    final: bool
    cost_usd: float | None = None


class CancelledThere(msgspec.Struct, frozen=True, kw_only=True):
    """The service reports that this request was cancelled."""


Answer = Waiting | Succeeded | FailedThere | CancelledThere


class CancelOutcome(StrEnum):
    """What a request to cancel came to. Only CANCELLED is free."""

    CANCELLED = "cancelled"
    TOO_LATE = "too_late"  # already running or finished: it is charged, and its files can be fetched
    UNKNOWN = "unknown"  # no readable answer; the request id is kept


CARRIES_C2PA = "it carries a C2PA manifest"  # this text in ``warning`` is how the state file records it


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """One image file on disk, with its sidecar next to it.

    file: relative to the run directory, ``/`` between parts (``images/...``).
    bytes, sha256, mime: of the file on disk: the bytes received, plus the metadata that ``--embed`` wrote into them.
    width, height: in pixels; None if it is not an image.
    url: where it came from; of a ``data:`` URL without its content.
    output_index: from 0; the job has ``output_count`` files.
    downloaded_at: Unix seconds.
    warning: one line on what is unusual about the file, or None.
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
        """Whether the file carries a C2PA manifest. Only checked when ``--embed`` is on."""
        return CARRIES_C2PA in (self.warning or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Number of jobs by state.

    total: jobs of the manifest, those without a row in the state file included. done, failed, cancelled, in_doubt: of
    these.
    """

    total: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    in_doubt: int = 0

    @property
    def pending(self) -> int:
        """Jobs that are not final: not submitted yet, or at the service."""
        return max(0, self.total - self.done - self.failed - self.cancelled - self.in_doubt)


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
    """The values in order, without duplicates."""
    return tuple(dict.fromkeys(values))
