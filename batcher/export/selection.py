"""Selects the images of a run that an export includes, and names them. Reads them twice, from one snapshot.

The first pass collects what must hold for all rows (columns, names, missing files), and writes nothing. The second pass
gives the images to be written. Memory between them is eight bytes for each image, for its name.
"""

import json
import os
import re
import sqlite3
import stat
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import file_digest
from pathlib import Path
from typing import Any, NamedTuple

from batcher.core.errors import DiskError, UsageError
from batcher.core.filter import IMAGE_FACTS, Filter
from batcher.core.job import State
from batcher.core.naming import prompt_id
from batcher.core.where import look_up
from batcher.export.matching import ATTRIBUTES, NOTHING, Matching, Sample, decoded
from batcher.export.request import Order
from batcher.images import storage
from batcher.images.kinds import AVIF, GIF, JPEG, PNG, WEBP
from batcher.store import exporting, read_facts, reading
from batcher.store.exporting import Image
from batcher.store.files.inside import Folders, is_plain, leads_inside
from batcher.store.joined import name_of, runs_of, whose
from batcher.store.prompts import Prompts

EXTENSIONS = {kind.mime: kind.extension for kind in (PNG, JPEG, WEBP, GIF, AVIF)}
_CLEAN = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,79}")
_SPLIT_WORD = re.compile(
    r"(?:^|[-0-9])(?:train|training|validation|valid|dev|val|test|testing|eval|evaluation)(?:[-0-9]|$)", re.IGNORECASE
)


class Selection:
    """The selected images of a run.

    order: the export. connection: to the state file, in a transaction that stays open.
    simulated: whether a simulator made the images.
    left: number of images that are left out, by reason.
    missing: the first few files that are missing or damaged.
    prompts: of the jobs. jobs: number of jobs with a selected image.
    without: number of selected jobs without an image, by state.
    """

    def __init__(self, order: Order, connection: sqlite3.Connection) -> None:
        self._order = order
        self._connection = connection
        self.simulated = bool(read_facts(connection).simulated)
        self._where = Filter(order.where, IMAGE_FACTS)
        self._matching = Matching(order.run, connection, self._where)
        self.prompts = Prompts(order.run)
        self.jobs = 0
        self.without: Counter[State] = Counter()
        self._bad: set[tuple[str, int]] = set()
        self._homes = {
            run: _Home(run, Folders(run.absolute(), run.absolute() / "images"), storage.url_of(run) is not None)
            for run in runs_of(order.run)
        }
        self._links: dict[str, str] = {}
        self.left: Counter[str] = Counter()
        self.missing: list[str] = []

    def path(self, image: Image) -> str:
        """The path of the file of an image; of the link's target if it is a link."""
        if self._links and image.file in self._links:
            return self._links[image.file]
        home, file = self._home(image)
        return f"{home.folders.base}/{file}"

    def _home(self, image: Image) -> "tuple[_Home, str]":
        """The run directory that has the image, and the file's name there."""
        run, file = whose(self._order.run, image.file)
        return self._homes[run], file

    def first_look(self) -> Iterator[Sample]:
        """The first pass: every selected image whose file is there, and counts. Raises DiskError, and at the end
        UsageError if ``--where`` or ``--split-by`` uses an unknown name.
        """
        last = -1
        for sample in storage.brought(self._order.run, self._selected(is_first=True), _recorded):
            self.jobs += sample.image.job != last
            last = sample.image.job
            if self._is_there(sample.image):
                yield sample
            else:
                self._bad.add(sample.place)
        self._count_without()
        self._where.check()
        by = self._order.split_by
        if by != "job" and by not in self._where.seen:
            raise UsageError(f"--split-by {by}: there is no such column", hint="Use job, prompt, or meta.NAME.")

    @property
    def names(self) -> set[str]:
        """The names that a template can use, after the first pass."""
        return self._where.seen | ATTRIBUTES.keys()

    @property
    def warnings(self) -> list[str]:
        return self._where.warnings()

    def report(self, place: Path, began: float, notes: Sequence[str], **facts: Any) -> dict[str, Any]:
        """The report of an export, as JSON data.

        place: where it was written. began: when, as of ``time.monotonic``. notes: sentences for the user. facts: fields
        that differ from an export that wrote nothing.
        """
        run, to = self._order.run, self._order.to
        return {
            "run": name_of(run), "runs": list(map(str, runs_of(run))), "export": str(place), "to": to, "pictures": 0,
            "jobs": self.jobs, "splits": {}, "bytes": 0, "linked": 0, "copied": 0, "written": 0, "unchanged": 0,
            "removed": 0, "without_picture": 0, "without_picture_by_state": {}, "left_out": dict(self.left),
            "missing": self.missing, "not_embedded": 0, "not_embedded_examples": [],
            "notes": [*self.warnings, *notes], "simulated": self.simulated,
            "seconds": round(time.monotonic() - began, 3), "exit_code": 3 if self.missing else 0, **facts,
        }  # fmt: skip

    def again(self, *, by_arrival: bool = False) -> Iterator[Sample]:
        """The second pass: the images of ``first_look``. by_arrival: in the order in which they were downloaded."""
        for sample in self._selected(by_arrival=by_arrival):
            if not self._bad or sample.place not in self._bad:
                yield sample

    def asked(self) -> Iterator[tuple[exporting.Asked, Mapping[str, Any]]]:
        """Every selected job, done or not, with its inputs as shown. ``--where`` is applied without facts of images."""
        for job in exporting.asked(self._connection, removed=self._order.include_removed):
            inputs = self.prompts.inputs(job.job, decoded(job.inputs))
            if self._where(job, inputs, decoded(job.meta), NOTHING, NOTHING):
                yield job, inputs

    def _count_without(self) -> None:
        """Count the jobs of the manifest that are not done, with ``--where`` only those that it matches."""
        states = [state for state in State if state is not State.DONE]
        if self._order.where is None:
            self.without.update({s: n for s, n in reading.by_state(self._connection).items() if s is not State.DONE})
            pending = reading.counts(self._connection).total - reading.by_state(self._connection).get(State.DONE, 0)
            self.without[State.PENDING] += max(0, pending - self.without.total())
            return
        for entry in reading.entries(self._connection, states, listed_only=True):
            job = entry.job
            inputs = self.prompts.inputs(entry.id, job.inputs)
            self.without[entry.state] += self._where(job, inputs, job.meta, job.chosen or NOTHING, NOTHING)

    def _selected(self, *, is_first: bool = False, by_arrival: bool = False) -> Iterator[Sample]:
        order, splits = self._order, self._order.splits
        recoded = order.recode.kind.extension if order.recode else None
        whole = splits.names[0] if len(splits.names) == 1 else None
        for sample in self._matching.images(removed=order.include_removed, by_arrival=by_arrival, again=not is_first):
            extension = EXTENSIONS.get(sample.image.mime)
            if extension is None:
                self.left["no images"] += is_first
                continue
            split = whole or splits.of(self._group(sample))
            yield Sample(*sample[:6], split, name(sample.image), recoded or extension)

    def was_judged(self, image: Image) -> bool:
        """Whether the image ever had a verdict, also one that was cleared or is stale."""
        return (image.key, image.output_index) in self._matching.picks.verdicts

    def _group(self, sample: Sample) -> str:
        by, image = self._order.split_by, sample.image
        if by == "job":
            return image.key
        value = look_up(by, sample.shown, sample.meta, {by: getattr(image, by, None)})
        return value if isinstance(value, str) else json.dumps(value, sort_keys=True)

    def _is_there(self, image: Image) -> bool:
        """Whether the file has the recorded size and is inside the run directory.

        The content of a file that will be decoded is compared too: once rows are written, it is too late to leave a
        damaged image out.
        """
        home, file = self._home(image)
        if home.is_bucket:
            self._links[image.file] = str(storage.local(home.run, file, image.sha256))
        path = self.path(image)
        try:
            facts = os.lstat(path)
            inside = home.is_bucket or (is_plain(file) and home.folders.is_inside(file.rpartition("/")[0]))
            if stat.S_ISLNK(facts.st_mode):
                facts = os.stat(path)  # noqa: PTH116  half of Path's price
                real = self._links[image.file] = os.path.realpath(path)
                inside = inside and leads_inside(real, *home.folders.roots)
            fine = inside and facts.st_size == image.bytes and stat.S_ISREG(facts.st_mode)
            fine = fine and (self._order.recode is None or _sha256(path) == image.sha256)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            fine = False
        except OSError as error:
            raise DiskError(f"{image.file} can't be read: {error.strerror}", hint="Check its permissions.") from None
        if not fine:
            self.left["missing or damaged"] += 1
            if len(self.missing) < 3:
                self.missing.append(image.file)
        return fine


class _Home(NamedTuple):
    """A run directory with images. folders: keeps paths inside of it. is_bucket: whether the images are in a bucket,
    and the directory has a cache of them.
    """

    run: Path
    folders: Folders
    is_bucket: bool


def _recorded(sample: Sample) -> tuple[str, str | None]:
    return sample.image.file, sample.image.sha256


def _sha256(path: str) -> str:
    with Path(path).open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def name(image: Image) -> str:
    """The name of an image's file: words of the prompt id, then digits of the job key. No two images share one.

    It has no dot (tar readers end the key there), no ``_`` (kohya drops what follows it), and no word that datasets
    reads as a split.
    """
    words = _words(image.prompt_id)
    number = f"-{image.output_index + 1}" if image.output_count > 1 else ""
    return f"{words}-{image.key[:12]}{number}"


@lru_cache(maxsize=1024)
def _words(ident: str) -> str:
    clean = ident.replace("_", "-")
    if _CLEAN.fullmatch(clean) and not _SPLIT_WORD.search(clean):
        return clean
    return prompt_id(clean)
