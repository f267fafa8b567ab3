"""Reads sidecars: compares one with the state file, or makes a job of it if there is no state file.

A sidecar is only trusted if it is consistent: its inputs must hash to its job key, for some copy number, and it must be
beside the image that it names.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Annotated, Any, NoReturn, TypeVar

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from batcher.client.protocol import is_model_id, is_request_id
from batcher.core.job import CARRIES_C2PA, Artifact, Entry, Job, State, canonical_json, images_asked
from batcher.core.naming import numbered
from batcher.core.one_line import one_line
from batcher.core.sidecar import FailureLine, SidecarFields, sidecar
from batcher.images.containers import Buffer
from batcher.store.files.safe_reader import IMAGES, Absent, NotAFile, Outside, SafeReader, is_plain, sidecar_of, stem

MOST_COPIES = 100_000

Moment = Annotated[datetime, Meta(tz=True)]
T = TypeVar("T")


class Untrue(Exception):
    """The text is no sidecar, or contradicts itself. The message says how."""


# msgspec analyses a type at its first use, and a second thread that uses the type meanwhile ends the process with a
# segmentation fault (0.22). `verify` reads sidecars in threads.
_ANALYSED = [msgspec.json.Decoder(kind) for kind in (FailureLine, SidecarFields)]


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A checked sidecar. entry: the job with its last attempt (``id`` 0, state DONE). artifact: its file.

    simulated: whether it is of the simulator. version: of the batcher that wrote it.
    """

    entry: Entry
    artifact: Artifact
    simulated: bool
    version: str


def parse(content: Buffer) -> dict[str, Any]:
    """The JSON object in a file. Raises Untrue if it is none."""
    try:
        values = json.loads(bytes(content).decode(), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Untrue(one_line(f"not JSON: {error}", 200)) from None
    if not isinstance(values, dict):
        raise Untrue("not a JSON object")
    return values


def differences(
    values: Mapping[str, Any], entry: Entry, artifact: Artifact, simulated: bool | None, versions: frozenset[str]
) -> list[str]:
    """Names of the fields that differ from the state file. values: of the sidecar. versions: of batcher in this run.

    simulated, versions: None and empty if unknown; then any value is accepted.
    """
    version = values.get("batcher")
    is_ours = version in versions if versions and isinstance(version, str) else isinstance(version, str)
    is_simulated = bool(values.get("simulated")) if simulated is None else simulated
    expected = sidecar(
        entry, artifact, simulated=is_simulated, version=version if is_ours and isinstance(version, str) else ""
    )
    if values == expected and canonical_json(values) == canonical_json(expected):
        return []
    return [name for name, value in expected.items() if name not in values or not _same(values[name], value)]


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: 1, 1.0 and true differ."""
    return canonical_json(one) == canonical_json(other)


def checked_sidecar(values: Mapping[str, Any], file: str | None) -> Sidecar:
    """The sidecar with these values. file: its path; None for a line of ``records.jsonl``. Raises Untrue."""
    given = _typed(values, SidecarFields)
    if not is_plain(given.file) or given.output_index >= given.output_count:
        raise Untrue("its file is not in the folder of images, or not one of the job's")
    if file is not None and stem(given.file) != stem(file):
        raise Untrue(one_line(f"it belongs to {given.file}", 200))
    if not (given.request_id is None or is_request_id(given.request_id)):
        raise Untrue("its request id is not valid")
    artifact = Artifact(
        file=given.file, bytes=given.bytes, sha256=given.sha256, mime=given.mime, width=given.width,
        height=given.height, url=given.url, output_index=given.output_index, output_count=given.output_count,
        downloaded_at=seconds(given.downloaded_at, "downloaded_at") or 0.0,
        warning=CARRIES_C2PA if given.c2pa else None,
    )  # fmt: skip
    job = job_of(given, _path(artifact))
    entry = Entry(
        id=0, job=job, state=State.DONE, path=job.path, attempts=given.attempts, request_id=given.request_id,
        submitted_at=seconds(given.submitted_at, "submitted_at"),
        finished_at=seconds(given.finished_at, "finished_at"), cost_usd=given.cost_usd,
    )  # fmt: skip
    return Sidecar(entry, artifact, given.simulated, given.batcher)


def checked_failure(values: Mapping[str, Any]) -> FailureLine:
    """The line of ``failures.jsonl`` with these values. Raises Untrue."""
    return _typed(values, FailureLine)


def job_of(given: SidecarFields | FailureLine, path: str) -> Job:
    """The job of a sidecar or a failure. Raises Untrue if its inputs don't hash to its key."""
    if not is_model_id(given.model):
        raise Untrue("its model is not valid")
    return Job(
        key=given.job, model=given.model, inputs=given.inputs, copy=copy_number(given.job, given.model, given.inputs),
        prompt_id=given.prompt_id, meta=given.meta, source=given.source.manifest, line=given.source.line, path=path,
        images=images_asked(given.inputs), chosen=given.chosen if isinstance(given, SidecarFields) else None,
    )  # fmt: skip


def _typed(values: Mapping[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(values, kind)
    except (msgspec.ValidationError, ValueError, OverflowError, RecursionError) as error:
        raise Untrue(one_line(str(error), 200)) from None


def copy_number(key: str, model: str, inputs: Mapping[str, Any]) -> int:
    """The copy number that gives this key. Raises Untrue if none does, because key or inputs were changed.

    It hashes the same text as ``job.job_key``, in which "copy" comes first, but builds the rest of it only once.
    """
    try:
        rest = canonical_json({"inputs": inputs, "model": model})[1:].encode()
    except ValueError as error:  # 1e999, or half of a surrogate pair
        raise Untrue(one_line(f"its inputs can't be sent: {error}", 200)) from None
    digest = bytes.fromhex(key)
    for copy in range(1, MOST_COPIES):
        if blake2b(b'{"copy":%d,' % copy + rest, digest_size=16).digest() == digest:
            return copy
    raise Untrue("its job key is not that of its inputs")


def _path(artifact: Artifact) -> str:
    """The path of the job, which is that of a file without number and extension (``naming.numbered``)."""
    path = stem(artifact.file).removeprefix(f"{IMAGES}/")
    return path if artifact.output_count == 1 else path.removesuffix(f"_{artifact.output_index + 1}")


def seconds(text: Any, field: str = "") -> float | None:
    """Unix seconds of a time; the inverse of ``job.utc``. None stays None. Raises Untrue, which names the field."""
    try:
        moment = msgspec.convert(text, Moment | None)
    except msgspec.ValidationError as error:
        raise Untrue(f"{error} - at `$.{field}`" if field else str(error)) from None
    return None if moment is None else round(moment.timestamp() * 1000) / 1000


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number")


def with_attempt_of(sidecar: Sidecar, entry: Entry) -> Entry:
    """The job of the state file, with the attempt of the sidecar."""
    other = sidecar.entry
    return replace(
        entry, attempts=other.attempts, request_id=other.request_id, cost_usd=other.cost_usd,
        submitted_at=other.submitted_at, finished_at=other.finished_at,
    )  # fmt: skip


def read_sidecar(reader: SafeReader, file: str) -> Sidecar:
    """Read and check the sidecar at ``file``. Raises Untrue."""
    try:
        with reader.reading(file) as data:
            return checked_sidecar(parse(data), file)
    except (Absent, Outside, NotAFile, OSError):
        raise Untrue("it can't be read") from None


def describes(reader: SafeReader, entry: Entry, artifact: Artifact) -> bool:
    """Whether the sidecar on disk is of this job and has the hash of this image."""
    try:
        there = read_sidecar(reader, sidecar_of(artifact.file))
    except Untrue:
        return False
    return there.artifact.sha256 == artifact.sha256 and there.entry.job.key == entry.job.key


def siblings(reader: SafeReader, sidecar: Sidecar) -> list[Sidecar]:
    """The existing sidecars of all files of its job, itself included, in order."""
    count, job = sidecar.artifact.output_count, sidecar.entry.job
    sidecars = []
    for index in range(count):
        if index == sidecar.artifact.output_index:
            sidecars.append(sidecar)
            continue
        try:
            other = read_sidecar(reader, f"{IMAGES}/{numbered(job.path, index, count)}.json")
        except Untrue:
            continue
        if other.entry.job.key == job.key and other.artifact.output_index == index:
            sidecars.append(other)
    return sidecars
