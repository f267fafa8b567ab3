"""A manifest into the job table: read once for each change of it, in one transaction that an error rolls back."""

from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

from batcher.core.shard import Shard
from batcher.images.media_contents import MediaContents
from batcher.manifest import Loader, Totals
from batcher.manifest.schema import ModelSchema
from batcher.runner.progress import READING, Progress, counting
from batcher.store import StateFile, additions
from batcher.store.facts import Planned
from batcher.store.listing import Listed, Listing


@dataclass(frozen=True, slots=True)
class Reading:
    """planned: what is in the table now. listed, totals: what changed and what was read; None when nothing was."""

    planned: Planned
    listed: Listed | None = None
    totals: Totals | None = None


def plan_jobs(
    state: StateFile,
    loader: Loader,
    schema: ModelSchema | None,
    *,
    limit: int | None,
    progress: Progress,
    run_dir: Path,
    shard: Shard | None = None,
    lenient: bool = False,
    contents: MediaContents | None = None,
) -> Reading:
    """Makes the rows of ``state`` those of the manifest, and of what ``more`` added beside it in ``run_dir``.

    shard: only the jobs of this part are written. lenient: what can hardly be meant is a warning and no error. With
    ``limit`` only the first so many are read and written, and rows beyond are left alone. contents: looks into the
    files that inputs are. Raises ManifestError, UsageError, DiskError; then nothing has changed.
    """
    loader.contents = contents
    added = list(additions.jobs(run_dir))
    part = [str(shard)] if shard else []
    digest = _digest(loader.digest(schema, progress=counting(progress, READING)), [*part, *(job.key for job in added)])
    before = state.facts.planned
    if before is not None and before.covers(digest, limit) and not (contents and contents.changed()):
        return Reading(before)
    with state.transaction(), nullcontext() if contents is None else closing(contents):
        listing = Listing(state, limit, shard)
        tell = counting(progress, "reading the manifest: {:,} prompts so far")
        for job in loader.jobs(schema, limit=limit, copies=listing.copies, progress=tell, lenient=lenient):
            listing.add(job)
        totals = loader.totals
        assert totals is not None
        if limit is None or totals.jobs < limit:
            room = None if limit is None else limit - totals.jobs
            listing.add_unless_there(added[:room])
        listed = listing.end()
        whole = None if totals.whole is None else max(totals.whole, listed.jobs)
        if shard is not None and whole is not None and (limit is None or totals.jobs == totals.whole):
            whole = listed.jobs
        planned = Planned(digest=digest, limit=limit, jobs=listed.jobs, whole=whole, warnings=totals.warnings)
        if contents is not None:
            contents.record()
        state.change_facts(lambda facts: replace(facts, planned=planned))
    return Reading(planned, listed, totals)


def _digest(of_manifest: str, keys: Sequence[str]) -> str:
    if not of_manifest or not keys:
        return of_manifest
    return blake2b("\n".join([of_manifest, *keys]).encode(), digest_size=16).hexdigest()
