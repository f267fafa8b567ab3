"""Every file of one job, each with the sidecar that speaks of its attempt."""

from collections.abc import Mapping
from typing import Any

from batcher.core.job import Artifact, Entry, sidecar
from batcher.core.naming import numbered
from batcher.core.version import __version__
from batcher.images.fetch import ANY_TIME, Downloader, Turn


async def fetch_all(
    downloader: Downloader, entry: Entry, *, simulated: bool, turn: Turn = ANY_TIME, moment: float | None = None
) -> list[Artifact]:
    """Fetches ``entry.urls``, each in its ``turn``. moment: as ``Downloader.fetch`` takes it.

    Raises as ``Downloader.fetch`` does; files before the one that failed stay.
    """
    ratio = entry.job.inputs.get("aspect_ratio")
    count = len(entry.urls)

    def describe(artifact: Artifact) -> Mapping[str, Any]:
        return sidecar(entry, artifact, simulated=simulated, version=__version__)

    return [
        await downloader.fetch(
            url,
            path=numbered(entry.path, index, count),
            output_index=index,
            output_count=count,
            wanted_ratio=ratio if isinstance(ratio, str) else None,
            describe=describe,
            turn=turn,
            moment=moment,
        )
        for index, url in enumerate(entry.urls)
    ]
