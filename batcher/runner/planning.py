"""What a run would do, for ``batcher plan``: writes the manifest to a temporary state file."""

import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from batcher.client.catalogue import Offer, ask, offline
from batcher.client.token import base_url
from batcher.core.errors import AccountError, ServiceError
from batcher.core.job import State
from batcher.core.settings import Settings
from batcher.manifest import Loader, Share, Totals
from batcher.runner.intake import media_inputs
from batcher.runner.intake.manifest_jobs import plan_jobs
from batcher.runner.intake.remote_manifest import Remote, brought
from batcher.runner.progress import Says
from batcher.runner.run_dir import TYPICAL_BYTES, other_split
from batcher.runner.service import Options, open_service, read_manifest, run_dir_of
from batcher.store import STATE, StateFile, connect_to_read, has_state, read_facts
from batcher.store.difference import NEW, Difference, Stand

SHOWN = 5  # jobs to show
_SUBMITTED = {  # states of jobs that a run pays for
    "hold": (NEW, State.PENDING),
    "resubmit": (NEW, State.PENDING, State.IN_DOUBT, State.SUBMITTING),
}


async def plan(options: Options, say: Says, content: Path | None = None) -> dict[str, Any]:
    """Everything ``batcher plan`` shows, as JSON. It spends and changes nothing. Raises ManifestError, UsageError.

    content: the file with the manifest's bytes, if they are written to its path only when it is run.
    """
    async with brought(options) as (kept, remote):
        return await _plan(kept, remote, say, content)


async def _plan(options: Options, remote: Remote | None, say: Says, content: Path | None) -> dict[str, Any]:
    loader, settings = read_manifest(options, content if remote is None else remote.path)
    with ExitStack() as held:
        held.callback(loader.close)
        run_dir = run_dir_of(options, loader)
        recorded = held.enter_context(closing(connect_to_read(run_dir))) if has_state(run_dir) else None
        offer, missing = await _offer(options, loader, settings, recorded, say)
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="batcher-")))
        with closing(StateFile(folder / STATE, is_scratch=True)) as state:
            place = media_inputs.place_of(options.media, loader)
            files = media_inputs.contents(state, place, say, recorded)
            read = plan_jobs(
                state, loader, offer.schema, limit=options.overrides.limit, progress=say, run_dir=run_dir,
                shard=options.shard, lenient=True, contents=files,
            )  # fmt: skip
        assert read.totals is not None
        difference = held.enter_context(closing(Difference(folder, None if recorded is None else run_dir)))
        facts = {**_facts(loader, read.totals, settings, offer, run_dir, difference), "missing": missing}
        if words := other_split(run_dir, options.shard):
            facts["warnings"].append(words)
        if remote is not None and remote.warning:
            facts["warnings"].append(remote.warning)
        if amount := files.amount():
            facts["media"] = {"place": place, **amount}
            is_here = options.simulate or urlsplit(base_url(options.base_url)).hostname in media_inputs.LOOPBACK
            facts["warnings"] += (*files.warnings(), *media_inputs.check_place(place, settings, is_here=is_here))
        return facts if options.shard is None else {**facts, "shard": str(options.shard), "jobs": read.planned.jobs}


async def _offer(
    options: Options, loader: Loader, settings: Settings, recorded: sqlite3.Connection | None, say: Says
) -> tuple[Offer, str]:
    """Schema and price, from the service or offline; and, in words, what a run would still need, empty if nothing."""
    try:
        async with open_service(options, None, say) as service:
            unchecked = settings.no_schema_check
            return await ask(service.api, loader.model, settings.price, patient=False, unchecked=unchecked), ""
    except (AccountError, ServiceError) as error:
        offer = offline(loader.model, settings.price, error.message, unchecked=settings.no_schema_check)
        if offer.price is None and recorded is not None:
            offer = replace(offer, price=read_facts(recorded).price_usd)
        return offer, _in_the_way(error)


def _in_the_way(error: AccountError | ServiceError) -> str:
    """Why a run could not start now, although the plan succeeds."""
    if isinstance(error, AccountError):
        return f"{error.message}: `batcher run` needs one (`batcher help service` says where to get it)"
    return f"{error.message}: `batcher run` would stop here"


@dataclass(frozen=True, slots=True)
class _Part:
    """A group of the manifest, or all of it. share: its counts. stand: the states of its jobs in the run directory."""

    share: Share
    stand: Stand

    def as_json(self, price: float | None, submitted: Sequence[str]) -> dict[str, Any]:
        images = self.stand.images_at(submitted)
        return {
            "prompts": self.share.prompts,
            "texts": self.share.texts,
            "jobs": self.share.jobs,
            "axes": self.share.axes,
            "new": self.stand.jobs[NEW],
            "unchanged": self.share.jobs - self.stand.jobs[NEW],
            "to_submit": self.stand.jobs_at(submitted),
            "cost_usd": None if price is None else round(images * price, 6),
        }


def _facts(
    loader: Loader, totals: Totals, settings: Settings, offer: Offer, run_dir: Path, difference: Difference
) -> dict[str, Any]:
    parts, starts, at = [], [], 0
    for share in totals.shares:
        parts.append(_Part(share, difference.stand(at, share.jobs)))
        starts.append(at)
        at += share.jobs
    submitted, price = _SUBMITTED[settings.in_doubt], offer.price
    whole = sum((part.stand for part in parts), difference.stand(at, None))  # and jobs that ``more`` added
    new, images = whole.jobs_at(submitted), whole.images_at(submitted)
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
        "first": difference.first(starts[:SHOWN], max(1, SHOWN // max(1, len(parts))), SHOWN),
        "to_submit": new,
        "price_usd": price,
        "cost_usd": None if price is None else round(images * price, 6),
        "cost_with_retries_usd": None if price is None else round(images * price * settings.attempts, 6),
        "seconds_at_rate": round(new / settings.rate, 1),
        "rate": settings.rate,
        "budget_usd": settings.budget,
        "bytes": round(images * TYPICAL_BYTES),
        "bytes_free": shutil.disk_usage(_existing(run_dir)).free,
        "against": _against(difference, whole, limited=limited),
        "columns": totals.columns,
        "prompt_input": totals.prompt_input,
        "warnings": [*totals.warnings, *offer.warnings],
    }


def _against(difference: Difference, whole: Stand, *, limited: bool) -> dict[str, int] | None:
    """Numbers of jobs in the run directory, by state; None if there is none."""
    if not difference.against:
        return None
    jobs = whole.jobs
    return {
        "new": jobs[NEW],
        "unchanged": jobs.total() - jobs[NEW],
        "gone": 0 if limited else difference.gone(),
        **{name: jobs[name] for name in ("done", "failed", "in_doubt", "cancelled")},
        "at_service": whole.jobs_at((State.SUBMITTING, State.RUNNING, State.READY)),
        "pending": jobs[State.PENDING],
    }


def _existing(path: Path) -> Path:
    path = path.absolute()
    return path if path.exists() else _existing(path.parent)
