"""An export through its reader's eyes, compared with the run, sample by sample.

What ought to be there is worked out from the run as the export would do it, and kept as sixteen bytes a picture. What
differs is looked up again in the run, so that both sides can be shown.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from batcher.core.errors import BatcherError, FileError
from batcher.core.one_line import one_line
from batcher.export.captions import Captions
from batcher.export.exporting import KINDS
from batcher.export.imagefolder import ImageFolder
from batcher.export.marker_file import read_marker
from batcher.export.matching import Sample
from batcher.export.request import SPLITS_OF_DATASETS, Options, ordered
from batcher.export.selection import Selection
from batcher.export.target import Target
from batcher.export.webdataset import WebDataset
from batcher.images.check import Limits, examine
from batcher.store import connect_to_read, exporting
from tests.export.readers import READERS, Seen

SHOWN = 5  # examples of each kind of difference
_OURS = frozenset({"file_name"})  # how the export names its own files
Key = tuple[str, int] | str


class Due(NamedTuple):
    """What a reader ought to see of one picture: digests of its columns and bytes, and its size."""

    columns: bytes
    sha256: bytes
    width: int | None
    height: int | None


class Expected:
    """What a reader ought to see, by key."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.due = {self.key(sample): self._due(sample) for sample in target.selection.again()}

    def key(self, sample: Sample) -> Key:
        if isinstance(self.target, Captions):
            return f"{sample.split}/{sample.name}.{sample.extension}"
        return sample.image.key, sample.image.output_index

    def key_of(self, seen: Seen) -> Key | None:
        if isinstance(self.target, Captions):
            return f"{seen.split}/{seen.values['file_name']}"
        job, index = seen.values.get("job"), seen.values.get("output_index")
        return (job, index) if isinstance(job, str) and isinstance(index, int) else None

    def values(self, sample: Sample) -> dict[str, Any]:
        if isinstance(self.target, Captions):
            return {"caption": self.target.caption.of(sample)}
        values = self.target.values(sample)
        if isinstance(self.target, WebDataset):
            values["txt"] = self.target.caption.of(sample)
        if isinstance(self.target, ImageFolder):
            for name in self.target.moments:
                values[name] = values[name] and datetime.fromisoformat(values[name])
        return values

    def split(self, sample: Sample) -> str:
        by_us = isinstance(self.target, Captions | WebDataset)
        return sample.split if by_us else SPLITS_OF_DATASETS.get(sample.split, sample.split)

    def _due(self, sample: Sample) -> Due:
        picture = sample.image
        columns = digest(self.split(sample), self.values(sample))
        return Due(columns, self._sha256(sample), picture.width, picture.height)

    def _sha256(self, sample: Sample) -> bytes:
        """Of the run's own file where it is recoded, which no two encoders do alike. A file that was damaged since it
        was saved is no measure: what is due is what was saved.
        """
        saved = bytes.fromhex(sample.image.sha256)
        embedder = self.target.embedder
        if embedder is None or self.target.is_recoded(sample):
            return saved
        plain = Path(self.target.selection.path(sample.image)).read_bytes()
        is_whole = hashlib.sha256(plain).digest() == saved
        return hashlib.sha256(embedder.embed(sample, plain)).digest() if is_whole else saved


def digest(split: str, values: Mapping[str, Any]) -> bytes:
    facts = repr((split, sorted((name, _plain(value)) for name, value in values.items())))
    return hashlib.blake2b(facts.encode(errors="replace"), digest_size=16).digest()


def _plain(value: Any) -> Any:
    """A moment in time as text, in UTC: readers differ in whether they keep the zone."""
    if isinstance(value, datetime):
        return (value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value).isoformat()
    return value


class Findings:
    """What is wrong, counted by kind, with a few examples of each."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}

    def add(self, kind: str, example: str = "") -> None:
        self.counts[kind] += 1
        if example and self.counts[kind] <= SHOWN:
            self.examples.setdefault(kind, []).append(one_line(example, 300))


def check(folder: Path, reader: str) -> dict[str, Any]:
    """Raises UsageError when there is nothing to check, or nothing to check with. Changes nothing."""
    began = time.monotonic()
    marker = read_marker(folder)
    assert marker["target"] == reader
    run = Path(marker["run"])
    findings = Findings()
    if not marker.get("complete"):
        findings.add("unfinished", "the export was interrupted; the same export command goes on with it")
    order = ordered(run, folder, Options(**marker["options"]))
    with closing(connect_to_read(run)) as connection, exporting.snapshot(connection):
        target = KINDS[reader](order, Selection(order, connection))
        for sample in target.selection.first_look():
            target.see(sample)
        target.settle()
        comparison = Comparison(Expected(target), findings)
        lines = comparison.read(folder, marker)
        comparison.close()
    return {
        "export": str(folder),
        "as": reader,
        "run": str(run),
        "expected": sum(target.images.values()),
        "seen": sum(comparison.seen.values()),
        "splits": dict(comparison.seen),
        "reader": lines,
        "notes": target.notes,
        "findings": {
            kind: {"count": count, "examples": findings.examples.get(kind, [])}
            for kind, count in findings.counts.items()
        },
        "seconds": round(time.monotonic() - began, 3),
        "exit_code": 3 if findings.counts else 0,
    }


class Comparison:
    """seen: samples by split."""

    def __init__(self, expected: Expected, findings: Findings) -> None:
        self.expected = expected
        self.seen: Counter[str] = Counter()
        self._findings = findings
        self._met: set[Key] = set()
        self._different: dict[Key, Seen] = {}
        self._failed = False

    def read(self, folder: Path, marker: Mapping[str, Any]) -> list[str]:
        """Every sample that the reader gives; returns what it says of the whole."""
        try:
            with READERS[marker["target"]](folder, marker) as (lines, samples):
                for seen in samples:
                    self.seen[seen.split] += 1
                    self._judge(seen)
                return list(lines)
        except BatcherError:
            raise
        except Exception as error:  # noqa: BLE001  whatever a reader raises is what its user would see
            self._failed = True
            cause = error.__cause__ or error
            self._findings.add("the reader fails", f"{type(cause).__name__}: {cause}")
            return []

    def close(self) -> None:
        """What no reader gave, and how what it gave differs: looked up in the run, with both sides."""
        for sample in self.expected.target.selection.again():
            key = self.expected.key(sample)
            if key not in self._met:  # where the reader failed, it is no news that it did not give this one
                example = "" if self._failed else f"{sample.image.file} is in the run; export again if it is new"
                self._findings.add("missing", example)
            if seen := self._different.get(key):
                self._explain(sample, seen)

    def _judge(self, seen: Seen) -> None:
        key = self.expected.key_of(seen)
        due = None if key is None else self.expected.due.get(key)
        if key is None or due is None:
            self._findings.add("not of the run", f"{_named(key)} in {seen.split}")
            return
        if key in self._met:
            self._findings.add("twice", _named(key))
        self._met.add(key)
        values = {name: value for name, value in seen.values.items() if name not in _OURS}
        if seen.problem:
            self._findings.add("broken", f"{_named(key)}: {seen.problem}")
        elif digest(seen.split, values) != due.columns:
            self._findings.counts["columns differ"] += 1
            if len(self._different) < SHOWN:
                self._different[key] = seen._replace(values=values, picture=None)
        if seen.picture is not None:
            self._judge_picture(key, seen.picture, due)
        elif not seen.problem and not self.expected.target.order.no_pictures:
            self._findings.add("broken", f"{_named(key)}: no picture")

    def _judge_picture(self, key: Key, picture: bytes, due: Due) -> None:
        if hashlib.sha256(picture).digest() == due.sha256:
            return
        if self.expected.target.order.recode is None:
            self._findings.add("picture differs", f"{_named(key)}: not the bytes of the run")
            return
        try:
            size = examine(picture, depth="decode", limits=Limits()).size
        except FileError as error:
            self._findings.add("picture differs", f"{_named(key)}: {error.cause.message}")
            return
        if size != (due.width, due.height):
            self._findings.add("picture differs", f"{_named(key)}: its size is {size}, not {due.width}x{due.height}")

    def _explain(self, sample: Sample, seen: Seen) -> None:
        due = self.expected.values(sample)
        for name in sorted({*due, *seen.values}):
            ours, theirs = _plain(due.get(name)), _plain(seen.values.get(name))
            if repr(ours) != repr(theirs):
                self._show(f"{sample.image.file}: {name} is {theirs!r:.80} to the reader, {ours!r:.80} in the run")
        if self.expected.split(sample) != seen.split:
            self._show(f"{sample.image.file}: in {seen.split}, not in {self.expected.split(sample)}")

    def _show(self, example: str) -> None:
        self._findings.examples.setdefault("columns differ", []).append(one_line(example, 300))


def _named(key: Key | None) -> str:
    if key is None:
        return "a sample without a job"
    return key if isinstance(key, str) else f"job {key[0]}, output {key[1]}"
