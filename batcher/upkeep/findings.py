"""What can be wrong with a run directory: the kinds, and one finding as a value."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from batcher.core.job import Entry
from batcher.runner.sidecars import Sidecar


class Kind(StrEnum):
    """The word that the JSON report has for it. words: a line for a person."""

    words: str

    STATE_MISSING = "state_missing", "the state file is missing"
    STATE_DAMAGED = "state_damaged", "the state file is damaged"
    MISSING = "missing", "missing"
    TRUNCATED = "truncated", "truncated: shorter than what was saved"
    CHANGED = "changed", "changed: not the bytes that were saved"
    SWAPPED = "swapped", "swapped: each holds another file's image"
    DAMAGED = "damaged", "not a whole image, but exactly as it was received"
    OUTSIDE = "outside", "links that lead out of the folder of images; not followed"
    UNREADABLE = "unreadable", "can't be read"
    GONE = "gone", "gone: can no longer be fetched free"
    FACTS_DIFFER = "facts_differ", "size, type or dimensions differ from the record"
    INCOMPLETE = "incomplete", "done without all of their images on record"
    UNFETCHED = "unfetched", "finished at the service and not fetched yet: the next run or a repair does that"
    SIDECAR_MISSING = "sidecar_missing", "sidecar missing"
    SIDECAR_UNREADABLE = "sidecar_unreadable", "sidecar unreadable"
    SIDECAR_DIFFERS = "sidecar_differs", "sidecar differs from the record"
    UNRECORDED = "unrecorded", "whole images of jobs that are not done in the state file"
    ORPHAN = "orphan", "orphans: no job has these files"
    LEFTOVER = "leftover", "left half written"
    RECORDS_DIFFER = "records_differ", "records.jsonl differs from the state file"
    DUPLICATE = "duplicate", "the same image for different inputs"
    WRONG_RATIO = "wrong_ratio", "not the aspect ratio that was asked for"
    ONE_COLOUR = "one_colour", "one colour all over"

    def __new__(cls, value: str, words: str) -> Self:
        kind = str.__new__(cls, value)
        kind._value_, kind.words = value, words
        return kind


# Another image may have to be paid for: the bytes are lost, or the service delivered them so.
_PRICED = frozenset({
    Kind.MISSING, Kind.TRUNCATED, Kind.CHANGED, Kind.SWAPPED, Kind.DAMAGED, Kind.OUTSIDE, Kind.INCOMPLETE, Kind.GONE,
    Kind.DUPLICATE, Kind.WRONG_RATIO, Kind.ONE_COLOUR,
})  # fmt: skip


class Fix(StrEnum):
    """What a fix takes: nothing, money for a new submit, or a decision of a person."""

    FREE = "free"
    PAID = "paid"
    BY_HAND = "by_hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    kind: what is wrong, as a word. message: the same for a person, one line.
    file: relative to the run directory, ``/`` between parts. job: its key, None if no job is concerned.
    fix: of an image, FREE holds as long as the service still has it.
    price_usd: what the job costs if it must be submitted again; None if unknown, or if a fix never costs money.
    source: where on disk the bytes are that belong into ``file``.
    actual, expected: the sha256 of the file and the recorded one, where they differ.
    entry: the job as in the state file. sidecars: to be taken into the state file. Both are for the repair.
    """

    kind: Kind
    file: str
    message: str
    fix: Fix
    job: str | None = None
    price_usd: float | None = None
    source: str | None = None
    actual: str | None = None
    expected: str | None = None
    entry: Entry | None = None
    sidecars: tuple[Sidecar, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": str(self.kind),
            "file": self.file,
            "job": self.job,
            "message": self.message,
            "repairable": str(self.fix),
            "price_usd": self.price_usd,
        }


def of_job(
    kind: Kind,
    entry: Entry,
    file: str,
    message: str,
    fix: Fix = Fix.FREE,
    *,
    price: float | None = None,
    actual: str | None = None,
    expected: str | None = None,
) -> Finding:
    """A finding about a file of a job. price: of one image, used if the cost of this job is unknown."""
    money = None
    if kind in _PRICED:
        money = entry.cost_usd
        if money is None and price is not None:
            money = price * entry.job.images
    return Finding(
        kind=kind, file=file, message=message, fix=fix, job=entry.job.key, price_usd=money, actual=actual,
        expected=expected, entry=entry,
    )  # fmt: skip
