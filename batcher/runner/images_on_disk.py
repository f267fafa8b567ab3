"""Takes in images that are already in the run directory, instead of paying for them again.

Their jobs are pending in the state file if an earlier one was lost or replaced by an older copy. Each folder is listed
once: files that this process writes later are of jobs that it submitted itself. Only existing files are read.
"""

import asyncio
import os
from contextlib import suppress
from functools import lru_cache

from msgspec.structs import replace

from batcher.core.budget import kind_of
from batcher.core.errors import Cause
from batcher.core.job import Artifact, Entry, State
from batcher.core.naming import folded, numbered
from batcher.runner.run_context import RunContext
from batcher.runner.sidecars import Untrue, read_sidecar, siblings, with_attempt_of
from batcher.store.files.safe_reader import EXTENSIONS, IMAGES, LOST_AND_FOUND, SafeReader, sidecar_of, stem

_SEVERAL = 2  # number of files of a job; every number above one gives the same first name


class ImagesOnDisk:
    """The images in one run directory: what is there is not paid for again. context: of the run."""

    def __init__(self, context: RunContext) -> None:
        self._table, self._tally, self._budget = context.table, context.tally, context.money.budget
        self._clock, self._simulated = context.clock, bool(context.api.simulated)
        self._run_dir = context.table.state.path.parent
        self._names = lru_cache(maxsize=64)(self._listed)  # jobs come folder by folder

    async def take(self, entry: Entry) -> Entry | None:
        """Move a pending job without a submit, or return None if it has no file.

        DONE: its images and sidecars are intact. RUNNING: an image is damaged, and the sidecar has the request id.
        IN_DOUBT: there is an image and no sidecar that belongs to it.
        """
        queue, state = self._table.queue, self._table.state
        if not entry.attempts and not self._is_possible(entry):
            return None
        if proof := await asyncio.to_thread(self._find, entry):
            attempt, files = proof
            if not files:
                return await self._collected_again(entry, attempt)
            saved = await queue.durable(state.find, attempt, files)
            self._table.files[entry.id] = files
            self._tally.taken_in += 1
            self._count_as_spent(saved)
            return saved
        if entry.attempts or (file := self._unproved(entry)) is None:
            return None
        message = f"{file} is there without a complete sidecar: it may be this job's, and paid for"
        doubt = Cause(kind="unproved", message=message)
        self._count_as_spent(entry)
        return await queue.durable(lambda: state.doubt(state.claim(entry, self._clock.wall()), doubt))

    async def _collected_again(self, entry: Entry, attempt: Entry) -> Entry:
        state, now = self._table.state, self._clock.wall()
        before = replace(entry, attempts=max(0, attempt.attempts - 1))
        left, request_id = attempt.submitted_at or now, attempt.request_id or ""
        after = await self._table.queue.durable(lambda: state.accept(state.claim(before, left), request_id, now))
        if after.state is State.RUNNING:
            self._budget.hold(kind_of(entry.job.model, entry.job.inputs), entry.job.images)
        return after

    def _count_as_spent(self, entry: Entry) -> None:
        budget = self._budget
        budget.spent += entry.job.images * (budget.price or 0.0) if entry.cost_usd is None else entry.cost_usd

    def _is_possible(self, entry: Entry) -> bool:
        """Whether there is a file with the name of the job's first image."""
        folder, _, base = entry.path.rpartition("/")
        names = self._names(folder)
        return bool(names) and (folded(base) in names or folded(numbered(base, 0, _SEVERAL)) in names)

    def _listed(self, folder: str) -> frozenset[str]:
        """Case-folded stems of the files in a folder of images, and of those that a repair moved away from it."""
        names: set[str] = set()
        for top in (IMAGES, LOST_AND_FOUND):
            with suppress(OSError):
                names.update(folded(stem(name)) for name in os.listdir(self._run_dir / top / folder))  # noqa: PTH208
        return frozenset(names)

    def _find(self, entry: Entry) -> tuple[Entry, list[Artifact]] | None:
        """The job with the attempt in its sidecars, and its files; no files if one is missing or damaged. None if there
        is no sidecar of this job. Blocks: it reads the files.
        """
        reader = SafeReader(self._run_dir)
        for count in (1, _SEVERAL):
            try:
                sidecar = read_sidecar(reader, f"{IMAGES}/{numbered(entry.path, 0, count)}.json")
            except Untrue:
                continue
            sidecars = siblings(reader, sidecar)
            files = [one.artifact for one in sidecars]
            if sidecar.entry.job.key != entry.job.key or sidecar.simulated is not self._simulated:
                continue
            whole = len(files) == sidecar.artifact.output_count and all(
                reader.sha256(file.file) == file.sha256 for file in files
            )
            if whole or sidecar.entry.request_id is not None:
                return with_attempt_of(sidecar, entry), files if whole else []
        return None

    def _unproved(self, entry: Entry) -> str | None:
        """A file with the name of the job's first image, also one that a repair moved away, without a valid sidecar.

        Links are ignored: batcher never writes one.
        """
        reader = SafeReader(self._run_dir)
        for name in (entry.path, numbered(entry.path, 0, _SEVERAL)):
            for top in (IMAGES, LOST_AND_FOUND):
                for path in (f"{top}/{name}.{word}" for word in sorted(EXTENSIONS - {"json", "part"})):
                    place = self._run_dir / path
                    if place.is_file() and not place.is_symlink() and not _is_proved(reader, sidecar_of(path)):
                        return path
        return None


def _is_proved(reader: SafeReader, sidecar: str) -> bool:
    try:
        read_sidecar(reader, sidecar)
    except Untrue:
        return False
    return True
