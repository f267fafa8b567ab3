"""What a run would do, found out without doing it."""

import shutil
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any

from batcher.client.catalogue import Offer, ask, offline
from batcher.core.errors import AccountError, ServiceError
from batcher.core.job import Job, State
from batcher.core.naming import fold, with_key
from batcher.core.settings import Settings
from batcher.manifest import Draft, Manifest, Memory, Share
from batcher.manifest.sweep.counts import merged
from batcher.runner.progress import CHECKING, READING, Progress, counted, counting
from batcher.runner.relayout import due, is_due
from batcher.runner.run_dir import TYPICAL_BYTES, remembered_price
from batcher.runner.service import Options, open_service, read_draft, run_dir_of
from batcher.store import auditing, connect_to_read, has_state, reading

SHOWN = 5  # first jobs
_MOST_NAMED = 100_000  # jobs whose names are compared with those of the first ones of groups


async def plan(options: Options, say: Progress) -> dict[str, Any]:
    """Everything ``batcher plan`` shows, as JSON data. Spends and makes nothing. Raises ManifestError, UsageError."""
    draft, settings = read_draft(options)
    run_dir = run_dir_of(options, draft)
    with ExitStack() as held:
        held.callback(draft.close)
        known = held.enter_context(closing(connect_to_read(run_dir))) if has_state(run_dir) else None
        if known is not None:
            draft.recall(Memory.from_json(reading.meta(known, "check")), progress=counting(say, READING))
        offer = await _offer(options, draft, settings, known, say)
        manifest = draft.check(offer.schema, progress=counting(say, CHECKING))
        names = _Names(known, relayout=options.relayout)
        facts = _facts(manifest, settings, offer, run_dir, known, names, say)
        renamed = due(known, run_dir, manifest, say) if known is not None and options.relayout else 0
        return {**facts, "to_rename": renamed}


async def _offer(
    options: Options, draft: Draft, settings: Settings, known: sqlite3.Connection | None, say: Progress
) -> Offer:
    """From the service where it can be asked; a plan without a token or network is a plan all the same."""
    try:
        async with open_service(replace(options, base_url=options.base_url), None, say) as service:
            return await ask(service.api, draft.model, settings.price, patient=False)
    except (AccountError, ServiceError) as error:
        offer = offline(draft.model, settings.price, error.message)
        return replace(offer, price=remembered_price(known) if offer.price is None else offer.price)


def _facts(
    manifest: Manifest,
    settings: Settings,
    offer: Offer,
    run_dir: Path,
    known: sqlite3.Connection | None,
    names: "_Names",
    say: Progress,
) -> dict[str, Any]:
    """known: the state file of the run directory, None where there is none. names: those of its jobs."""
    parts = [_Part(share, _SUBMITTED[settings.in_doubt]) for share in manifest.by_group()]
    against = None if known is None else _against(manifest, known, parts, say)
    _sample(manifest, parts)
    price = offer.price
    new = sum(part.to_submit for part in parts)
    images = sum(part.to_submit * part.images for part in parts)
    return {
        "manifest": manifest.source,
        "run": str(run_dir),
        "model": manifest.model,
        "prompts": manifest.prompts,
        "texts": manifest.texts,
        "jobs": manifest.total,
        "jobs_without_limit": manifest.whole,
        "axes": merged(part.share.axes for part in parts),
        "groups": {part.share.name: part.told(price) for part in parts if part.share.name},
        "first": [
            {"path": f"images/{path}", "inputs": dict(job.inputs), "source": job.source, "line": job.line}
            for job, path in _first(manifest, parts, names)
        ],
        "to_submit": new,
        "price_usd": price,
        "cost_usd": None if price is None else round(images * price, 6),
        "cost_with_retries_usd": None if price is None else round(images * price * settings.attempts, 6),
        "seconds_at_rate": round(new / settings.rate, 1),
        "rate": settings.rate,
        "budget_usd": settings.budget,
        "bytes": round(images * TYPICAL_BYTES),
        "bytes_free": shutil.disk_usage(_existing(run_dir)).free,
        "against": against,
        "warnings": [*manifest.warnings, *offer.warnings],
    }


_SUBMITTED: dict[str, tuple[State | None, ...]] = {  # where jobs stand that a run pays for; None: that it has not yet
    "hold": (None, State.PENDING),
    "resubmit": (None, State.PENDING, State.IN_DOUBT, State.SUBMITTING),
}


class _Part:
    """A group of the manifest, or all of it. at: how many of its jobs stand where, those that are new as None.

    images: that one of its jobs asks for, by the mean of the first hundred. submitted: where jobs stand that a run
    pays for.
    """

    def __init__(self, share: Share, submitted: Sequence[State | None]) -> None:
        self.share = share
        self._submitted = submitted
        self.at: Counter[State | None] = Counter()
        self.images = 1.0
        self.first: list[Job] = []

    @property
    def to_submit(self) -> int:
        return sum(self.at[state] for state in self._submitted)

    def told(self, price: float | None) -> dict[str, Any]:
        return {
            "prompts": self.share.prompts,
            "texts": self.share.texts,
            "jobs": self.share.jobs,
            "axes": self.share.axes,
            "new": self.at[None],
            "unchanged": self.share.jobs - self.at[None],
            "to_submit": self.to_submit,
            "cost_usd": None if price is None else round(self.to_submit * self.images * price, 6),
        }


def _sample(manifest: Manifest, parts: Sequence[_Part]) -> None:
    start, each = 0, max(1, SHOWN // len(parts))
    for part in parts:
        jobs = list(islice(manifest.jobs(start), min(100, part.share.jobs)))
        part.first = jobs[:each]
        part.images = sum(job.images for job in jobs) / len(jobs) if jobs else 1.0
        if not part.at:
            part.at[None] = part.share.jobs
        start += part.share.jobs


def _first(manifest: Manifest, parts: Sequence[_Part], names: "_Names") -> list[tuple[Job, str]]:
    """The jobs that are shown, and the paths that a run gives them."""
    shown = parts[:SHOWN]
    first = {job.key: job for part in shown for job in part.first}
    apart = all(job.path.startswith(f"{part.share.name}/") for part in shown for job in part.first)
    if apart or len(shown) < 2:
        return [(job, names.take(job)) for job in first.values()]
    # Groups that share folders: a job of an earlier group may have the name of a shown one.
    wanted = {fold(job.path) for job in first.values()}
    before = islice(manifest.jobs(), min(_MOST_NAMED, sum(part.share.jobs for part in shown)))
    paths = {job.key: names.take(job) for job in before if fold(job.path) in wanted}
    return [(job, paths.get(job.key, job.path)) for job in first.values()]


class _Names:
    """No two jobs have one name: as the state file gives them (``store/roster.py``), found out without it.

    connection: to the state file, None where there is none. relayout: whether jobs that it knows are renamed first.
    """

    def __init__(self, connection: sqlite3.Connection | None, *, relayout: bool) -> None:
        self._connection, self._relayout = connection, relayout
        self._taken: set[int] = set()

    def take(self, job: Job) -> str:
        """The path of a job; to be asked in manifest order."""
        if self._connection is not None:
            row = reading.known(self._connection, [bytes.fromhex(job.key)]).get(bytes.fromhex(job.key))
            if row is not None:
                return job.path if self._relayout and is_due(job, row) else row[4]
            if auditing.by_path(self._connection, job.path) is not None:
                return with_key(job.path, job.key)
        name = fold(job.path)
        path = with_key(job.path, job.key) if name in self._taken else job.path
        self._taken.add(name)
        return path


def _against(
    manifest: Manifest, connection: sqlite3.Connection, parts: Sequence[_Part], say: Progress
) -> dict[str, int]:
    """The difference to an existing run directory; each group's own is noted."""
    whole = manifest.total == manifest.whole
    fingerprint = reading.meta(connection, "fingerprint")
    if whole and fingerprint == manifest.fingerprint and not manifest.groups:  # all that is listed is of it
        found, gone = reading.by_state(connection), 0
        new = manifest.total - sum(found.values())
    else:
        tell = counting(say, "comparing the manifest with earlier runs: {:,} jobs so far")
        order = chain.from_iterable(repeat(part.at, part.share.jobs) for part in parts)
        note = (lambda state: next(order).update([state])) if manifest.groups else None
        difference = reading.compare(connection, counted(manifest.jobs(), tell), note)
        found, gone, new = difference.at, len(difference.gone) if whole else 0, difference.new
    if not manifest.groups:
        parts[0].at[None] = new
        parts[0].at.update(found)
    at = {str(state): count for state, count in found.items()}
    return {
        "new": new,
        "unchanged": sum(at.values()),
        "gone": gone,
        "done": at.get("done", 0),
        "failed": at.get("failed", 0),
        "in_doubt": at.get("in_doubt", 0),
        "cancelled": at.get("cancelled", 0),
        "at_service": sum(at.get(name, 0) for name in ("submitting", "running", "ready")),
        "pending": at.get("pending", 0),
    }


def _existing(path: Path) -> Path:
    path = path.absolute()
    return path if path.exists() else _existing(path.parent)
