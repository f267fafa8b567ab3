"""``--embed``: writes the inputs and other facts of an image into its copy in the export. The run's file is unchanged.

The facts come from the sidecar beside the image. It names the version of batcher that made it, so an export repeated
years later has the same bytes. If the sidecar is missing, the state file has most of the facts.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from threading import Lock
from typing import Any

from batcher.core.one_line import one_line
from batcher.export.matching import Sample
from batcher.images.embed import NotEmbedded, embed
from batcher.images.storage import reader_of
from batcher.runner.sidecars import Untrue, parse
from batcher.store.files.safe_reader import Absent, NotAFile, Outside, sidecar_of

SHOWN = 3  # examples of images that could not be written to


class MetadataEmbedder:
    """Embeds metadata into image files. Thread-safe.

    run: the run directory. words: what to embed, the checked words of ``--embed``. simulated: whether a simulator made
    the images. refused: number of images that nothing could be written into. examples: the first few, with the reason.
    """

    def __init__(self, run: Path, words: AbstractSet[str], *, simulated: bool) -> None:
        self._reader = reader_of(run)
        self._what, self._force = words - {"signed"}, "signed" in words
        self._simulated = simulated
        self._lock = Lock()
        self.refused = 0
        self.examples: list[str] = []

    def embed(self, sample: Sample, content: bytes) -> bytes:
        """``content``, an image file, with the metadata in it; unchanged, and counted, if it can't take any."""
        try:
            return embed(content, self.record(sample), self._what, force=self._force)
        except NotEmbedded as refusal:  # also Signed, a subclass
            with self._lock:
                self.refused += 1
                if len(self.examples) < SHOWN:
                    self.examples.append(one_line(f"{sample.image.file}: {refusal}", 300))
            return content

    def record(self, sample: Sample) -> Mapping[str, Any]:
        """The sidecar of the image, or those fields of it that the state file has."""
        image, stars = sample.image, {"stars": sample.given.get("stars")}
        try:
            with self._reader.reading(sidecar_of(image.file)) as data:
                sidecar = parse(data)
        except (Absent, Outside, NotAFile, Untrue, OSError):
            sidecar = {}
        if sidecar.get("job") == image.key and sidecar.get("output_index") == image.output_index:
            shown = {} if sample.shown is sample.inputs else {"inputs": sample.shown}
            return {**sidecar, **shown, **stars}
        return {
            "job": image.key, "model": image.model, "inputs": sample.shown, "width": image.width,
            "height": image.height, "simulated": self._simulated, **stars,
        }  # fmt: skip
