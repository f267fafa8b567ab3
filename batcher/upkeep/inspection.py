"""One job that is done: its images and sidecars on disk, compared with the state file.

The sha256 decides first. If it is as recorded, the bytes are those that were received, and what is wrong with the image
was wrong then. If not, the decoder only says how bad the damage is.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from msgspec.structs import replace

from batcher.core.errors import FileRefused, FileUnavailable
from batcher.core.job import Artifact, Entry
from batcher.core.one_line import one_line
from batcher.images.check import Facts, Limits, examine, wanted_ratio
from batcher.images.containers import Buffer
from batcher.images.kinds import Announced
from batcher.runner.sidecars import Untrue, describes, differences, parse
from batcher.store.files.safe_reader import Absent, NotAFile, Outside, SafeReader, extension, sidecar_of
from batcher.upkeep.findings import Finding, Fix, Kind, of_job

Depth = Literal["decode", "structure"]
Report = Callable[..., Finding]  # ``of_job`` for one file: takes kind, message, and whatever differs from the usual
LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Rules:
    """How to inspect, and the facts of the whole run.

    depth: how far images are checked. simulated: as recorded, None if unknown. versions: of batcher that wrote sidecars
    here, empty if unknown. price: US dollars for one image, None if unknown.
    """

    depth: Depth
    simulated: bool | None
    versions: frozenset[str]
    price: float | None


class Inspection:
    """Reads every file of one job when made. Raises nothing for what is wrong with them.

    reader: reads the files of the run. rules: of the run. entry, artifacts: the job and its files as recorded.

    findings: what is wrong, in the order of the files. files, bytes: how many were read, and their size.
    images: number of images on record.
    """

    def __init__(self, reader: SafeReader, rules: Rules, entry: Entry, artifacts: Sequence[Artifact]) -> None:
        self._reader = reader
        self._rules = rules
        self._entry = entry
        self._fetched = Fix.FREE if entry.request_id else Fix.PAID
        self.findings: list[Finding] = []
        self.files = self.bytes = 0
        self.images = len(artifacts)
        wanted = artifacts[0].output_count if artifacts else 1
        if self.images != wanted:
            message = f"{self.images} of {wanted if artifacts else 'its'} images on record"
            file = artifacts[0].file if artifacts else f"images/{entry.path}"
            finding = of_job(Kind.INCOMPLETE, entry, file, message, self._fetched, price=rules.price)
            self.findings.append(finding)
        for artifact in artifacts:
            self.findings += self._image(artifact)
            self.findings += self._sidecar(artifact)

    def __repr__(self) -> str:
        return f"<Inspection of {self._entry.job.key}: files read: {self.files}, findings: {len(self.findings)}>"

    def _image(self, artifact: Artifact) -> list[Finding]:
        report = partial(
            of_job, entry=self._entry, file=artifact.file, price=self._rules.price, expected=artifact.sha256
        )
        compare = partial(self._compare_image, artifact, report)
        return self._compared(artifact.file, Kind.MISSING, self._fetched, report, compare)

    def _sidecar(self, artifact: Artifact) -> list[Finding]:
        file = sidecar_of(artifact.file)
        report = partial(of_job, entry=self._entry, file=file)
        compare = partial(self._compare_sidecar, artifact, report)
        return self._compared(file, Kind.SIDECAR_MISSING, Fix.FREE, report, compare)

    def _compared(
        self, file: str, missing: Kind, fix: Fix, report: Report, compare: Callable[[Buffer], Iterator[Finding]]
    ) -> list[Finding]:
        """The findings of ``compare`` on the content of a file, or the one that says why it can't be read."""
        try:
            with self._reader.reading(file) as data:
                self.files += 1
                self.bytes += len(data)
                return list(compare(data))
        except Absent:
            return [report(missing, message="no such file", fix=fix)]
        except Outside:
            return [report(Kind.OUTSIDE, message="leads out of the folder of images; not read", fix=fix)]
        except NotAFile:
            return [report(Kind.UNREADABLE, message="not an ordinary file", fix=Fix.BY_HAND)]
        except (OSError, ValueError) as error:
            reason = one_line(getattr(error, "strerror", None) or str(error), 200)
            return [report(Kind.UNREADABLE, message=reason, fix=Fix.BY_HAND)]

    def _compare_image(self, artifact: Artifact, report: Report, data: Buffer) -> Iterator[Finding]:
        facts: Facts | None = None
        try:
            facts = examine(
                data, depth=self._rules.depth, limits=LIMITS, announced=recorded_as(artifact),
                wanted_ratio=wanted_ratio(self._entry.job.inputs),
            )  # fmt: skip
            actual, state = facts.sha256, "still a whole image"
        except (FileUnavailable, FileRefused) as problem:
            actual, state = hashlib.sha256(data).hexdigest(), problem.cause.message
        if actual != artifact.sha256 and describes(self._reader, self._entry, replace(artifact, sha256=actual)):
            # image and sidecar agree: then it is the state file that is wrong
            message = "the state file has another sha256 than the image and its sidecar"
            yield report(Kind.FACTS_DIFFER, message=message, expected=None)
        elif actual != artifact.sha256:
            is_short = len(data) < artifact.bytes
            message = f"{len(data):,} bytes of {artifact.bytes:,}; {state}" if is_short else state
            kind = Kind.TRUNCATED if is_short else Kind.CHANGED
            yield report(kind, message=message, fix=self._fetched, actual=actual)
        elif facts is None:
            yield report(Kind.DAMAGED, message=f"as it was received: {state}", fix=Fix.BY_HAND)
        else:
            yield from _compare_facts(facts, artifact, report)

    def _compare_sidecar(self, artifact: Artifact, report: Report, data: Buffer) -> Iterator[Finding]:
        try:
            wrong = differences(parse(data), self._entry, artifact, self._rules.simulated, self._rules.versions)
        except Untrue as problem:
            yield report(Kind.SIDECAR_UNREADABLE, message=str(problem))
            return
        if wrong:
            yield report(Kind.SIDECAR_DIFFERS, message=f"different from the record: {', '.join(wrong)}")


def recorded_as(artifact: Artifact) -> Announced:
    """The kind on record, for a file whose bytes do not say what they are."""
    return Announced(artifact.mime, extension(artifact.file))


def _compare_facts(facts: Facts, artifact: Artifact, report: Report) -> Iterator[Finding]:
    """Facts on record that differ from the file's, then oddities that the service delivered: it would do so again."""
    width, height = facts.size or (None, None)
    actual = {"bytes": facts.bytes, "mime": facts.kind.mime, "width": width, "height": height}
    recorded = {name: getattr(artifact, name) for name in actual}
    wrong = [f"{name} is {actual[name]}, not {recorded[name]}" for name in actual if actual[name] != recorded[name]]
    if wrong:
        yield report(Kind.FACTS_DIFFER, message=one_line("; ".join(wrong)))
    for note in facts.warning.split("; ") if facts.warning else []:
        kind = Kind.WRONG_RATIO if note.startswith("asked for") else Kind.ONE_COLOUR
        yield report(kind, message=note, fix=Fix.BY_HAND)
