"""``pairs``: pairs of a picked and a rejected image of the same group, for preference training (DPO).

The files are parquet with the columns of Pick-a-Pic, which Diffusion-DPO's ``train.py`` reads: ``jpg_0`` and ``jpg_1``
are encoded images (of any format that Pillow opens), ``label_0`` is 1 if the first image is the picked one, and
``caption`` is the prompt. A hash decides which image comes first, so a model can't learn from the order. With
``--split`` all pairs of a prompt are in the same split.
"""

from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from batcher.core.errors import UsageError
from batcher.core.groups import seed_of
from batcher.core.units import show_count
from batcher.export import arrow
from batcher.export.captions import Caption
from batcher.export.columns import Kind, as_text
from batcher.export.dataset_card import card
from batcher.export.folder import Folder
from batcher.export.matching import Sample
from batcher.export.request import Order
from batcher.export.selection import Selection
from batcher.export.shards import Row, ShardTarget
from batcher.export.target import Advance
from batcher.store.joined import name_of
from batcher.store.picks import NO, YES

COLUMNS = {
    "jpg_0": Kind.BINARY, "jpg_1": Kind.BINARY, "label_0": Kind.NUMBER, "label_1": Kind.NUMBER, "caption": Kind.TEXT,
    "image_0_uid": Kind.TEXT, "image_1_uid": Kind.TEXT, "best_image_uid": Kind.TEXT, "model_0": Kind.TEXT,
    "model_1": Kind.TEXT, "seed_0": Kind.TEXT, "seed_1": Kind.TEXT, "stars_0": Kind.INTEGER, "stars_1": Kind.INTEGER,
    "has_label": Kind.BOOLEAN, "are_different": Kind.BOOLEAN, "prompt_id": Kind.TEXT, "group": Kind.TEXT,
}  # fmt: skip
Pair = tuple[Sample, Sample]  # picked, rejected


class Pairs(ShardTarget):
    """The ``pairs`` target. ``images`` counts pairs here.

    order, selection: as of ``Target``. Raises UsageError if pyarrow is not installed.
    """

    extension = "parquet"
    has_columns = False

    def __init__(self, order: Order, selection: Selection) -> None:
        super().__init__(order, selection)
        arrow.require(order.folder)
        self.caption = Caption(order.caption)
        self._groups: dict[str, tuple[list[Sample], list[Sample]]] = {}

    def see(self, sample: Sample) -> None:
        super().see(sample)
        pick = sample.given.get("pick")
        if pick in {YES, NO}:
            group = self._groups.setdefault(sample.group, ([], []))
            group[pick == NO].append(sample)

    def settle(self) -> None:
        super().settle()
        self.caption.template.require(self.selection.names)
        self.images = Counter(split for split, _ in self._pairs())
        self.models = {sample.image.model for _, pair in self._pairs() for sample in pair}
        if not self.images:
            raise UsageError(
                f"no group of {name_of(self.order.run)} has both a picked and a rejected image",
                hint="Pick some first: batcher pick RUN --where EXPR yes, and no for others of the same group.",
            )
        left = sum(not (yes and no) for yes, no in self._groups.values())
        if left:
            groups = show_count(left, "group has", "groups have")
            self.notes.append(f"{groups} only picked or only rejected images, which make no pair")

    def _pairs(self) -> Iterator[tuple[str, Pair]]:
        """All pairs, each with its split."""
        for picked, rejected in self._groups.values():
            for yes in picked:
                split = self.order.splits.of(yes.prompt)
                yield from ((split, (yes, no)) for no in rejected)

    def rows(self) -> Iterator[tuple[str, int, Row]]:
        for split, pair in self._pairs():
            size = sum(sample.image.bytes for sample in pair)
            yield split, size, Row(pair, self._values(pair))

    def _values(self, pair: Pair) -> dict[str, Any]:
        """All columns except for the images."""
        first, second = _placed(pair)
        better = float(first is pair[0])
        values: dict[str, Any] = {"label_0": better, "label_1": 1 - better, "caption": self.caption.of(pair[0])}
        for at, sample in enumerate((first, second)):
            seed = seed_of(sample.inputs)
            values[f"image_{at}_uid"] = _uid(sample)
            values[f"model_{at}"] = sample.image.model
            values[f"seed_{at}"] = None if seed is None else as_text(seed)
            values[f"stars_{at}"] = sample.given.get("stars")
        return {
            **values, "best_image_uid": _uid(pair[0]), "has_label": True, "are_different": True,
            "prompt_id": pair[0].image.prompt_id, "group": pair[0].group,
        }  # fmt: skip

    def write_shard(self, folder: Folder, name: str, rows: list[Row]) -> None:
        with folder.growing(name) as file:
            table = arrow.ParquetFile(file.name, COLUMNS, image=False)
            for row in rows:
                first, second = _placed((row.samples[0], row.samples[1]))
                table.add({**row.values, "jpg_0": self.content(first), "jpg_1": self.content(second)})
            table.close()

    def write(self, folder: Folder, advance: Advance) -> None:
        super().write(folder, advance)
        note = "Each row is a pair of one group: label 1 was picked, label 0 rejected."
        folder.write("README.md", card(self, "parquet", "*.parquet", COLUMNS, note=note, image=False))


def _uid(sample: Sample) -> str:
    return f"{sample.image.key}-{sample.image.output_index}"


def _placed(pair: Pair) -> Pair:
    """The two images in the order of the file."""
    digest = blake2b("".join(map(_uid, pair)).encode(), digest_size=1, person=b"batcher-pairs").digest()
    return pair if digest[0] & 1 else (pair[1], pair[0])
