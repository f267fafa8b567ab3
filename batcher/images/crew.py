"""How many threads are worth having at work on files.

Threads that write take turns with each other and with the event loop: all of them need the interpreter's lock, between
any two calls into the system. As long as a group of pictures spends its time waiting for the disk, another thread gets
more done; so it does while the processor is at work (a decoder, which needs no lock), up to one thread a core. Where a
group mostly waits for its turn, another thread makes nothing faster and everything dearer: at the most that two cores
can do, sixteen writers took a third more processor time than one, for a sixth less throughput.
"""

import os
import time
from dataclasses import dataclass

CROWDED = 0.35  # of the time of a group spent in waiting for its turn


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds that a group took: in all, in the processor, and waiting for the disk."""

    all: float
    processor: float
    disk: float


class Crew:
    """size: threads that are worth having, of at most ``most``. cores: of the machine."""

    def __init__(self, most: int, cores: int | None = None) -> None:
        self.most = most
        self.size = 1
        self.cores = cores or os.cpu_count() or 1

    def learn(self, spent: Spent) -> None:
        """From each group that is done."""
        turns = spent.all - spent.processor - spent.disk
        useful = min(self.most, self.most if spent.disk > spent.processor else self.cores)
        if turns > CROWDED * spent.all or self.size > useful:
            self.size = max(1, self.size - 1)
        else:
            self.size = min(useful, self.size + 1)


class Stopwatch:
    """Of the thread that makes it."""

    def __init__(self) -> None:
        self._began = self._lap = (time.perf_counter(), time.thread_time())
        self._disk = 0.0

    def lap(self, *, disk: bool = False) -> None:
        """What was done since the last lap. disk: it was waiting for one, apart from what the processor did."""
        now = (time.perf_counter(), time.thread_time())
        if disk:
            self._disk += (now[0] - self._lap[0]) - (now[1] - self._lap[1])
        self._lap = now

    def stop(self) -> Spent:
        self.lap()
        return Spent(self._lap[0] - self._began[0], self._lap[1] - self._began[1], self._disk)
