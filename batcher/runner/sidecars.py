"""A sidecar as text: whether it says what the state file says, and what it says when there is no state file.

What it says is believed only as far as it proves itself: its inputs must hash to the job key it names, for some copy
number, and it must lie where it says its image lies.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any, NoReturn

from batcher.client.protocol import is_model_id, is_request_id
from batcher.core.job import Artifact, Entry, Job, State, canonical_json, images_asked, sidecar
from batcher.core.naming import numbered
from batcher.core.one_line import one_line
from batcher.images.kinds import Buffer
from batcher.store.files.safe_reader import IMAGES, Absent, NotAFile, Outside, SafeReader, is_plain, stem

SCHEMA = "batcher/1"
MOST_COPIES = 100_000
MOST_ATTEMPTS = 1_000
_HEX = frozenset("0123456789abcdef")


class Untrue(Exception):  # noqa: N818  what was seen, and it reads as one
    """It is no sidecar, or it contradicts itself; the text says how."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a sidecar tells: the job with its last attempt (``id`` 0, state DONE), one file of it, and who wrote it."""

    entry: Entry
    artifact: Artifact
    simulated: bool
    version: str


def parse(content: Buffer) -> dict[str, Any]:
    """Raises Untrue for what is not a JSON object."""
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
    """The fields that are not as recorded. simulated, versions: None and empty when the state file does not know."""
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
    """The same JSON: here 1, 1.0 and true are three things."""
    return canonical_json(one) == canonical_json(other)


def believed(values: Mapping[str, Any], file: str | None) -> Card:
    """What a sidecar at ``file`` tells; None: it comes from records.jsonl. Raises Untrue."""
    try:
        return _believed(values, file)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError):
        raise Untrue("fields are missing or of another type") from None


def _believed(values: Mapping[str, Any], file: str | None) -> Card:
    if values["schema"] != SCHEMA:
        raise Untrue(f"not of the schema {SCHEMA}")
    artifact = _artifact(values)
    if file is not None and stem(artifact.file) != stem(file):
        raise Untrue(one_line(f"it belongs to {artifact.file}", 200))
    job = described(values, _path(artifact))
    attempts = _whole(values["attempts"], 1, MOST_ATTEMPTS)
    request_id, cost = values["request_id"], values["cost_usd"]
    if not (request_id is None or is_request_id(request_id)) or not isinstance(values["simulated"], bool):
        raise Untrue("its request id or `simulated` is not valid")
    if cost is not None and (isinstance(cost, bool) or not 0 <= float(cost) < 1e9):
        raise Untrue("its cost is not an amount")
    entry = Entry(
        id=0, job=job, state=State.DONE, path=job.path, attempts=attempts, request_id=request_id,
        submitted_at=seconds(values["submitted_at"]), finished_at=seconds(values["finished_at"]),
        cost_usd=None if cost is None else float(cost),
    )  # fmt: skip
    return Card(entry, artifact, values["simulated"], str(values["batcher"]))


def described(values: Mapping[str, Any], path: str) -> Job:
    """The job that a sidecar or a line of failures.jsonl is about. Raises Untrue when its key is not of its inputs."""
    key, model, inputs, source = values["job"], values["model"], values["inputs"], values["source"]
    if not is_model_id(model) or not isinstance(inputs, dict) or not isinstance(values["meta"], dict):
        raise Untrue("its model, inputs or meta are not valid")
    if not isinstance(values["prompt_id"], str) or not isinstance(source["manifest"], str):
        raise Untrue("its prompt id or source are not valid")
    if not isinstance(chosen := values.get("chosen"), dict | None):
        raise Untrue("`chosen` is not an object")
    return Job(
        key=key, model=model, inputs=inputs, copy=copy_number(key, model, inputs), prompt_id=values["prompt_id"],
        meta=values["meta"], source=source["manifest"], line=_whole(source["line"], 0, 1 << 53), path=path,
        images=images_asked(inputs), chosen=chosen,
    )  # fmt: skip


def copy_number(key: str, model: str, inputs: Mapping[str, Any]) -> int:
    """Which copy of this request has this key. Raises Untrue when none has: key or inputs were changed.

    The same text as in ``job.job_key``, put together once: "copy" comes first in it.
    """
    rest = canonical_json({"inputs": inputs, "model": model})[1:].encode()
    if len(key) == 32 and set(key) <= _HEX:
        digest = bytes.fromhex(key)
        for copy in range(1, MOST_COPIES):
            if blake2b(b'{"copy":%d,' % copy + rest, digest_size=16).digest() == digest:
                return copy
    raise Untrue("its job key is not that of its inputs")


def _artifact(values: Mapping[str, Any]) -> Artifact:
    sha256, file, mime, url = values["sha256"], values["file"], values["mime"], values["url"]
    if len(bytes.fromhex(sha256)) != 32 or not all(isinstance(text, str) for text in (file, mime, url)):
        raise Untrue("its file, sha256, type or link are not valid")
    if not is_plain(file):
        raise Untrue("its file is not in the folder of images")
    count = _whole(values["output_count"], 1, 1_000)
    sides = [None if values[side] is None else _whole(values[side], 0, 1 << 31) for side in ("width", "height")]
    downloaded = seconds(values["downloaded_at"])
    if downloaded is None:
        raise Untrue("it does not say when it was downloaded")
    return Artifact(
        file=file, bytes=_whole(values["bytes"], 0, 1 << 53), sha256=sha256, mime=mime, width=sides[0],
        height=sides[1], url=url, output_index=_whole(values["output_index"], 0, count - 1), output_count=count,
        downloaded_at=downloaded,
    )  # fmt: skip


def _path(artifact: Artifact) -> str:
    """The job's path, from that of one of its files: without number and extension (``naming.numbered``)."""
    path = stem(artifact.file).removeprefix(f"{IMAGES}/")
    return path if artifact.output_count == 1 else path.removesuffix(f"_{artifact.output_index + 1}")


def seconds(text: Any) -> float | None:
    """The inverse of ``job.utc``."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise Untrue("a time without its zone")
    return round(moment.timestamp() * 1000) / 1000


def _whole(value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Untrue(f"a number is not between {least} and {most}")
    return value


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number")


def as_known(card: Card, entry: Entry) -> Entry:
    """The job as the state file has it, with the attempt that the sidecar tells of."""
    theirs = card.entry
    return replace(
        entry, attempts=theirs.attempts, request_id=theirs.request_id, cost_usd=theirs.cost_usd,
        submitted_at=theirs.submitted_at, finished_at=theirs.finished_at,
    )  # fmt: skip


def read_card(ground: SafeReader, file: str) -> Card:
    """The sidecar at ``file``, if it proves itself. Raises Untrue."""
    try:
        with ground.reading(file) as data:
            return believed(parse(data), file)
    except (Absent, Outside, NotAFile, OSError):
        raise Untrue("it can't be read") from None


def siblings(ground: SafeReader, card: Card) -> list[Card]:
    """The sidecars of all files of its job that lie beside it, itself included, in their order."""
    count, job = card.artifact.output_count, card.entry.job
    names = []
    for index in range(count):
        if index == card.artifact.output_index:
            names.append(card)
            continue
        try:
            other = read_card(ground, f"{IMAGES}/{numbered(job.path, index, count)}.json")
        except Untrue:
            continue
        if other.entry.job.key == job.key and other.artifact.output_index == index:
            names.append(other)
    return names
