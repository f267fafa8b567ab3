"""The state file of a run, and what is left when its disk fails."""

import sqlite3

from batcher.core.errors import DiskError
from batcher.core.job import Artifact
from batcher.runner.recovery.rescue import Rescue
from batcher.runner.stop import Stop, of_disk
from batcher.store import Ballast, CommitQueue
from batcher.store.machine import may_have_lost


class JobTable:
    """The state file as a run uses it.

    queue: writes to the state file. reader: a read-only connection to it, for the event loop's thread. ballast: disk
    space for the last writes on a full disk. stop: where the end is requested when the disk fails. rescue: request ids
    that are not in the state file yet. files: by job id, of jobs just saved that still have a task.
    """

    def __init__(self, queue: CommitQueue, reader: sqlite3.Connection, ballast: Ballast, stop: Stop) -> None:
        self.queue = queue
        self.state = queue.state
        self.reader = reader
        self.ballast = ballast
        self.rescue = Rescue(self.state)
        self.files: dict[int, list[Artifact]] = {}
        self._stop = stop

    def failed(self, problem: DiskError) -> None:
        """The machine lacks disk, memory or threads: end the run and leave jobs at the service to the next one."""
        self._stop.request(of_disk(problem), problem.message, problem.hint)
        if may_have_lost(problem):
            self.rescue.distrust_journal()
