"""The step that brings the files home: READY to DONE. Free, and never a reason to pay again."""

import asyncio
from collections.abc import Mapping
from typing import Any

from batcher import __version__
from batcher.errors import Cause, FileRefused, FileUnavailable, LinkDead
from batcher.job import Artifact, Entry, sidecar
from batcher.naming import numbered
from batcher.retry import FILES, GiveUp, decide
from batcher.runner.submit import Slot
from batcher.runner.tools import Tools, draw
from batcher.stop import pause


class Fetcher:
    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self._slots = asyncio.Semaphore(tools.settings.downloads)
        self._relinked: set[int] = set()  # jobs that had their one fresh link

    async def fetch(self, entry: Entry, slot: Slot) -> Entry:
        """READY to DONE, RUNNING (to ask for a fresh link) or FAILED; READY still when the run stops first.

        Raises DiskError.
        """
        slot.release()
        leave = self.tools.stop.leave
        failures = 0
        while not leave.is_set():
            async with self._slots:
                if leave.is_set():
                    break
                self.tools.tally.downloading += 1
                try:
                    return await self._save(entry, await self._download(entry))
                except LinkDead as problem:
                    return await self._ask_for_a_fresh_link(entry, problem.cause)
                except FileRefused as problem:
                    return await self._fail(entry, problem.cause)
                except FileUnavailable as problem:
                    failures += 1
                    again = decide(FILES, failures, draw(entry, failures), asked=problem.retry_after)
                    if isinstance(again, GiveUp):
                        return await self._fail(entry, problem.cause)
                finally:
                    self.tools.tally.downloading -= 1
            await pause(again.delay, leave)
        return entry

    def forget(self, entry: Entry) -> None:
        """The story is over."""
        self._relinked.discard(entry.id)

    async def _download(self, entry: Entry) -> list[Artifact]:
        ratio = entry.job.inputs.get("aspect_ratio")
        count = len(entry.urls)

        def describe(artifact: Artifact) -> Mapping[str, Any]:
            simulated = bool(self.tools.api.simulated)
            return sidecar(entry, artifact, simulated=simulated, version=__version__)

        return [
            await self.tools.downloader.fetch(
                url,
                path=numbered(entry.path, index, count),
                output_index=index,
                output_count=count,
                wanted_ratio=ratio if isinstance(ratio, str) else None,
                describe=describe,
            )
            for index, url in enumerate(entry.urls)
        ]

    async def _save(self, entry: Entry, artifacts: list[Artifact]) -> Entry:
        tools = self.tools
        saved, warnings = await tools.queue.durable(tools.state.save, entry, artifacts)
        for warning in warnings:
            tools.tally.warn(warning)
        return saved

    async def _ask_for_a_fresh_link(self, entry: Entry, cause: Cause) -> Entry:
        if entry.id in self._relinked:
            return await self._fail(entry, Cause(kind="gone", message=cause.message, http_status=cause.http_status))
        self._relinked.add(entry.id)
        return await self.tools.queue.durable(self.tools.state.expire, entry)

    async def _fail(self, entry: Entry, cause: Cause) -> Entry:
        return await self.tools.queue.durable(self.tools.state.fail_here, entry, cause)
