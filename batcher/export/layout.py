"""``layout``: the folders a benchmark scores, and any others by a template.

A benchmark knows its prompts by their place in its file, so ``{index}`` is the place of the prompt in the file it
came from (from 0), and ``{sample}`` the how-manieth picture of that prompt. Both are counted over all jobs, done or
not: a picture that is still to come leaves its place free, and nothing moves when it comes.
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

from batcher.core.errors import FileUnavailable, UsageError
from batcher.core.json_text import as_json
from batcher.core.naming import safe_part
from batcher.core.one_line import one_line
from batcher.core.units import show_count
from batcher.export.folder import Folder
from batcher.export.layouts import LAYOUTS, Layout
from batcher.export.request import Order
from batcher.export.selection import Sample, Selection
from batcher.export.target import Advance, FileTarget
from batcher.export.templates import Template
from batcher.images.recode import Recode
from batcher.store.files.inside import is_plain
from batcher.store.files.link_or_copy import Made

_LONGEST = 240  # bytes of a part: benchmarks take whole prompts for names
_NO_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_COUNTED = ("index", "sample", "number")
_CUTS = (_LONGEST, 200, 120, 60)


class Layouts(FileTarget):
    has_columns = False

    def __init__(self, order: Order, selection: Selection) -> None:
        super().__init__(order, selection)
        self.layout = LAYOUTS.get(order.layout) or Layout(order.layout)
        self._template = Template(self.layout.template, "--layout")
        if "\\" in self.layout.template or not is_plain(self.layout.template):
            raise UsageError(
                f"--layout {self.layout.template!r}: not a place inside the folder",
                hint="Such as '{stem}/{index:05d}_{sample:02d}'.",
            )
        # A scorer takes the prompt from the name: it stands there as it is, where the system takes all signs.
        self._is_exact = self.layout.exact and os.name != "nt"
        self._places = Places(selection)
        self._cells: dict[str, dict[int, str]] = {}
        self._changed: set[str] = set()  # prompts that can't be a name as they are
        if order.layout in LAYOUTS:
            self.way_out = (
                f"{order.layout} identifies prompts by their place in one file, or by name: export each prompt file"
                " on its own with --where 'source == \"FILE\"', or one image of a prompt with --where 'seed == 7'."
            )
        self._described: set[int] = set()

    def see(self, sample: Sample) -> None:
        if self.layout.tiles and self._places.of(sample, "sample") >= 4:
            self.extensions["left"] += 1
            return
        if self.layout.exact and self._part(sample.prompt, _LONGEST) != sample.prompt:
            self._changed.add(sample.prompt)
        super().see(sample)

    def settle(self) -> None:
        self._template.require({*self.selection.names, *_COUNTED, "stem"})
        if self.layout.tiles:  # four pictures share a name on purpose
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
        for most in _CUTS:  # a long prompt is cut, and not the number behind it
            text = self._template.render(partial(self._cut, sample, most))
            if 4 * len(text) <= _LONGEST or all(len(part.encode()) <= _LONGEST for part in text.split("/")):
                break
        folder, slash, last = text.rpartition("/")
        last = last if self._is_exact else safe_part(last, limit=_LONGEST)
        return f"{_safe_folder(folder)}{slash}{last}.{sample.extension}"

    def _cut(self, sample: Sample, most: int, field: str) -> Any:
        return self._part(self._value(sample, field), most)

    def _value(self, sample: Sample, field: str) -> Any:
        """Of a field of the template; a place is only counted where no input goes by that name."""
        if field in _COUNTED and field not in sample.inputs:
            return self._places.of(sample, field)
        if field == "stem" and field not in sample.inputs:
            return _stem(sample.picture.source)
        return sample.value(field)

    def _part(self, value: Any, most: int) -> Any:
        """A value as it can stand in a name: a text makes no folder, and takes so many bytes at most."""
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
        picture = self.picture(sample, self.name(sample))
        return (picture, *self._metadata(sample)) if self.layout.metadata else (picture,)

    def _metadata(self, sample: Sample) -> Iterator[Made]:
        """The line of a prompt, once."""
        index = self._places.of(sample, "index")
        if index not in self._described:
            self._described.add(index)
            line = as_json({**sample.meta, "prompt": sample.prompt}) + "\n"
            yield Made(f"{index:05d}/metadata.jsonl", content=line.encode(errors="replace"))

    def write(self, folder: Folder, advance: Advance) -> None:
        things = self._sheets() if self.layout.tiles else self._all()
        each = 4 if self.layout.tiles else 1
        for placed in folder.place(things):
            advance(min(placed * each, sum(self.pictures.values())))

    def _gather(self) -> list[str]:
        """Raises UsageError where two prompts would share a sheet."""
        prompts: dict[str, str] = {}
        shared: list[tuple[str, str]] = []
        for sample in self.selection.again():
            place = self._places.of(sample, "sample")
            if place < 4:
                name = self.name(sample)
                cells = self._cells.setdefault(name, {})
                if place in cells or prompts.setdefault(name, sample.prompt) != sample.prompt:
                    shared.append((name, sample.picture.file))
                cells[place] = self.selection.path(sample.picture)
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
            yield Made(name, content=partial(_tiled, recode, paths))


class Places:
    """The places of all jobs: 24 bytes each, and one entry for each prompt while they are settled.

    index: of the prompt in its file. sample: of the picture among those of the prompt. number: among all.
    """

    def __init__(self, selection: Selection) -> None:
        self._columns = {name: array("q") for name in _COUNTED}
        self._settle(selection)

    def of(self, sample: Sample, name: str) -> int:
        place = self._columns[name][sample.picture.job]
        return place if name == "index" else place + sample.picture.output_index

    def _settle(self, selection: Selection) -> None:
        prompts: dict[tuple[str, int, int], int] = {}  # file's stem, line and text: numbered as first seen
        samples: list[int] = []
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
        """Jobs come by their row numbers, in which there may be gaps."""
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
    """The place of each prompt in its file, by its number: by line, and as first seen where a line has several."""
    ranks = [0] * len(prompts)
    at: Counter[str] = Counter()
    for (source, _, _), number in sorted(prompts.items(), key=lambda item: (item[0][0], item[0][1], item[1])):
        ranks[number] = at[source]
        at[source] += 1
    return ranks


def _tiled(recode: Recode, paths: list[Path | None]) -> bytes:
    try:
        return recode.tiled(paths)
    except FileUnavailable as error:
        raise UsageError(
            f"an image can't be decoded: {error.cause.message}", hint="`batcher verify` says more."
        ) from None
