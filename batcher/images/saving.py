"""Group writing: many pictures take the way to the disk together.

Forcing one file to the disk makes a journalling file system write its journal; of many files that were written before,
the first to be forced pays and the others find the work done. And each call into the system from a second thread makes
two threads hand the interpreter's lock to each other, which for a small picture costs more than its checksum. So while
one group is being written, and for ``GATHER`` seconds after it began, the next one gathers. Big pictures are written in
a thread for each core, as their checks take time without that lock; more threads help only where no group has ended for
a second, which is a slow disk.

The order within a group is the order that one file alone would have: content forced, then renamed, image before
sidecar, then the folder. What goes wrong with one picture is that picture's; a folder that can't be forced is
everybody's who is in it.

Where a place gains nothing by groups (a bucket), each picture gets a thread of its own.
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
STUCK = 1.0  # seconds without the end of a group after which one more thread helps
MOST, MOST_BYTES = 64, 4 << 20  # of one group
MOST_HELD = 8 << 20  # bytes that wait in memory: while there are more, no others are asked for


class Written(NamedTuple):
    """A checked picture and what is still to be done until it is safe."""

    artifact: Artifact
    put: Put


Write = Callable[[], Written]


class Saved(asyncio.Future[Artifact]):
    """Whoever waits for it and is cancelled waits for its end all the same, and is cancelled then: a thread can't be
    called back, and what it writes must not come to life after the clean-up.
    """

    def cancel(self, msg: Any = None) -> bool:  # noqa: ARG002
        return False


class _Waiting(NamedTuple):
    write: Write
    size: int
    future: Saved


class Saver:
    """Used from one event loop. most: threads of ``pool`` that may be at work at once."""

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
        self._began = self._ended = float("-inf")  # when the last group did
        self._at_work = 0
        self._looking_at = float("inf")
        self._timer: asyncio.TimerHandle | None = None

    async def room(self) -> None:
        """Waits until there is memory for more."""
        while self._held > MOST_HELD:
            self._room.clear()
            await self._room.wait()

    def save(self, write: Write, size: int) -> Saved:
        """write: called in a worker thread. size: bytes, so that a group is not all too much.

        The future has the artifact once its files survive a power cut, or what ``write`` or the disk raised.
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
                self._look_at(due)
                return
            self._begin(now)

    def _due(self) -> float:
        """When the next group begins."""
        full = len(self._waiting) >= self._most_in_group
        big = self._held >= MOST_BYTES * max(1.0, len(self._waiting) / MOST)
        if self._at_work >= (self._cores if big else self._usual):
            return max(self._began, self._ended) + STUCK
        return float("-inf") if full or big else self._began + GATHER

    def _look_at(self, moment: float) -> None:
        if moment < self._looking_at:
            if self._timer is not None:
                self._timer.cancel()
            self._looking_at = moment
            self._timer = self._loop.call_at(moment, self._look)

    def _look(self) -> None:
        self._looking_at, self._timer = float("inf"), None
        self._put_to_work()

    def _begin(self, now: float) -> None:
        self._began = now
        group = self._next_group()
        self._at_work += 1
        try:
            writing = self._loop.run_in_executor(self._pool, write_group, [item.write for item in group])
        except RuntimeError as error:  # the system gives no thread: nobody may be left waiting
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
    """Of a group, also where there was no memory to write it."""
    try:
        return done.result()
    except Exception as error:  # noqa: BLE001  it belongs to all of the group
        return [error] * count


def write_group(writes: Sequence[Write]) -> list[Artifact | Exception]:
    """The artifact for each, or what went wrong with it; nothing of that one is left behind then."""
    outcomes: dict[int, Artifact | Exception] = {}
    written: dict[int, Written] = {}
    for number, write in enumerate(writes):
        try:
            written[number] = write()
        except Exception as error:  # noqa: BLE001  it belongs to whoever gave us this picture
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
