"""What a run would do, found out without doing it: the manifest goes into a state file that is thrown away."""

import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from batcher.client.catalogue import Offer, ask, offline
from batcher.core.errors import AccountError, ServiceError
from batcher.core.job import State
from batcher.core.naming import with_key
from batcher.core.settings import Settings
from batcher.manifest import Loader, Share, Totals
from batcher.runner.manifest_jobs import plan_jobs
from batcher.runner.progress import Progress
from batcher.runner.run_dir import TYPICAL_BYTES, remembered_price
from batcher.runner.service import Options, open_service, read_manifest, run_dir_of
from batcher.store import STATE, StateFile, connect_to_read, has_state

SHOWN = 5  # first jobs
NEW = "new"  # where a job stands that the run directory does not know
_SUBMITTED = {  # where jobs stand that a run pays for
    "hold": (NEW, State.PENDING),
    "resubmit": (NEW, State.PENDING, State.IN_DOUBT, State.SUBMITTING),
}


async def plan(options: Options, say: Progress) -> dict[str, Any]:
    """Everything ``batcher plan`` shows, as JSON data. Spends and makes nothing. Raises ManifestError, UsageError."""
    loader, settings = read_manifest(options)
    run_dir = run_dir_of(options, loader)
    with ExitStack() as held:
        held.callback(loader.close)
        known = held.enter_context(closing(connect_to_read(run_dir))) if has_state(run_dir) else None
        offer = await _offer(options, loader, settings, known, say)
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="batcher-")))
        state = StateFile(folder / STATE)
        try:
            read = plan_jobs(state, loader, offer.schema, limit=options.overrides.limit, progress=say, run_dir=run_dir)
        finally:
            state.close()
        assert read.totals is not None
        table = held.enter_context(closing(known_and_planned(known, folder)))
        return _facts(loader, read.totals, settings, offer, run_dir, _Difference(table, known is not None))


def known_and_planned(known: sqlite3.Connection | None, folder: Path) -> sqlite3.Connection:
    """A connection with the planned jobs as ``planned.jobs`` and those of the run directory as ``main.jobs``."""
    connection = connect_to_read(folder) if known is None else known
    connection.execute("ATTACH DATABASE ? AS planned", (f"{(folder / STATE).absolute().as_uri()}?mode=ro",))
    return connection


async def _offer(
    options: Options, loader: Loader, settings: Settings, known: sqlite3.Connection | None, say: Progress
) -> Offer:
    """From the service where it can be asked; a plan without a token or network is a plan all the same."""
    try:
        async with open_service(options, None, say) as service:
            return await ask(service.api, loader.model, settings.price, patient=False)
    except (AccountError, ServiceError) as error:
        offer = offline(loader.model, settings.price, error.message)
        return replace(offer, price=remembered_price(known) if offer.price is None else offer.price)


@dataclass(slots=True)
class _Part:
    """A group of the manifest, or all of it. at: jobs by where they stand; images: that these ask for."""

    share: Share
    at: Counter[str] = field(default_factory=Counter)
    images: Counter[str] = field(default_factory=Counter)

    def as_json(self, price: float | None, submitted: Sequence[str]) -> dict[str, Any]:
        to_submit = sum(self.at[state] for state in submitted)
        images = sum(self.images[state] for state in submitted)
        return {
            "prompts": self.share.prompts,
            "texts": self.share.texts,
            "jobs": self.share.jobs,
            "axes": self.share.axes,
            "new": self.at[NEW],
            "unchanged": self.share.jobs - self.at[NEW],
            "to_submit": to_submit,
            "cost_usd": None if price is None else round(images * price, 6),
        }


class _Difference:
    """The planned jobs against those of a run directory. against: whether there is one."""

    def __init__(self, connection: sqlite3.Connection, against: bool) -> None:
        self._connection = connection
        self._against = against

    def part(self, share: Share, start: int) -> _Part:
        """start: position of its first job."""
        part = _Part(share)
        state = f"coalesce(r.state, '{NEW}')" if self._against else f"'{NEW}'"
        rows = self._connection.execute(
            f"SELECT {state}, count(*), sum(p.images) FROM planned.jobs p LEFT JOIN main.jobs r ON r.key = p.key"
            " WHERE p.position >= ? AND p.position < ? GROUP BY 1",
            (start, start + share.jobs),
        )
        for where, jobs, images in rows:
            part.at[where], part.images[where] = jobs, images
        return part

    def as_json(self, at: Counter[str], *, limited: bool) -> dict[str, int] | None:
        if not self._against:
            return None
        (gone,) = self._connection.execute(
            "SELECT count(*) FROM main.jobs r WHERE r.position IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM planned.jobs p WHERE p.key = r.key)"
        ).fetchone()
        known = at.total() - at[NEW]
        at_service = at[State.SUBMITTING] + at[State.RUNNING] + at[State.READY]
        return {
            "new": at[NEW],
            "unchanged": known,
            "gone": 0 if limited else gone,
            **{name: at[name] for name in ("done", "failed", "in_doubt", "cancelled")},
            "at_service": at_service,
            "pending": at[State.PENDING],
        }

    def first(self, starts: Sequence[int], each: int) -> list[dict[str, Any]]:
        """The first jobs from each of these positions on, with the paths that a run gives them."""
        jobs: dict[int, dict[str, Any]] = {}
        for start in starts:
            rows = self._connection.execute(
                "SELECT position, key, path, name, inputs, source, line FROM planned.jobs"
                " WHERE position >= ? ORDER BY position LIMIT ?",
                (start, each),
            )
            for position, key, path, name, inputs, source, line in rows:
                where = self._path(key, path, name)
                jobs[position] = {"path": where, "inputs": json.loads(inputs), "source": source, "line": line}
        return [jobs[position] for position in sorted(jobs)][:SHOWN]

    def _path(self, key: str, path: str, name: str) -> str:
        if not self._against:
            return path
        row = self._connection.execute(
            "SELECT key, path FROM main.jobs WHERE key = ?1 OR name = ?2 ORDER BY key = ?1 DESC", (key, name)
        ).fetchone()
        if row is None:
            return path
        return str(row[1]) if row[0] == key else with_key(path, key)


def _facts(
    loader: Loader, totals: Totals, settings: Settings, offer: Offer, run_dir: Path, difference: _Difference
) -> dict[str, Any]:
    parts, starts, at = [], [], 0
    for share in totals.shares:
        parts.append(difference.part(share, at))
        starts.append(at)
        at += share.jobs
    submitted, price = _SUBMITTED[settings.in_doubt], offer.price
    states = sum((part.at for part in parts), Counter[str]())
    new = sum(states[state] for state in submitted)
    images = sum(part.images[state] for part in parts for state in submitted)
    limited = totals.whole is None or totals.jobs < totals.whole
    return {
        "manifest": loader.source,
        "run": str(run_dir),
        "model": loader.model,
        "prompts": totals.prompts,
        "texts": totals.texts,
        "jobs": totals.jobs,
        "jobs_without_limit": totals.whole,
        "axes": totals.axes,
        "groups": {part.share.name: part.as_json(price, submitted) for part in parts if part.share.name},
        "first": difference.first(starts[:SHOWN], max(1, SHOWN // max(1, len(parts)))),
        "to_submit": new,
        "price_usd": price,
        "cost_usd": None if price is None else round(images * price, 6),
        "cost_with_retries_usd": None if price is None else round(images * price * settings.attempts, 6),
        "seconds_at_rate": round(new / settings.rate, 1),
        "rate": settings.rate,
        "budget_usd": settings.budget,
        "bytes": round(images * TYPICAL_BYTES),
        "bytes_free": shutil.disk_usage(_existing(run_dir)).free,
        "against": difference.as_json(states, limited=limited),
        "warnings": [*totals.warnings, *offer.warnings],
    }


def _existing(path: Path) -> Path:
    path = path.absolute()
    return path if path.exists() else _existing(path.parent)
