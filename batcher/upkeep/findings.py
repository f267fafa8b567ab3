"""What can be wrong with a run directory, as values."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from batcher.core.errors import Cause
from batcher.core.job import Entry
from batcher.runner.sidecars import Sidecar


class Kind(StrEnum):
    """One word for a program, and one line for a person (``WORDS``)."""

    STATE_MISSING = "state_missing"
    STATE_DAMAGED = "state_damaged"
    MISSING = "missing"
    TRUNCATED = "truncated"
    CHANGED = "changed"
    SWAPPED = "swapped"
    DAMAGED = "damaged"
    OUTSIDE = "outside"
    UNREADABLE = "unreadable"
    GONE = "gone"
    FACTS_DIFFER = "facts_differ"
    INCOMPLETE = "incomplete"
    UNFETCHED = "unfetched"
    SIDECAR_MISSING = "sidecar_missing"
    SIDECAR_UNREADABLE = "sidecar_unreadable"
    SIDECAR_DIFFERS = "sidecar_differs"
    UNRECORDED = "unrecorded"
    ORPHAN = "orphan"
    LEFTOVER = "leftover"
    RECORDS_DIFFER = "records_differ"
    DUPLICATE = "duplicate"
    WRONG_RATIO = "wrong_ratio"
    ONE_COLOUR = "one_colour"


WORDS = {
    Kind.STATE_MISSING: "the state file is missing",
    Kind.STATE_DAMAGED: "the state file is damaged",
    Kind.MISSING: "missing",
    Kind.TRUNCATED: "truncated: shorter than what was saved",
    Kind.CHANGED: "changed: not the bytes that were saved",
    Kind.SWAPPED: "swapped: each holds another file's image",
    Kind.DAMAGED: "not a whole image, but exactly as it was received",
    Kind.OUTSIDE: "links that lead out of the folder of images; not followed",
    Kind.UNREADABLE: "can't be read",
    Kind.GONE: "gone: can no longer be fetched free",
    Kind.FACTS_DIFFER: "size, type or dimensions differ from the record",
    Kind.INCOMPLETE: "done without all of their images on record",
    Kind.UNFETCHED: "finished at the service and not fetched yet: the next run or a repair does that",
    Kind.SIDECAR_MISSING: "sidecar missing",
    Kind.SIDECAR_UNREADABLE: "sidecar unreadable",
    Kind.SIDECAR_DIFFERS: "sidecar differs from the record",
    Kind.UNRECORDED: "whole images of jobs that are not done in the state file",
    Kind.ORPHAN: "orphans: no job has these files",
    Kind.LEFTOVER: "left half written",
    Kind.RECORDS_DIFFER: "records.jsonl differs from the state file",
    Kind.DUPLICATE: "the same image for different inputs",
    Kind.WRONG_RATIO: "not the aspect ratio that was asked for",
    Kind.ONE_COLOUR: "one colour all over",
}

FETCHED_AGAIN = frozenset(
    {Kind.MISSING, Kind.TRUNCATED, Kind.CHANGED, Kind.SWAPPED, Kind.DAMAGED, Kind.OUTSIDE, Kind.INCOMPLETE}
)  # unless the right bytes are found on disk
AS_DELIVERED = frozenset({Kind.DUPLICATE, Kind.WRONG_RATIO, Kind.ONE_COLOUR, Kind.DAMAGED})


class Fix(StrEnum):
    FREE = "free"
    PAID = "paid"
    BY_HAND = "by_hand"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing wrong.

    file: relative to the run directory, ``/`` between parts. job: its key, None when no job is concerned.
    fix: what it takes; FREE for pictures means as long as the service still has them.
    price_usd: of one job of this kind, should it have to be made anew; None when unknown or not a matter of money.
    source: where on disk the bytes are that belong into ``file``. actual: sha256 of what is there now.
    entry: the job as the state file knows it; sidecars: sidecars to take into it. Both are for whoever fixes it.
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
    """price: of an image, when nobody knows what this job cost."""
    money = entry.cost_usd
    if money is None and price is not None:
        money = price * entry.job.images
    if kind not in FETCHED_AGAIN and kind not in AS_DELIVERED and kind is not Kind.GONE:
        money = None
    return Finding(
        kind=kind, file=file, message=message, fix=fix, job=entry.job.key, price_usd=money, actual=actual,
        expected=expected, entry=entry,
    )  # fmt: skip


def gone(entry: Entry, file: str, cause: Cause, price: float | None) -> Finding:
    return of_job(Kind.GONE, entry, file, str(cause), Fix.PAID, price=price)
