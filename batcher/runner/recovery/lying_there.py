"""Images that are already in the run directory are not paid for again, though the state file has their jobs as pending.

That happens after a state file was lost, or replaced by an older copy. The check costs one listing of each folder; what
this process wrote there since is of jobs that it had submitted. Files are read only where something lies.
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
from batcher.store.files.safe_reader import ASIDE, EXTENSIONS, IMAGES, SafeReader, sidecar_of, stem

_SEVERAL = 2  # any number of files above one has this first name


class LyingThere:
    """In the run directory of one run."""

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self._run_dir = context.state.path.parent
        self._names = lru_cache(maxsize=64)(self._listed)  # jobs come folder by folder

    async def take(self, entry: Entry) -> Entry | None:
        """DONE, when its image and its sidecar are in their place; RUNNING, when the image is not whole and the
        sidecar has the request id; IN_DOUBT for an image that no sidecar proves. None of this is paid for. Else None.
        """
        context, state = self.context, self.context.state
        if not entry.attempts and not self._is_possible(entry):
            return None
        if proof := await asyncio.to_thread(self._find, entry):
            attempt, files = proof
            if not files:
                return await self._collected_again(entry, attempt)
            saved = await context.queue.durable(state.find, attempt, files)
            context.files[entry.id] = files
            context.lay_there += 1
            self._count_as_spent(saved)
            return saved
        if entry.attempts or (file := self._unproved(entry)) is None:
            return None
        message = f"{file} is there without a complete sidecar: it may be this job's, and paid for"
        doubt = Cause(kind="unproved", message=message)
        self._count_as_spent(entry)
        return await context.queue.durable(lambda: state.doubt(state.claim(entry, context.wall()), doubt))

    async def _collected_again(self, entry: Entry, attempt: Entry) -> Entry:
        context, state, now = self.context, self.context.state, self.context.wall()
        before = replace(entry, attempts=max(0, attempt.attempts - 1))
        left, request_id = attempt.submitted_at or now, attempt.request_id or ""
        after = await context.queue.durable(lambda: state.accept(state.claim(before, left), request_id, now))
        if after.state is State.RUNNING:
            context.budget.hold(kind_of(entry.job.model, entry.job.inputs), entry.job.images)
        return after

    def _count_as_spent(self, entry: Entry) -> None:
        budget = self.context.budget
        budget.spent += entry.job.images * (budget.price or 0.0) if entry.cost_usd is None else entry.cost_usd

    def _is_possible(self, entry: Entry) -> bool:
        """Whether a file lies where the first one of a job that never left would."""
        folder, _, base = entry.path.rpartition("/")
        names = self._names(folder)
        return bool(names) and (folded(base) in names or folded(numbered(base, 0, _SEVERAL)) in names)

    def _listed(self, folder: str) -> frozenset[str]:
        """The first names of what lies in a folder of images, or lay there before a repair, as systems compare them."""
        names: set[str] = set()
        for top in (IMAGES, ASIDE):
            with suppress(OSError):
                names.update(folded(stem(name)) for name in os.listdir(self._run_dir / top / folder))  # noqa: PTH208
        return frozenset(names)

    def _find(self, entry: Entry) -> tuple[Entry, list[Artifact]] | None:
        """The job with the attempt that its sidecars tell of, and its files; none when not all are here and whole.

        Reads the files, so call it in a thread.
        """
        reader = SafeReader(self._run_dir)
        for count in (1, _SEVERAL):
            try:
                sidecar = read_sidecar(reader, f"{IMAGES}/{numbered(entry.path, 0, count)}.json")
            except Untrue:
                continue
            sidecars = siblings(reader, sidecar)
            files = [one.artifact for one in sidecars]
            if sidecar.entry.job.key != entry.job.key or sidecar.simulated is not self.context.simulated:
                continue
            whole = len(files) == sidecar.artifact.output_count and all(
                reader.sha256(file.file) == file.sha256 for file in files
            )
            if whole or sidecar.entry.request_id is not None:
                return with_attempt_of(sidecar, entry), files if whole else []
        return None

    def _unproved(self, entry: Entry) -> str | None:
        """A file that lies where the first one of the job would, or did before a repair, with no sidecar that proves
        whose it is. Links are left out: batcher never writes one.
        """
        reader = SafeReader(self._run_dir)
        for name in (entry.path, numbered(entry.path, 0, _SEVERAL)):
            for top in (IMAGES, ASIDE):
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
