"""``--embed``: what made a picture, written into its copy in the export. The run's own file stays as it is.

What is written comes from the sidecar as it lies beside the picture: it knows the version that made it, and an export
made again years later has the same bytes. Where the sidecar is missing, the state file tells most of it.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from threading import Lock
from typing import Any

from batcher.core.one_line import one_line
from batcher.export.selection import Sample
from batcher.images.embed import NotEmbedded, embed
from batcher.images.storage import reader_of
from batcher.runner.sidecars import Untrue, parse
from batcher.store.files.safe_reader import Absent, NotAFile, Outside, sidecar_of

SHOWN = 3  # examples


class MetadataEmbedder:
    """May be used from many threads. refused: how many pictures took nothing in; examples: the first few, and why."""

    def __init__(self, run: Path, words: AbstractSet[str], *, simulated: bool) -> None:
        self._ground = reader_of(run)
        self._what, self._force = words - {"signed"}, "signed" in words
        self._simulated = simulated
        self._lock = Lock()
        self.refused = 0
        self.examples: list[str] = []

    def embed(self, sample: Sample, content: bytes) -> bytes:
        """``content`` with what made it; as it is where nothing can be written into it, and that is remembered."""
        try:
            return embed(content, self.record(sample), self._what, force=self._force)
        except NotEmbedded as refusal:  # Signed is one
            with self._lock:
                self.refused += 1
                if len(self.examples) < SHOWN:
                    self.examples.append(one_line(f"{sample.picture.file}: {refusal}", 300))
            return content

    def record(self, sample: Sample) -> Mapping[str, Any]:
        """The picture's sidecar, or the part of it that the state file has at hand."""
        picture, stars = sample.picture, {"stars": sample.verdict.get("stars")}
        try:
            with self._ground.reading(sidecar_of(picture.file)) as data:
                sidecar = parse(data)
        except (Absent, Outside, NotAFile, Untrue, OSError):
            sidecar = {}
        if sidecar.get("job") == picture.key and sidecar.get("output_index") == picture.output_index:
            return {**sidecar, **stars}
        return {
            "job": picture.key, "model": picture.model, "inputs": sample.inputs, "width": picture.width,
            "height": picture.height, "simulated": self._simulated, **stars,
        }  # fmt: skip
