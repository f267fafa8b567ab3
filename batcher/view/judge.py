"""Keeps the flags of a run current while its page is open, and measures images that were not measured yet.

Measuring takes 4 to 60 ms for each image. It happens in a process with low priority, one image at a time, only while
nobody waits for a thumbnail and no process works on the run.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from batcher.core.errors import BatcherError
from batcher.images.flagging import Flagged, Measures, Place, flagged
from batcher.images.flags import Measured
from batcher.images.storage import reader_of
from batcher.store import connect_to_read
from batcher.store.files.safe_reader import Absent, NotAFile, Outside
from batcher.store.joined import whose
from batcher.view.thumbs import Thumbs, place

_SHARE = 0.05  # most of the time to spend on judging, which compares all images with each other
_EVERY = 1.0  # least seconds between two times


class Judge:
    """Finds the flags of a run.

    run_dir: the run directory. thumbs: makes thumbnails, and measures images on the way.
    is_going: whether a process is working on the run; it is called in another thread.
    flags: by job key and output index, as last judged. unmeasured: number of images that were not measured yet.
    is_behind: to be set when new images came.
    """

    def __init__(self, run_dir: Path, thumbs: Thumbs, is_going: Callable[[], bool]) -> None:
        self._run_dir = run_dir
        self._thumbs = thumbs
        self._is_going = is_going
        self._measures: Measures | None = None
        self._left: dict[str, str] = {}
        self._fresh: defaultdict[Path, dict[str, Measured]] = defaultdict(dict)
        self._next = 0.0
        self.flags: dict[Place, list[str]] = {}
        self.unmeasured = 0
        self.is_behind = True

    def saw(self, run_dir: Path, sha256: str, measured: Measured) -> None:
        """Take the measures of an image into account. run_dir: of its run. sha256: of its content."""
        self._fresh[run_dir][sha256] = measured
        self._left.pop(sha256, None)

    def message(self) -> dict[str, Any]:
        """All flags, for a page that was opened."""
        return {"flags": _wire(self.flags), "unmeasured": self.unmeasured}

    async def judge(self) -> dict[str, Any] | None:
        """Judge again, and give the changes since the last time; None if nothing changed."""
        if not (self.is_behind or self._fresh):
            return None
        self.is_behind = False
        began = time.monotonic()
        try:
            flags_of = await asyncio.to_thread(self._judged)
        except (BatcherError, OSError):  # the reader has the same error and reports it to the page
            return None
        self._next = began + max(_EVERY, (time.monotonic() - began) / _SHARE)
        self._left = flags_of.left
        before, self.flags = self.flags, flags_of.flags
        changed = {
            key: self.flags.get(key, []) for key in before.keys() | self.flags if self.flags.get(key) != before.get(key)
        }
        if not changed and len(flags_of.left) == self.unmeasured:
            return None
        self.unmeasured = len(flags_of.left)
        return {"flags": _wire(changed), "unmeasured": self.unmeasured}

    def _judged(self) -> Flagged:
        if self._measures is None:
            self._measures = Measures(self._run_dir)
        fresh, self._fresh = self._fresh, defaultdict(dict)
        for run_dir, measured in fresh.items():
            self._measures.add(measured, run_dir)
        with closing(connect_to_read(self._run_dir)) as connection:
            flags_of = flagged(connection, self._measures)
        return flags_of._replace(left={}) if self._is_going() else flags_of

    async def measure(self) -> None:
        """Measure images until it is time to judge again."""
        while (wait := self._next - time.monotonic()) > 0:
            if not self._left or not self._thumbs.is_idle:
                await asyncio.sleep(min(wait, _EVERY / 4))
                continue
            sha256, file = self._left.popitem()
            run_dir, file = whose(self._run_dir, file)
            with suppress(Absent, NotAFile, Outside, BatcherError, OSError, ValueError):
                path = await asyncio.to_thread(lambda: reader_of(run_dir).regular(file))  # noqa: B023  awaited
                measured = (await self._thumbs.made(path, place(run_dir, sha256)))[1]
                if measured is not None:
                    self.saw(run_dir, sha256, measured)


def _wire(flags: dict[Place, list[str]]) -> list[list[Any]]:
    return [[job, output, words] for (job, output), words in flags.items()]
