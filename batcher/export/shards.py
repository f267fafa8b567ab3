"""Shards: files of many images each, limited in size and count, and packed the same way every time.

Images are packed in the order in which they arrived. So images that a run adds come last, the earlier shards do not
change, and only the last one, which had room left, is written again. A shard is not written if the digest of its rows
is unchanged. Numbers have no gaps, so ``{000000..000009}`` names all shards.
"""

from abc import abstractmethod
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any, NamedTuple

from batcher.core.json_text import as_compact_json
from batcher.export.folder import Folder
from batcher.export.matching import Sample
from batcher.export.target import Advance, Target


class Row(NamedTuple):
    """A row of a shard. samples: one image or more. values: the columns, by name."""

    samples: tuple[Sample, ...]
    values: dict[str, Any]

    @property
    def bytes(self) -> int:
        return sum(sample.image.bytes for sample in self.samples)


class Shard(NamedTuple):
    """A shard as the index lists it. name: relative to the folder. samples: number of rows. bytes: size of its images
    as delivered.
    """

    name: str
    samples: int
    bytes: int


class ShardTarget(Target):
    """A target whose files are shards. extension: of the files. shards: all of them by split, after ``write``."""

    extension = ""

    @abstractmethod
    def write_shard(self, folder: Folder, name: str, rows: list[Row]) -> None:
        """Write one file, whole or not at all."""

    def write(self, folder: Folder, advance: Advance) -> None:
        self.shards: dict[str, list[Shard]] = {split: [] for split in sorted(self.images)}
        digests: dict[str, str] = self.facts["digests"]
        placed = 0
        for split, rows in self._packed():
            name = f"{split}/{len(self.shards[split]):06d}.{self.extension}"
            digest = self._digest(rows)
            if folder.is_same(name, digest, digests):
                folder.keep(name)
            else:
                self._write_anew(folder, name, rows, digests, digest)
            self.shards[split].append(Shard(name, len(rows), sum(row.bytes for row in rows)))
            placed += len(rows)
            advance(placed)
        there = {shard.name for shards in self.shards.values() for shard in shards}
        self.facts["digests"] = {name: digest for name, digest in digests.items() if name in there}
        self.facts["shards"] = sum(map(len, self.shards.values()))

    def _write_anew(self, folder: Folder, name: str, rows: list[Row], digests: dict[str, str], digest: str) -> None:
        """Write a shard; after a kill at any moment no shard has the digest of another."""
        if digests.pop(name, None) is not None:
            folder.remember(digests=digests)
        self.write_shard(folder, name, rows)
        digests[name] = digest
        folder.remember(digests=digests)

    def rows(self) -> Iterator[tuple[str, int, Row]]:
        """The rows in the order in which their images arrived: split, bytes of the images, row."""
        for sample in self.selection.again(by_arrival=True):
            yield sample.split, sample.image.bytes, Row((sample,), self.values(sample))

    def _packed(self) -> Iterator[tuple[str, list[Row]]]:
        """The rows of each shard, with its split."""
        waiting: dict[str, list[Row]] = {split: [] for split in sorted(self.images)}
        sizes = dict.fromkeys(waiting, 0)
        for split, size, row in self.rows():
            rows = waiting[split]
            full = sizes[split] + size > self.order.shard_bytes or len(rows) == self.order.shard_count
            if rows and full:
                yield split, rows
                rows = waiting[split] = []
                sizes[split] = 0
            rows.append(row)
            sizes[split] += size
        for split, rows in waiting.items():
            if rows:
                yield split, rows

    def _digest(self, rows: list[Row]) -> str:
        digest = blake2b(digest_size=16)
        digest.update(as_compact_json([self.columns.kinds(), dict(self.order.identity)]).encode(errors="replace"))
        for row in rows:
            names = " ".join(f"{sample.name}.{sample.extension}" for sample in row.samples)
            digest.update(f"{names}{as_compact_json(row.values)}".encode(errors="replace"))
        return digest.hexdigest()
