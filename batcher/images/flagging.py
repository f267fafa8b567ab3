"""The flags of the images of a run. An image is measured once; the measures are kept beside the thumbnails.

``thumbs/measures.jsonl`` has a line for each content: ``[sha256, dhash, entropy, spread]``. It may be deleted at any
time, as all of ``thumbs/``. Several processes may append to it. An image whose line can't be read is measured again.
"""

import json
import os
import sqlite3
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from batcher.core.batched import batched
from batcher.core.errors import DiskError
from batcher.core.groups import seed_input
from batcher.core.where import FLAG
from batcher.images.flags import Candidate, Measured, asked_ratio, flags
from batcher.images.storage import reader_of
from batcher.images.thumbnail import measure_file
from batcher.store import exporting
from batcher.store.files.disk import open_own
from batcher.store.files.safe_reader import Absent, NotAFile, Outside
from batcher.store.prompts import Prompts

MEASURES = Path("thumbs/measures.jsonl")
_WORKERS = max(1, min(4, os.cpu_count() or 1))  # threads: Pillow releases the interpreter's lock while it decodes
_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode
Place = tuple[str, int]


class Flagged(NamedTuple):
    """flags: sorted words by job and output index; images without any are left out. images: number of images.

    left: file by sha256 of the images that were not measured; duplicates and a wrong ratio are flagged all the same.
    """

    flags: dict[Place, list[str]]
    images: int
    left: dict[str, str]

    def counts(self) -> dict[str, int]:
        """Number of images by flag."""
        words = [word for words in self.flags.values() for word in words]
        return {word: words.count(word) for word in sorted(set(words))}


class Measures:
    """What was measured in a run so far. run_dir: the run directory. by_sha256: one of each file."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.by_sha256: dict[str, Measured] = {}
        with suppress(OSError), (run_dir / MEASURES).open("rb") as lines:
            for line in lines:
                with suppress(ValueError, TypeError):
                    sha256, dhash, entropy, spread = json.loads(line)
                    self.by_sha256[str(sha256)] = Measured(int(dhash), float(entropy), float(spread))

    def add(self, new: Mapping[str, Measured], run_dir: Path | None = None) -> None:
        """Keep more measures, by sha256; a disk that can't take them is ignored.

        run_dir: the run that they are of, if several runs are read as one.
        """
        path = (run_dir or self.run_dir) / MEASURES
        self.by_sha256.update(new)
        lines = [json.dumps([sha256, one.dhash, one.entropy, one.spread]) for sha256, one in new.items()]
        with suppress(OSError):
            path.parent.mkdir(exist_ok=True)
            handle = open_own(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            with os.fdopen(handle, "a", encoding="ascii") as file:
                file.write("".join(f"{line}\n" for line in lines))


def flagged(connection: sqlite3.Connection, measures: Measures) -> Flagged:
    """Flags by what is measured so far. Reads the state file only."""
    images: list[Candidate] = []
    prompts = Prompts(measures.run_dir)
    left: dict[str, str] = {}
    for row in exporting.images(connection, removed=False):
        measured = measures.by_sha256.get(row.sha256)
        if measured is None:
            left[row.sha256] = row.file
        inputs = _decode(row.inputs)
        prompt = prompts.of(row.job, inputs)
        key, seed, asked = _group(row.model, inputs)
        images.append(
            Candidate(
                place=(row.key, row.output_index), sha256=row.sha256, group=key, prompt=prompt, seed=seed,
                asked=asked, width=row.width, height=row.height, measured=measured,
            )
        )  # fmt: skip
    words_of = {place: sorted(map(str, words)) for place, words in flags(images).items()}
    return Flagged(words_of, len(images), left)


def _group(model: str, inputs: dict[str, Any]) -> tuple[str, str, float | None]:
    seed = inputs.pop(seed_input(inputs) or "", None)
    return f"{model} {_encode(inputs).decode()}", str(seed), asked_ratio(inputs)


def flag_all(run_dir: Path, connection: sqlite3.Connection, seconds: float | None = None) -> Flagged:
    """Measures what is not measured yet, for at most so many seconds, and flags all images of a run.

    Images that are gone or can't be decoded are among those left. seconds: None for no limit.
    """
    measures = Measures(run_dir)
    flags_of = flagged(connection, measures)
    if not flags_of.left or seconds == 0:
        return flags_of
    end = None if seconds is None else time.monotonic() + seconds
    safe = reader_of(run_dir)

    def of_file(item: tuple[str, str]) -> tuple[str, Measured | None]:
        with suppress(Absent, NotAFile, Outside, DiskError, OSError, ValueError, SyntaxError, EOFError):
            return item[0], measure_file(safe.regular(item[1]))
        return item[0], None

    with ThreadPoolExecutor(_WORKERS) as pool:
        for some in batched(flags_of.left.items(), 8 * _WORKERS):
            measures.add({sha256: one for sha256, one in pool.map(of_file, some) if one is not None})
            if end is not None and time.monotonic() > end:
                break
    return flagged(connection, measures)


def asked_for(names: Collection[str], run_dir: Path, connection: sqlite3.Connection) -> Mapping[Place, list[str]]:
    """The flags of all images if ``--where`` needs them, which measures them all. names: in the expression."""
    return flag_all(run_dir, connection).flags if FLAG in names else {}


def of_jobs(flags: Mapping[Place, list[str]]) -> dict[str, list[str]]:
    """The flags of any of its images, by job."""
    words_of: dict[str, set[str]] = {}
    for (job, _), words in flags.items():
        words_of.setdefault(job, set()).update(words)
    return {job: sorted(words) for job, words in words_of.items()}
