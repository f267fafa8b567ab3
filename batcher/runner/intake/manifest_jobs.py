"""Writes a manifest to the job table, in one transaction that an error rolls back.

An unchanged manifest is not read again: the state file holds a digest of its bytes, flags and schema.
"""

from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

from batcher.core.shard import Shard
from batcher.images.media_contents import MediaContents
from batcher.manifest import Loader, Totals
from batcher.manifest.schema import ModelSchema
from batcher.runner.progress import READING, Says, counting
from batcher.store import StateFile, additions
from batcher.store.facts import Planned
from batcher.store.listing import Listed, Listing


@dataclass(frozen=True, slots=True)
class Reading:
    """planned: what is in the table now. listed: the changes to the table; totals: of the manifest; both None if it was
    not read again.
    """

    planned: Planned
    listed: Listed | None = None
    totals: Totals | None = None


def plan_jobs(
    state: StateFile, loader: Loader, schema: ModelSchema | None, *, limit: int | None, progress: Says,
    run_dir: Path, shard: Shard | None = None, lenient: bool = False, contents: MediaContents | None = None,
) -> Reading:  # fmt: skip
    """Make the rows of ``state`` the jobs of the manifest, and of what ``batcher more`` added in ``run_dir``.

    schema: of the model, None if unknown. limit: read and write only this many of the first jobs; later rows stay as
    they are. progress: shows how far the reading is. shard: write only the jobs of this part. lenient: report probable
    mistakes as warnings, not as errors. contents: reads the files that jobs have as inputs.

    Raises ManifestError, UsageError, DiskError; then nothing has changed.
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
        listing.add_unless_there(added if limit is None else added[: max(0, limit - totals.jobs)])
        listed = listing.end()
        whole = None if totals.whole is None else max(totals.whole, listed.jobs)
        if shard is not None and whole is not None and (limit is None or totals.jobs == totals.whole):
            whole = listed.jobs
        planned = Planned(
            digest=digest, limit=limit, jobs=listed.jobs, whole=whole, warnings=totals.warnings,
            prompt_input=totals.prompt_input,
        )  # fmt: skip
        if contents is not None:
            contents.record()
        state.change_facts(lambda facts: replace(facts, planned=planned))
    return Reading(planned, listed, totals)


def _digest(of_manifest: str, keys: Sequence[str]) -> str:
    """Of the manifest and the keys of further jobs; empty if the manifest has none."""
    if not of_manifest or not keys:
        return of_manifest
    return blake2b("\n".join([of_manifest, *keys]).encode(), digest_size=16).hexdigest()
