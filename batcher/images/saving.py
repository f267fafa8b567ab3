"""Writes images to the disk in groups, which costs less than one after the other.

Forcing a file to the disk makes a journalling file system write its journal. If many files were written before, the
first one that is forced pays, and the others are done. Also, each system call from a second thread hands the
interpreter's lock over, which for a small image costs more than its checksum. So one thread writes a group, and the
next group collects images meanwhile, for at least ``GATHER`` seconds. Big images are written by one thread for each
core, as their checks release that lock. Further threads start only if no group has ended for a second, which means a
slow disk.

The order within a group is as for a single file: content forced, then renamed, image before sidecar, then the folder.
An error with one image fails only that image; a folder that can't be forced fails all images in it.

If a place gains nothing by groups (a bucket), each image gets a thread of its own.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from batcher.core.job import Artifact
from batcher.store.files.disk import disk, force_folder
from batcher.store.files.place import Put
from batcher.store.files.whole import Part

GATHER = 0.05  # seconds between the beginnings of two groups, unless one is full
STUCK = 1.0  # seconds without the end of a group, after which one more thread may start
MOST, MOST_BYTES = 64, 4 << 20  # of one group
MOST_HELD = 8 << 20  # bytes that wait in memory; while there are more, no download starts


class Written(NamedTuple):
    """A checked image. artifact: as it will be recorded. put: its files, which are still to be forced and renamed."""

    artifact: Artifact
    put: Put


Write = Callable[[], Written]


class Saved(asyncio.Future[Artifact]):
    """The outcome of a save. A task that awaits it and is cancelled still waits for its end: a thread can't be
    interrupted, and must not write a file after the clean-up.
    """

    def cancel(self, msg: Any = None) -> bool:  # noqa: ARG002
        return False


class _Waiting(NamedTuple):
    """A save that is not begun. write: checks and writes, in a thread. size: bytes held until then. future: its
    outcome.
    """

    write: Write
    size: int
    future: Saved


class Saver:
    """Saves images in groups, for one event loop.

    pool: runs the groups. most: threads of it that may be used at once. grouped: False for a thread for each image.
    """

    def __init__(self, pool: ThreadPoolExecutor, most: int, *, grouped: bool = True) -> None:
        self._pool = pool
        self._most = most
        self._most_in_group = MOST if grouped else 1
        self._usual = 1 if grouped else most
        self._cores = min(most, os.cpu_count() or 1) if grouped else most
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting] = deque()
        self._held = 0  # bytes of those waiting
        self._room = asyncio.Event()
        self._began = self._ended = float("-inf")  # time of the last begin and end of a group
        self._at_work = 0
        self._wakes_at = float("inf")
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Saver: {len(self._waiting)} waiting, {self._held:,} bytes held, at work: {self._at_work}>"

    async def room(self) -> None:
        """Wait until less than ``MOST_HELD`` bytes are held."""
        while self._held > MOST_HELD:
            self._room.clear()
            await self._room.wait()

    def save(self, write: Write, size: int) -> Saved:
        """Add an image to the next group. write: called in a worker thread. size: of the image in bytes.

        The result is the artifact, once its files survive a power cut, or the error of ``write`` or of the disk.
        """
        future = Saved(loop=self._loop)
        self._waiting.append(_Waiting(write, size, future))
        self._held += size
        self._put_to_work()
        return future

    def _put_to_work(self) -> None:
        while self._waiting and self._at_work < self._most:
            now, due = self._loop.time(), self._due()
            if now < due:
                self._wake_at(due)
                return
            self._begin(now)

    def _due(self) -> float:
        """The time at which the next group may begin."""
        full = len(self._waiting) >= self._most_in_group
        big = self._held >= MOST_BYTES * max(1.0, len(self._waiting) / MOST)
        if self._at_work >= (self._cores if big else self._usual):
            return max(self._began, self._ended) + STUCK
        return float("-inf") if full or big else self._began + GATHER

    def _wake_at(self, moment: float) -> None:
        if moment < self._wakes_at:
            if self._timer is not None:
                self._timer.cancel()
            self._wakes_at = moment
            self._timer = self._loop.call_at(moment, self._wake)

    def _wake(self) -> None:
        self._wakes_at, self._timer = float("inf"), None
        self._put_to_work()

    def _begin(self, now: float) -> None:
        self._began = now
        group = self._next_group()
        self._at_work += 1
        try:
            writing = self._loop.run_in_executor(self._pool, write_group, [item.write for item in group])
        except RuntimeError as error:  # no thread can be started: all who wait for this group get the error
            self._finish(group, [error] * len(group))
        else:
            writing.add_done_callback(lambda done: self._finish(group, _outcomes(done, len(group))))

    def _next_group(self) -> list[_Waiting]:
        group = [self._waiting.popleft()]
        size = group[0].size
        while (
            self._waiting and len(group) < self._most_in_group and (size := size + self._waiting[0].size) <= MOST_BYTES
        ):
            group.append(self._waiting.popleft())
        self._held -= sum(item.size for item in group)
        self._room.set()
        return group

    def _finish(self, group: Sequence[_Waiting], outcomes: Sequence[Artifact | Exception]) -> None:
        self._at_work -= 1
        self._ended = self._loop.time()
        for item, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, Exception):
                item.future.set_exception(outcome)
            else:
                item.future.set_result(outcome)
        self._put_to_work()


def _outcomes(done: asyncio.Future[list[Artifact | Exception]], count: int) -> Sequence[Artifact | Exception]:
    """The outcomes of a group; its error for each if it could not be written at all."""
    try:
        return done.result()
    except Exception as error:  # noqa: BLE001  it is raised for each of the group
        return [error] * count


def write_group(writes: Sequence[Write]) -> list[Artifact | Exception]:
    """Write images. Gives the artifact for each, or its error; no file of an image with an error is left behind."""
    outcomes: dict[int, Artifact | Exception] = {}
    written: dict[int, Written] = {}
    for number, write in enumerate(writes):
        try:
            written[number] = write()
        except Exception as error:  # noqa: BLE001  it is raised where this image is awaited
            outcomes[number] = error
    for step in (Part.hint, Part.force, Part.land):
        for number, one in list(written.items()):
            try:
                for part in one.put.parts:
                    step(part)
            except Exception as error:  # noqa: BLE001  as above
                outcomes[number] = error
                del written[number]
                for part in one.put.parts:
                    part.drop()
    _force_folders(written, outcomes)
    return [outcomes[number] for number in range(len(writes))]


def _force_folders(written: dict[int, Written], outcomes: dict[int, Artifact | Exception]) -> None:
    forced: dict[Path, Exception | None] = {}
    for number, one in written.items():
        outcomes[number] = one.artifact
        folder = one.put.folder
        if folder is None:
            continue
        if folder not in forced:
            try:
                with disk(one.artifact.file):
                    force_folder(folder)
                forced[folder] = None
            except Exception as error:  # noqa: BLE001  as above
                forced[folder] = error
        outcomes[number] = forced[folder] or one.artifact
