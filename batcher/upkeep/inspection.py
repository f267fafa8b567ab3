"""One job that is done: its pictures and sidecars on disk against what the state file says of them.

The sha256 decides first. Where it agrees, the bytes are those that were received, and what is wrong with the picture
was wrong then; where it does not, the decoder only adds a word on how bad it is.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from batcher.core.errors import FileRefused, FileUnavailable
from batcher.core.job import Artifact, Entry
from batcher.core.one_line import one_line
from batcher.images.check import Facts, Limits, examine
from batcher.images.containers import Buffer
from batcher.images.kinds import Announced
from batcher.runner.sidecars import Untrue, differences, parse, read_sidecar
from batcher.store.files.safe_reader import Absent, NotAFile, Outside, SafeReader, extension, sidecar_of
from batcher.upkeep.findings import Finding, Fix, Kind, of_job

Depth = Literal["decode", "structure"]
LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Rules:
    """What the state file knows of the whole run; None and empty where it does not say. price: of one image."""

    depth: Depth
    simulated: bool | None
    versions: frozenset[str]
    price: float | None


class _Found(Protocol):
    """A finding about the picture at hand."""

    def __call__(self, kind: Kind, message: str, fix: Fix = Fix.FREE, actual: str | None = None) -> Finding: ...


@dataclass(slots=True)
class Looked:
    findings: list[Finding]
    files: int = 0
    bytes: int = 0


def look_at(reader: SafeReader, rules: Rules, entry: Entry, artifacts: Sequence[Artifact]) -> Looked:
    """Reads every file of one job. Raises nothing for what is found on disk."""
    looked = Looked([])
    wanted = artifacts[0].output_count if artifacts else 1
    if len(artifacts) != wanted:
        message = f"{len(artifacts)} of {wanted if artifacts else 'its'} images on record"
        file = artifacts[0].file if artifacts else f"images/{entry.path}"
        looked.findings.append(of_job(Kind.INCOMPLETE, entry, file, message, _free(entry), price=rules.price))
    for artifact in artifacts:
        pictures = _picture(reader, rules, entry, artifact, looked)
        looked.findings += [_outvoted(reader, finding) for finding in pictures]
        looked.findings += _sidecar(reader, rules, entry, artifact, looked)
    return looked


def _free(entry: Entry) -> Fix:
    return Fix.FREE if entry.request_id else Fix.PAID


def _picture(reader: SafeReader, rules: Rules, entry: Entry, artifact: Artifact, looked: Looked) -> list[Finding]:
    def finding(kind: Kind, message: str, fix: Fix = Fix.FREE, actual: str | None = None) -> Finding:
        return of_job(
            kind, entry, artifact.file, message, fix, price=rules.price, actual=actual, expected=artifact.sha256
        )

    try:
        with reader.reading(artifact.file) as data:
            looked.files += 1
            looked.bytes += len(data)
            return _content(data, rules, entry, artifact, finding)
    except Absent:
        return [finding(Kind.MISSING, "no such file", _free(entry))]
    except Outside:
        return [finding(Kind.OUTSIDE, "leads out of the folder of images; not read", _free(entry))]
    except NotAFile:
        return [finding(Kind.UNREADABLE, "not an ordinary file", Fix.BY_HAND)]
    except (OSError, ValueError) as error:
        return [finding(Kind.UNREADABLE, _reason(error), Fix.BY_HAND)]


def _outvoted(reader: SafeReader, finding: Finding) -> Finding:
    """Where file and sidecar agree on the bytes, it is the state file that is wrong."""
    if finding.actual is None or finding.entry is None:
        return finding
    try:
        sidecar = read_sidecar(reader, sidecar_of(finding.file))
    except Untrue:
        return finding
    if sidecar.artifact.sha256 != finding.actual or sidecar.entry.job.key != finding.job:
        return finding
    message = "the state file has another sha256 than the image and its sidecar"
    return replace(finding, kind=Kind.FACTS_DIFFER, message=message, actual=None, expected=None, price_usd=None)


def _content(data: Buffer, rules: Rules, entry: Entry, artifact: Artifact, looked: _Found) -> list[Finding]:
    ratio = entry.job.inputs.get("aspect_ratio")
    wanted = ratio if isinstance(ratio, str) else None
    facts: Facts | None = None
    try:
        facts = examine(data, depth=rules.depth, limits=LIMITS, announced=recorded_as(artifact), wanted_ratio=wanted)
        actual, state = facts.sha256, "still a whole image"
    except (FileUnavailable, FileRefused) as problem:
        actual, state = hashlib.sha256(data).hexdigest(), problem.cause.message
    if actual != artifact.sha256:
        kind = Kind.TRUNCATED if len(data) < artifact.bytes else Kind.CHANGED
        message = f"{len(data):,} bytes of {artifact.bytes:,}; {state}" if kind is Kind.TRUNCATED else state
        return [looked(kind, message, _free(entry), actual)]
    if facts is None:
        return [looked(Kind.DAMAGED, f"as it was received: {state}", Fix.BY_HAND)]
    return [*_facts(facts, artifact, looked), *_oddities(facts, looked)]


def recorded_as(artifact: Artifact) -> Announced:
    """What a file of no mark of its own was taken for when it came."""
    return Announced(artifact.mime, extension(artifact.file))


def _facts(facts: Facts, artifact: Artifact, looked: _Found) -> list[Finding]:
    size = facts.size or (None, None)
    really = {"bytes": facts.bytes, "mime": facts.kind.mime, "width": size[0], "height": size[1]}
    wrong = [
        f"{name} is {value}, not {getattr(artifact, name)}"
        for name, value in really.items()
        if value != getattr(artifact, name)
    ]
    return [looked(Kind.FACTS_DIFFER, one_line("; ".join(wrong)))] if wrong else []


def _oddities(facts: Facts, looked: _Found) -> list[Finding]:
    """What the service delivered so: the same request would bring it again."""
    notes = facts.warning.split("; ") if facts.warning else []
    return [
        looked(Kind.WRONG_RATIO if note.startswith("asked for") else Kind.ONE_COLOUR, note, Fix.BY_HAND)
        for note in notes
    ]


def _sidecar(reader: SafeReader, rules: Rules, entry: Entry, artifact: Artifact, looked: Looked) -> list[Finding]:
    file = sidecar_of(artifact.file)

    def finding(kind: Kind, message: str, fix: Fix = Fix.FREE) -> list[Finding]:
        return [of_job(kind, entry, file, message, fix)]

    try:
        with reader.reading(file) as data:
            looked.files += 1
            looked.bytes += len(data)
            wrong = differences(parse(data), entry, artifact, rules.simulated, rules.versions)
    except Absent:
        return finding(Kind.SIDECAR_MISSING, "no such file")
    except Outside:
        return finding(Kind.OUTSIDE, "leads out of the folder of images; not read")
    except NotAFile:
        return finding(Kind.UNREADABLE, "not an ordinary file", Fix.BY_HAND)
    except Untrue as problem:
        return finding(Kind.SIDECAR_UNREADABLE, str(problem))
    except (OSError, ValueError) as error:
        return finding(Kind.UNREADABLE, _reason(error), Fix.BY_HAND)
    return finding(Kind.SIDECAR_DIFFERS, f"different from the record: {', '.join(wrong)}") if wrong else []


def _reason(error: OSError | ValueError) -> str:
    return one_line(getattr(error, "strerror", None) or str(error), 200)
