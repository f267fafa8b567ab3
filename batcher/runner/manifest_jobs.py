"""A manifest into the job table: read once for each change of it, in one transaction that an error rolls back."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

from batcher.core.shard import Shard
from batcher.images.media_contents import MediaContents
from batcher.manifest import Loader, Totals
from batcher.manifest.schema import ModelSchema
from batcher.runner.progress import READING, Progress, counting
from batcher.store import StateFile, additions, reading
from batcher.store.listing import Listed, Listing
from batcher.store.transactions import GLANCE, PATIENCE, busy, disk_problem

PLANNED = "planned"  # the fact in ``meta``
_CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What the table holds of a manifest.

    digest: of its bytes, flags and schema. limit: positions below it were written, None for all. jobs: how many that
    are. whole: how many there are in all, None where ``limit`` ended the reading before they were counted. warnings: of
    the manifest, one line each.
    """

    digest: str
    limit: int | None
    jobs: int
    whole: int | None
    warnings: tuple[str, ...] = ()

    def covers(self, digest: str, limit: int | None) -> bool:
        """Whether the table holds all that a run with these would read."""
        if not digest or digest != self.digest:
            return False
        return self.limit is None or self.jobs == self.whole or (limit is not None and limit <= self.limit)

    def within(self, limit: int | None) -> int:
        """How many of its jobs a run with this limit makes."""
        return self.jobs if limit is None else min(self.jobs, limit)


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
    run_dir: Path | None = None,
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
    added = [] if run_dir is None else list(additions.jobs(run_dir))
    part = [str(shard)] if shard else []
    digest = _digest(loader.digest(schema, progress=counting(progress, READING)), [*part, *(job.key for job in added)])
    before = planned_before(state.connection)
    if before is not None and before.covers(digest, limit) and not (contents and contents.changed()):
        return Reading(before)
    with _transaction(state):
        listing = Listing(state, limit, shard)
        tell = counting(progress, "reading the manifest: {:,} prompts so far")
        for job in loader.jobs(schema, limit=limit, copies=listing.copies, progress=tell, lenient=lenient):
            listing.add(job)
        totals = loader.totals
        assert totals is not None
        if limit is None or totals.jobs < limit:
            room = None if limit is None else limit - totals.jobs
            for chunk in _chunks(added[:room]):
                listing.add_unless_there(chunk)
        listed = listing.end()
        whole = None if totals.whole is None else max(totals.whole, listed.jobs)
        if shard is not None and whole is not None and (limit is None or totals.jobs == totals.whole):
            whole = listed.jobs
        planned = Planned(digest=digest, limit=limit, jobs=listed.jobs, whole=whole, warnings=totals.warnings)
        if contents is not None:
            contents.record()
        state.set_meta(**{PLANNED: asdict(planned)})
    return Reading(planned, listed, totals)


def planned_before(connection: sqlite3.Connection) -> Planned | None:
    """What the last reading came to; None where there was none that this version understands."""
    facts: dict[str, Any] | None = reading.meta(connection, PLANNED)
    try:
        return None if facts is None else Planned(**{**facts, "warnings": tuple(facts["warnings"])})
    except (KeyError, TypeError):
        return None


@contextmanager
def _transaction(state: StateFile) -> Iterator[None]:
    """All or nothing, and on the disk at the end."""
    until = time.monotonic() + PATIENCE
    while not state.begin():
        if time.monotonic() > until:
            raise busy(state.path)
        time.sleep(GLANCE)
    try:
        yield
        state.seal()
    except sqlite3.OperationalError as error:
        state.roll_back()
        raise disk_problem(error, state.path) from error
    except BaseException:
        state.roll_back()
        raise


def _digest(of_manifest: str, keys: Sequence[str]) -> str:
    if not of_manifest or not keys:
        return of_manifest
    return blake2b("\n".join([of_manifest, *keys]).encode(), digest_size=16).hexdigest()


def _chunks(jobs: Sequence[Any]) -> Iterator[list[Any]]:
    walk = iter(jobs)
    while chunk := list(islice(walk, _CHUNK)):
        yield chunk
