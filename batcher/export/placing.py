"""Very many files to their places, while the next ones are still being worked out.

Links and small texts go to a process of their own (``placer``), many at a time. What has to be copied, or made by
decoding and encoding, goes to threads, one for each core: the libraries that do it leave the interpreter alone. Every
name is told to the ledger before its file is made.
"""

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from batcher.export.placer import Placer, Wanted
from batcher.store.files.disk import disk
from batcher.store.files.link_or_copy import Landing, Made

_LOT = 512
_SMALL = 4096  # bytes that go through the pipe
_WORDS = {ord("l"): "link", ord("w"): "written", ord("s"): "same"}


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
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="export")
        self._waiting: deque[Future[Counter[str]]] = deque()
        self._placer = Placer()
        self._lots: deque[list[Made]] = deque()

    def all(self, things: Iterable[Made]) -> Iterator[int]:
        """Makes these files; gives how many are there, now and then. Raises DiskError, UsageError."""
        placed = 0
        try:
            for lot in _lots(things):
                self._note([thing.name for thing in lot])
                self._start(lot)
                placed += self._finished(all_of_them=False)
                yield placed
            yield placed + self._finished(all_of_them=True)
        finally:
            self._pool.shutdown(cancel_futures=True)
            self._placer.close()

    def _start(self, lot: list[Made]) -> None:
        away = [thing for thing in lot if self._can_go(thing)] if len(lot) == _LOT else []
        here = [thing for thing in lot if not self._can_go(thing)] if away else lot
        if away:
            with disk(away[0].name):
                self._placer.send([Wanted(thing.source, thing.content, self._locate(thing.name)) for thing in away])
            self._lots.append(away)
        share = max(1, -(-len(here) // self._threads))
        for at in range(0, len(here), share):
            self._waiting.append(self._pool.submit(self._here, here[at : at + share]))

    def _can_go(self, thing: Made) -> bool:
        if thing.source is not None:
            return self._landing.links
        return thing.time_of is None and isinstance(thing.content, bytes) and len(thing.content) <= _SMALL

    def _finished(self, *, all_of_them: bool) -> int:
        before = self._done.total()
        for letters in self._placer.answers(all_of_them=all_of_them):
            self._take(self._lots.popleft(), letters)
        while self._waiting and (all_of_them or len(self._waiting) > 2 * self._threads):
            self._done += self._waiting.popleft().result()
        return self._done.total() - before

    def _take(self, lot: list[Made], letters: bytes) -> None:
        for letter, word in _WORDS.items():
            self._done[word] += letters.count(letter)
        if b"?" in letters:
            rest = [thing for thing, letter in zip(lot, letters, strict=True) if letter not in _WORDS]
            self._done += self._here(rest)

    def _here(self, lot: list[Made]) -> "Counter[str]":
        with disk(lot[0].name):
            return Counter([self._landing.put(thing, self._locate(thing.name)) for thing in lot])


def _lots(things: Iterable[Made]) -> Iterator[list[Made]]:
    lot: list[Made] = []
    for thing in things:
        lot.append(thing)
        if len(lot) == _LOT:
            yield lot
            lot = []
    if lot:
        yield lot
