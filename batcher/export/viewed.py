"""The images and jobs of a run that ``--where`` matches, with their verdicts."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from batcher.core.filter import IMAGE_FACTS, JOB_FACTS, Filter, verdict_of
from batcher.core.groups import group_key
from batcher.core.job import Entry
from batcher.core.where import look_up
from batcher.images.flagging import asked_for, of_jobs
from batcher.store import exporting, picks
from batcher.store.exporting import Image
from batcher.store.picks import Verdict


class Viewed(NamedTuple):
    """An image of a finished job of the manifest.

    chosen: what ``vars`` and ``repeat`` chose. verdict: None if there is none, or it is on earlier content.
    """

    image: Image
    inputs: Mapping[str, Any]
    meta: Mapping[str, Any]
    chosen: Mapping[str, Any]
    verdict: Verdict | None

    @property
    def place(self) -> tuple[str, int]:
        """Job key and output index."""
        return self.image.key, self.image.output_index

    @property
    def group(self) -> str:
        """The key of its group: the images that differ only in their seed."""
        return group_key(self.image.model, self.inputs)

    def value(self, name: str) -> Any:
        """The value of a name of ``--where``; None if it has none."""
        facts = {fact: getattr(self.image, fact) for fact in IMAGE_FACTS} | {"job": self.image.key}
        return look_up(name, self.inputs, self.meta, facts | (self.verdict.given if self.verdict else {}), self.chosen)

    @property
    def names(self) -> set[str]:
        """The names of its inputs, meta and choices, for ``--where``."""
        carried = {f"meta.{name}" for name in self.meta} | {f"chosen.{name}" for name in self.chosen}
        return {*self.inputs, *self.chosen, *carried}


def viewed(run_dir: Path, connection: sqlite3.Connection, where: Filter) -> Iterator[Viewed]:
    """The images that ``where`` matches, in the order of the state file. Raises UsageError, also at the end."""
    flags = asked_for(where.names, run_dir, connection)
    there = picks.read(run_dir)
    for image in exporting.images(connection, removed=False):
        place = image.key, image.output_index
        verdict = there.of(*place, image.sha256)
        inputs, meta, chosen = (json.loads(text) if text else {} for text in (image.inputs, image.meta, image.chosen))
        more = verdict_of(verdict.given if verdict else {}, flags.get(place, ()))
        if where(image, inputs, meta, chosen, more):
            yield Viewed(image, inputs, meta, chosen, verdict)
    where.check()


class JobFilter(Filter):
    """``--where`` over jobs, with or without images: it matches a job if it matches one of its images.

    text: the expression; None matches every job. run_dir: the run. connection: to its state file.
    verdicts: by job key, the verdicts on its images; stale ones are left out.
    """

    def __init__(self, text: str | None, run_dir: Path, connection: sqlite3.Connection) -> None:
        super().__init__(text, JOB_FACTS)
        self._flags = of_jobs(asked_for(self.names, run_dir, connection))
        self.verdicts: dict[str, list[Mapping[str, Any]]] = {}
        there = picks.read(run_dir)
        for image in exporting.images(connection, removed=False) if there else ():
            if verdict := there.of(image.key, image.output_index, image.sha256):
                self.verdicts.setdefault(image.key, []).append(verdict.given)

    def matches(self, entry: Entry) -> bool:
        """Whether the expression matches the job. Raises UsageError if it compares text with numbers by order."""
        job = entry.job
        of_job = {"state": str(entry.state)}
        flags = self._flags.get(job.key, ())
        for verdict in self.verdicts.get(job.key) or [{}]:
            if self(job, job.inputs, job.meta, job.chosen or {}, of_job | verdict_of(verdict, flags)):
                return True
        return False
