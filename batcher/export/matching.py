"""The images and jobs of a run that ``--where`` matches, with their verdicts."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from json.scanner import make_scanner
from pathlib import Path
from typing import Any, NamedTuple

from batcher.core.filter import IMAGE_FACTS, JOB_FACTS, Filter, verdict_of
from batcher.core.groups import group_key
from batcher.core.job import Entry
from batcher.core.where import look_up
from batcher.export.columns import FACTS, Places
from batcher.images.flagging import asked_for, of_jobs
from batcher.store import exporting, picks
from batcher.store.exporting import Image
from batcher.store.picks import Verdict
from batcher.store.prompts import Prompts, text_of

NOTHING: Mapping[str, Any] = {}
ATTRIBUTES = {name: name for name in IMAGE_FACTS} | {"job": "key", "source_sha256": "sha256"}  # by name in templates
# A third of the time of json.loads; for text that batcher wrote.
_scan: Callable[[str, int], Any] = make_scanner(json.JSONDecoder())  # type: ignore[arg-type]  # typeshed: of itself


class Sample(NamedTuple):
    """An image of a finished job.

    inputs: as sent. shown: the same, with the prompt also under the name ``prompt``. meta: of the manifest, empty if it
    has none.
    chosen: what ``vars`` and ``repeat`` chose. verdict: None if there is none, or it is on earlier content.
    split, name, extension: set by an export: its split; its file name, safe for every reader, without extension; the
    extension of the file to be written.
    """

    image: Image
    inputs: Mapping[str, Any]
    shown: Mapping[str, Any]
    meta: Mapping[str, Any]
    chosen: Mapping[str, Any]
    verdict: Verdict | None
    split: str = ""
    name: str = ""
    extension: str = ""

    @property
    def place(self) -> tuple[str, int]:
        """Job key and output index."""
        return self.image.key, self.image.output_index

    @property
    def group(self) -> str:
        """The key of its group: the images that differ only in their seed."""
        return group_key(self.image.model, self.inputs)

    @property
    def given(self) -> Mapping[str, Any]:
        """``pick``, ``stars`` and ``tags`` of the verdict, those that were given."""
        return NOTHING if self.verdict is None else self.verdict.given

    @property
    def places(self) -> Places:
        return self.shown, self.meta, self.chosen, self.given

    @property
    def prompt(self) -> str:
        """The prompt; "" if there is none, or it is not a text."""
        return text_of(self.shown)

    @property
    def facts(self) -> dict[str, Any]:
        """The columns that every export has, by the names of ``columns.FACTS``."""
        return {name: getattr(self.image, ATTRIBUTES[name]) for name in FACTS}

    def value(self, name: str) -> Any:
        """The value of a name of ``--where`` or of a template's field; None if it has none."""
        attribute = ATTRIBUTES.get(name)
        facts = self.given if attribute is None else {name: getattr(self.image, attribute)}
        return look_up(name, self.shown, self.meta, facts, self.chosen)

    @property
    def names(self) -> set[str]:
        """The names of its inputs, meta and choices, for ``--where``."""
        carried = {f"meta.{name}" for name in self.meta} | {f"chosen.{name}" for name in self.chosen}
        return {*self.shown, *self.chosen, *carried}


class Matching:
    """The images of a run that ``where`` matches.

    run_dir: of the verdicts and measures. connection: to its state file; the caller closes it. picks: the verdicts of
    the run, as they were when this was made.
    """

    def __init__(self, run_dir: Path, connection: sqlite3.Connection, where: Filter) -> None:
        self._connection = connection
        self._where = where
        self._flags = asked_for(where.names, run_dir, connection)
        self._prompts = Prompts(run_dir)
        self.picks = picks.read(run_dir)

    def images(self, *, removed: bool = False, by_arrival: bool = False, again: bool = False) -> Iterator[Sample]:
        """removed, by_arrival: as of ``exporting.images``. again: ``where`` has seen the names of all images before.

        Raises UsageError for an order between text and numbers.
        """
        where, flags, there = self._where, self._flags, self.picks or None
        every = again and not where.names
        meta, carried = NOTHING, ""  # images of a prompt mostly follow each other, with the same meta: decode it once
        for image in exporting.images(self._connection, removed=removed, by_arrival=by_arrival):
            verdict = there.of(image.key, image.output_index, image.sha256) if there is not None else None
            if (image.meta or "") != carried:
                carried, meta = image.meta or "", decoded(image.meta)
            inputs = _scan(image.inputs, 0)[0]
            shown = self._prompts.inputs(image.job, inputs)
            sample = Sample(image, inputs, shown, meta, decoded(image.chosen), verdict)
            more = verdict_of(sample.given, flags.get(sample.place, ())) if where.names else NOTHING
            if every or where(image, shown, meta, sample.chosen, more):
                yield sample


def matching_images(run_dir: Path, connection: sqlite3.Connection, where: Filter) -> Iterator[Sample]:
    """The images that ``where`` matches, in the order of the state file. Raises UsageError, also at the end."""
    yield from Matching(run_dir, connection, where).images()
    where.check()


def decoded(text: str | None) -> Any:
    """A JSON object of the state file; an empty one for none."""
    return _scan(text, 0)[0] if text else NOTHING


class JobFilter(Filter):
    """``--where`` over jobs, with or without images: it matches a job if it matches one of its images.

    text: the expression; None matches every job. run_dir: the run. connection: to its state file.
    prompts: of the jobs. verdicts: by job key, the verdicts on its images; stale ones are left out.
    """

    def __init__(self, text: str | None, run_dir: Path, connection: sqlite3.Connection) -> None:
        super().__init__(text, JOB_FACTS)
        self._flags = of_jobs(asked_for(self.names, run_dir, connection))
        self.prompts = Prompts(run_dir)
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
        inputs = self.prompts.inputs(entry.id, job.inputs)
        for verdict in self.verdicts.get(job.key) or [{}]:
            if self(job, inputs, job.meta, job.chosen or {}, of_job | verdict_of(verdict, flags)):
                return True
        return False
