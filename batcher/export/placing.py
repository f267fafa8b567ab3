"""Very many files to their places, while the next ones are still being worked out.

A link is made at once. What has to be copied, or made by decoding and encoding, goes to threads, one for each core: the
libraries that do it leave the interpreter alone. Every name is in the ledger before its file is made.
"""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from batcher.store.files.disk import disk
from batcher.store.files.link_or_copy import Landing, Made

_LOT = 512


class Placing:
    """locate: the path of a name, its folder there. done: what was done, in files (link, copy, written, same)."""

    def __init__(
        self, landing: Landing, note: Callable[[list[str]], None], locate: Callable[[str], str], done: "Counter[str]"
    ) -> None:
        self._landing = landing
        self._note = note
        self._locate = locate
        self._done = done
        self._threads = min(8, os.cpu_count() or 1)
        self._waiting: deque[Future[Counter[str]]] = deque()

    def all(self, things: Iterable[Made]) -> Iterator[int]:
        """Makes these files; gives how many are there, now and then. Raises DiskError, UsageError."""
        placed = 0
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="export")
        try:
            for lot in _lots(things):
                self._note([thing.name for thing in lot])
                quick, slow = list[Made](), list[Made]()
                for thing in lot:
                    (quick if self._is_quick(thing) else slow).append(thing)
                share = max(1, -(-len(slow) // self._threads))
                for at in range(0, len(slow), share):
                    self._waiting.append(pool.submit(self._put, slow[at : at + share]))
                placed += self._count(self._put(quick))
                while len(self._waiting) > 2 * self._threads:
                    placed += self._count(self._waiting.popleft().result())
                yield placed
            while self._waiting:
                placed += self._count(self._waiting.popleft().result())
            yield placed
        finally:
            pool.shutdown(cancel_futures=True)

    def _is_quick(self, thing: Made) -> bool:
        """A link, or a small text."""
        return self._landing.links if thing.source is not None else isinstance(thing.content, bytes)

    def _put(self, lot: list[Made]) -> "Counter[str]":
        with disk(lot[0].name if lot else ""):
            return Counter([self._landing.put(thing, self._locate(thing.name)) for thing in lot])

    def _count(self, made: "Counter[str]") -> int:
        self._done += made
        return made.total()


def _lots(things: Iterable[Made]) -> Iterator[list[Made]]:
    walk = iter(things)
    while lot := list(islice(walk, _LOT)):
        yield lot
