"""``layout``: folders in the form that a benchmark scores, or by a template.

A benchmark identifies a prompt by its place in a prompt file. So ``{index}`` is the place of the prompt in its file,
and ``{sample}`` the place of the image among those of the prompt, both from 0. They are counted over all jobs, done or
not, so a name does not change when images arrive later.
"""

import os
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache, partial
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any

from batcher.core.errors import UsageError
from batcher.core.json_text import as_json
from batcher.core.naming import safe_part
from batcher.core.one_line import one_line
from batcher.core.units import show_count
from batcher.export.benchmarks import BENCHMARKS, Layout
from batcher.export.folder import Folder
from batcher.export.matching import Sample
from batcher.export.request import Order
from batcher.export.selection import Selection
from batcher.export.target import Advance, FileTarget
from batcher.export.templates import Template
from batcher.images.recode import Recode
from batcher.store.files.inside import is_plain
from batcher.store.files.link_or_copy import Made

_LONGEST = 240  # bytes of a name between slashes: benchmarks use whole prompts as names
_NO_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_COUNTED = ("index", "sample", "number")
_CUTS = (_LONGEST, 200, 120, 60)  # bytes that each text in a name is cut to, until the name fits


class LayoutTarget(FileTarget):
    """The ``layout`` target. layout: the benchmark's, or one made from the template.

    order, selection: as of ``Target``. Raises UsageError for a template that leads out of the folder.
    """

    has_columns = False

    def __init__(self, order: Order, selection: Selection) -> None:
        super().__init__(order, selection)
        self.layout = BENCHMARKS.get(order.layout) or Layout(order.layout)
        self._template = Template(self.layout.template, "--layout")
        if "\\" in self.layout.template or not is_plain(self.layout.template):
            raise UsageError(
                f"--layout {self.layout.template!r}: not a place inside the folder",
                hint="Such as '{stem}/{index:05d}_{sample:02d}'.",
            )
        # A scorer reads the prompt from the name, so it is unchanged; Windows allows too few characters for that.
        self._is_exact = self.layout.exact and os.name != "nt"
        self._places = Places(selection)
        self._cells: dict[str, dict[int, str]] = {}  # by name of a sheet: paths of images by place, 0 to 3
        self._changed: set[str] = set()  # prompts that can't be a file name unchanged
        if order.layout in BENCHMARKS:
            self.way_out = (
                f"{order.layout} identifies prompts by their place in one file, or by name: export each prompt file"
                " on its own with --where 'source == \"FILE\"', or one image of a prompt with --where 'seed == 7'."
            )
        self._described: set[int] = set()  # indexes of prompts whose metadata was written

    def see(self, sample: Sample) -> None:
        if self.layout.tiles and self._places.of(sample, "sample") >= 4:
            self.extensions["left"] += 1
            return
        if self.layout.exact and self._part(sample.prompt, _LONGEST) != sample.prompt:
            self._changed.add(sample.prompt)
        super().see(sample)

    def settle(self) -> None:
        self._template.require({*self.selection.names, *_COUNTED, "stem"})
        if self.layout.tiles:  # four images share a name on purpose
            self.notes += self._gather()
            return
        if self._changed:
            prompts = show_count(len(self._changed), "prompt")
            self.notes.append(
                f"{prompts} can't be a file name unchanged, and {self.order.layout} takes the prompt from the"
                f" name: it would score {one_line(min(self._changed), 60)!r} as the file name has it"
            )
        super().settle()

    def name(self, sample: Sample) -> str:
        text = ""
        for most in _CUTS:  # cut long values, not the name: the number at its end must stay
            text = self._template.render(partial(self._cut, sample, most))
            if 4 * len(text) <= _LONGEST or all(len(part.encode()) <= _LONGEST for part in text.split("/")):
                break
        folder, slash, last = text.rpartition("/")
        last = last if self._is_exact else safe_part(last, limit=_LONGEST)
        return f"{_safe_folder(folder)}{slash}{last}.{sample.extension}"

    def _cut(self, sample: Sample, most: int, field: str) -> Any:
        return self._part(self._value(sample, field), most)

    def _value(self, sample: Sample, field: str) -> Any:
        """The value of a field of the template. An input takes precedence over a place of the same name."""
        if field in _COUNTED and field not in sample.inputs:
            return self._places.of(sample, field)
        if field == "stem" and field not in sample.inputs:
            return _stem(sample.image.source)
        return sample.value(field)

    def _part(self, value: Any, most: int) -> Any:
        """A value as it can be part of a name: a text gets no slashes, and is cut to ``most`` bytes."""
        if not isinstance(value, str):
            return value
        plain = (_NO_NAME.sub(" ", value) if self._is_exact else value).replace("/", "-").replace("\\", "-")
        if 4 * len(plain) <= most:
            return plain
        encoded = plain.encode(errors="replace")
        if len(encoded) <= most:
            return plain
        return f"{encoded[: most - 9].decode(errors='ignore')}-{blake2b(encoded, digest_size=4).hexdigest()}"

    def made(self, sample: Sample) -> Iterable[Made]:
        image = self.image(sample, self.name(sample))
        return (image, *self._metadata(sample)) if self.layout.metadata else (image,)

    def _metadata(self, sample: Sample) -> Iterator[Made]:
        """The metadata file of the prompt of a sample; nothing if it was given before."""
        index = self._places.of(sample, "index")
        if index not in self._described:
            self._described.add(index)
            line = as_json({**sample.meta, "prompt": sample.prompt}) + "\n"
            yield Made(f"{index:05d}/metadata.jsonl", content=line.encode(errors="replace"))

    def write(self, folder: Folder, advance: Advance) -> None:
        things = self._sheets() if self.layout.tiles else self._all()
        each = 4 if self.layout.tiles else 1
        for placed in folder.place(things):
            advance(min(placed * each, sum(self.images.values())))

    def _gather(self) -> list[str]:
        """Collect the images of each sheet; gives notes. Raises UsageError if two prompts would share a sheet."""
        prompts: dict[str, str] = {}
        shared: list[tuple[str, str]] = []
        for sample in self.selection.again():
            place = self._places.of(sample, "sample")
            if place < 4:
                name = self.name(sample)
                cells = self._cells.setdefault(name, {})
                if place in cells or prompts.setdefault(name, sample.prompt) != sample.prompt:
                    shared.append((name, sample.image.file))
                cells[place] = self.selection.path(sample.image)
        if shared:
            raise self._shared(sorted(shared), len({name for name, _ in shared}))
        gaps = sum(len(cells) < 4 for cells in self._cells.values())
        notes = []
        if gaps:
            sheets = show_count(gaps, "sheet has", "sheets have")
            notes.append(f"{sheets} fewer than four images; the rest is black")
        if left := self.extensions["left"]:
            notes.append(f"{show_count(left, 'image is', 'images are')} in no sheet: a sheet takes four of a prompt")
        return notes

    def _sheets(self) -> Iterator[Made]:
        recode = self.order.recode
        assert recode is not None
        for name, cells in self._cells.items():
            paths = [Path(cells[at]) if at in cells else None for at in range(4)]
            yield Made(name, content=partial(self._tiled, recode, paths))

    def _tiled(self, recode: Recode, paths: list[Path | None]) -> bytes:
        with self.decoding():
            return recode.tiled(paths)


class Places:
    """The places of all jobs, in 24 bytes each. selection: the jobs to count, done or not."""

    def __init__(self, selection: Selection) -> None:
        self._columns = {name: array("q") for name in _COUNTED}
        self._settle(selection)

    def of(self, sample: Sample, name: str) -> int:
        """The place of an image, from 0. name: ``index`` for the place of its prompt in the prompt file, ``sample``
        for its own among the images of the prompt, ``number`` for its own among all images.
        """
        place = self._columns[name][sample.image.job]
        return place if name == "index" else place + sample.image.output_index

    def _settle(self, selection: Selection) -> None:
        prompts: dict[tuple[str, int, int], int] = {}  # number by stem of the file, line and hash of the text
        samples: list[int] = []  # images so far, by number of the prompt
        number = 0
        for asked, inputs in selection.asked():
            prompt = prompts.setdefault((_stem(asked.source), asked.line, hash(inputs.get("prompt"))), len(prompts))
            if prompt == len(samples):
                samples.append(0)
            self._add(asked.job, prompt, samples[prompt], number)
            samples[prompt] += asked.images
            number += asked.images
        ranks = _ranks(prompts)
        if ranks:
            self._columns["index"] = array("q", map(ranks.__getitem__, self._columns["index"]))

    def _add(self, job: int, prompt: int, sample: int, number: int) -> None:
        """job: its row number. They ascend, and there may be gaps between them."""
        for column, value in zip(self._columns.values(), (prompt, sample, number), strict=True):
            if gap := job - len(column):
                column.extend([0] * gap)
            column.append(value)


@lru_cache(maxsize=1024)
def _stem(source: str) -> str:
    return PurePosixPath(source.replace("\\", "/")).stem


@lru_cache(maxsize=1024)
def _safe_folder(folder: str) -> str:
    return "/".join(safe_part(part, limit=_LONGEST) for part in folder.split("/")) if folder else ""


def _ranks(prompts: Mapping[tuple[str, int, int], int]) -> list[int]:
    """The place of each prompt in its file, by its number. Prompts of one line are in the order first seen."""
    ranks = [0] * len(prompts)
    at: Counter[str] = Counter()
    for (source, _, _), number in sorted(prompts.items(), key=lambda item: (item[0][0], item[0][1], item[1])):
        ranks[number] = at[source]
        at[source] += 1
    return ranks
