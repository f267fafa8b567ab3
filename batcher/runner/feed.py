"""Where the jobs of a run come from: first what earlier processes wrote down and did not submit, then the manifest.

Jobs are written down in manifest order, and how far that went (the *cursor*) stands in the same transaction as each
group of them. So a resume of the same manifest begins where the last process stopped writing, however many jobs it has
passed: those before the cursor are all in the state file, and of them only the pending ones are left to do. Whoever
moves jobs between two runs (``retry``, ``verify --repair``) needs to know nothing of this: what it makes pending is
found here. With another manifest, another version or ``--limit`` every job is looked at anew, from the first.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from batcher.core.job import Entry, Job, State
from batcher.manifest import Manifest
from batcher.store import CommitQueue, StateFile
from batcher.store.reading import entries, meta

T = TypeVar("T")
Cursor = list[str | int]  # the manifest's mark, and how many of its jobs are written down

CHUNK = 256  # jobs taken at once


class Feed:
    """reader: a connection to the state file. Each entry is given once, in the state it is in."""

    def __init__(self, manifest: Manifest, queue: CommitQueue, reader: sqlite3.Connection) -> None:
        self._manifest = manifest
        self._queue = queue
        self._reader = reader
        self.at = 0  # jobs of the manifest that were passed so far

    async def entries(self) -> AsyncGenerator[Sequence[Entry], None]:
        """Groups of entries, in any state. Raises ManifestError when the manifest changed, DiskError."""
        manifest = self._manifest
        known = self._cursor()
        if known and manifest.total == manifest.whole:
            self.at = known
            left_over = entries(self._reader, [State.PENDING], listed_only=True)
            while group := await taken(left_over):
                yield group
        walk = manifest.jobs(self.at)
        while jobs := await taken(walk):
            self.at += len(jobs)
            cursor: Cursor = [manifest.mark, max(self.at, known)]
            yield await self._queue.durable(_enlist, self._queue.state, jobs, cursor)

    def _cursor(self) -> int:
        found = meta(self._reader, "cursor")
        return found[1] if found and found[0] == self._manifest.mark else 0


def _enlist(state: StateFile, jobs: Sequence[Job], cursor: Cursor) -> list[Entry]:
    found = state.enlist(jobs)
    state.set_meta(cursor=cursor)
    return found


async def taken(items: Iterator[T]) -> list[T]:
    """The next few, in a thread: a walk that passes over a million rows takes seconds, and stories go on meanwhile."""
    return await asyncio.to_thread(list, islice(items, CHUNK))


class Numbers:
    """A set of row numbers, one bit each."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, number: int) -> bool:
        """Whether it is new."""
        at, bit = number >> 3, 1 << (number & 7)
        if at >= len(self._bits):
            self._bits.extend(bytes(at + 1 - len(self._bits) + len(self._bits) // 8))
        new = not self._bits[at] & bit
        self._bits[at] |= bit
        return new
