"""What a run would do, found out without doing it."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from batcher.catalog import Offer, ask, offline
from batcher.errors import AccountError, ServiceError
from batcher.manifest import Draft, Manifest
from batcher.progress import Progress, checking
from batcher.rundir import TYPICAL_BYTES, remembered_price
from batcher.service import Options, open_service, read_draft, run_dir_of
from batcher.settings import Settings
from batcher.store import connect_to_read, has_state, reading

SHOWN = 5  # first jobs


async def plan(options: Options, say: Progress) -> dict[str, Any]:
    """Everything ``batcher plan`` shows, as JSON data. Spends and makes nothing. Raises ManifestError, UsageError."""
    draft, settings = read_draft(options)
    run_dir = run_dir_of(options, draft)
    offer = await _offer(options, draft, settings, run_dir, say)
    manifest = draft.check(offer.schema, progress=checking(say))
    try:
        return _facts(manifest, settings, offer, run_dir)
    finally:
        manifest.close()


async def _offer(options: Options, draft: Draft, settings: Settings, run_dir: Path, say: Progress) -> Offer:
    """From the service where it can be asked; a plan without a token or network is a plan all the same."""
    try:
        async with open_service(replace(options, base_url=options.base_url), None, say) as service:
            return await ask(service.api, draft.model, settings.price, patient=False)
    except (AccountError, ServiceError) as error:
        known = offline(draft.model, settings.price, error.message)
        price = remembered_price(run_dir) if known.price is None else known.price
        return replace(known, price=price)


def _facts(manifest: Manifest, settings: Settings, offer: Offer, run_dir: Path) -> dict[str, Any]:
    against = _against(manifest, run_dir)
    new = manifest.total if against is None else against["new"] + against["pending"]
    images = (
        1 if manifest.total == 0 else sum(job.images for job in islice(manifest.jobs(), 100)) / min(100, manifest.total)
    )
    price = offer.price
    return {
        "manifest": manifest.source,
        "run": str(run_dir),
        "model": manifest.model,
        "prompts": manifest.prompts,
        "jobs": manifest.total,
        "jobs_without_limit": manifest.whole,
        "axes": _axes(manifest),
        "first": [
            {"path": f"images/{job.path}", "inputs": dict(job.inputs), "source": job.source, "line": job.line}
            for job in islice(manifest.jobs(), SHOWN)
        ],
        "to_submit": new,
        "price_usd": price,
        "cost_usd": None if price is None else round(new * images * price, 6),
        "cost_with_retries_usd": None if price is None else round(new * images * price * settings.attempts, 6),
        "seconds_at_rate": round(new / settings.rate, 1),
        "rate": settings.rate,
        "budget_usd": settings.budget,
        "bytes": round(new * images * TYPICAL_BYTES),
        "bytes_free": shutil.disk_usage(_existing(run_dir)).free,
        "against": against,
        "warnings": [*manifest.warnings, *offer.warnings],
    }


def _axes(manifest: Manifest) -> Mapping[str, Mapping[str, int]]:
    return {name: dict(counts) for name, counts in manifest.count_by_axis().items()}


def _against(manifest: Manifest, run_dir: Path) -> dict[str, int] | None:
    """The difference to an existing run directory; None where there is none."""
    if not has_state(run_dir):
        return None
    connection = connect_to_read(run_dir)
    try:
        difference = reading.compare(connection, manifest.jobs())
    finally:
        connection.close()
    at = {str(state): count for state, count in difference.at.items()}
    whole = manifest.total == manifest.whole
    return {
        "new": difference.new,
        "unchanged": sum(at.values()),
        "gone": len(difference.gone) if whole else 0,
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
