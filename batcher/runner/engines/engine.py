"""The seam between the drain and whoever fetches files, and the engine of one process."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from batcher.core.job import Artifact, Entry
from batcher.images.fetch import Downloader, fetch_all

Turn = AbstractAsyncContextManager[object]


class Engine(Protocol):
    async def fetch(self, entry: Entry, turn: Turn) -> list[Artifact]:
        """Every file of a READY job, in its place with its sidecar. turn: entered while one is on its way.

        Raises LinkDead, FileUnavailable, FileRefused or DiskError, and what ``turn`` raises.
        """
        ...

    def resize(self, downloads: int) -> int:
        """``--downloads`` is this from now on. How many turns there may be at once."""
        ...

    @property
    def workers(self) -> list[str]:
        """Who is at work beside this process, in words."""
        ...


class Local:
    """Everything in this process."""

    workers: list[str] = []  # noqa: RUF012  never changed

    def __init__(self, downloader: Downloader, *, simulated: bool) -> None:
        self._downloader = downloader
        self._simulated = simulated

    async def fetch(self, entry: Entry, turn: Turn) -> list[Artifact]:
        return await fetch_all(self._downloader, entry, simulated=self._simulated, turn=turn)

    def resize(self, downloads: int) -> int:
        return downloads
