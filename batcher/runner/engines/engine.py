"""The interface between the drain and the downloads of files, and the engine of one process."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from batcher.core.job import Artifact, Entry
from batcher.images.fetch import Downloader, fetch_all

Turn = AbstractAsyncContextManager[object]


class Engine(Protocol):
    """Downloads the files of jobs. workers: a line of text for each worker beside this process."""

    async def fetch(self, entry: Entry, turn: Turn) -> list[Artifact]:
        """Download every file of a READY job and write it with its sidecar. turn: entered during the downloads.

        Raises LinkDead, FileUnavailable, FileRefused, DiskError, and the errors of ``turn``.
        """
        ...

    def resize(self, downloads: int) -> int:
        """Set ``--downloads``. Returns how many jobs may be in ``fetch`` at once."""
        ...

    @property
    def workers(self) -> list[str]: ...


class Local:
    """Downloads in this process.

    downloader: open for as long as this is used. simulated: whether the images come from the simulator.
    """

    workers: list[str] = []  # noqa: RUF012  never changed

    def __init__(self, downloader: Downloader, *, simulated: bool) -> None:
        self._downloader = downloader
        self._simulated = simulated

    async def fetch(self, entry: Entry, turn: Turn) -> list[Artifact]:
        return await fetch_all(self._downloader, entry, simulated=self._simulated, turn=turn)

    def resize(self, downloads: int) -> int:
        return downloads
