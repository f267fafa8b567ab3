"""The least that the promises cost: the bare loop with its files forced and its rows committed, and nothing else.

No manifest, no planner, no limit, no checks, no faults, no resume: only what any program must do that never pays twice
and never loses what was paid for, in the cheapest way that we know of. The intent is on the disk before a submit
leaves, the request id before anything else happens, picture (with its SHA-256) and sidecar before the job is done; each
in groups, in one thread. What this takes beyond the bare loop, no program of its kind can do without.
"""

import argparse
import asyncio
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp

from batcher.commands.loop import run as run_on_our_loop
from tests.benchmarks.bare import asked, fetched, submitted

GATHER = 0.005  # seconds
MOST = 64  # pictures in a group
MOVES = (
    "INSERT INTO jobs (id, state) VALUES (?, 'submitting')",
    "UPDATE jobs SET state = 'running', request_id = ?2 WHERE id = ?1",
    "UPDATE jobs SET state = 'done', file = ?2, sha256 = ?3 WHERE id = ?1",
)
INTENT, ACCEPTED, SAVED = range(3)


class Groups:
    """Items that come while a group is at work in the one thread go together into the next."""

    def __init__(self, work: Callable[[Sequence[Any]], Sequence[Any]], most: int) -> None:
        self._work = work
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(1)
        self._waiting: list[tuple[Any, asyncio.Future[Any]]] = []
        self._busy = False

    def done(self, item: Any) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append((item, future))
        if not self._busy:
            self._busy = True
            self._loop.call_later(GATHER, self._begin)
        return future

    def _begin(self) -> None:
        group, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        work = self._loop.run_in_executor(self._pool, self._work, [item for item, _ in group])
        work.add_done_callback(lambda done: self._end([future for _, future in group], done.result()))

    def _end(self, futures: Sequence[asyncio.Future[Any]], values: Sequence[Any]) -> None:
        for future, value in zip(futures, values, strict=True):
            future.set_result(value)
        self._busy = bool(self._waiting)
        if self._busy:
            self._loop.call_later(0 if len(self._waiting) >= self._most else GATHER, self._begin)


def save(files: Sequence[tuple[str, bytes, dict[str, Any]]]) -> list[str]:
    """Checksums, once all of these survive a power cut."""
    parts: list[tuple[int, str, str]] = []
    sums = []
    for stem, content, record in files:
        sums.append(hashlib.sha256(content).hexdigest())
        sidecar = json.dumps(record | {"sha256": sums[-1]}).encode()
        for target, data in ((f"{stem}.png", content), (f"{stem}.json", sidecar)):
            handle = os.open(f"{target}.part", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            os.write(handle, data)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)  # the disk begins, and all are forced together
            parts.append((handle, f"{target}.part", target))
    for handle, _, _ in parts:
        os.fsync(handle)
    for handle, temp, target in parts:
        os.close(handle)
        os.rename(temp, target)  # noqa: PTH104  texts, as everything here: paths as objects cost
    folder = os.open(Path(files[0][0]).parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    return sums


def opened(folder: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(folder / "state.db", isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(
        "CREATE TABLE jobs (id INTEGER PRIMARY KEY, state TEXT, request_id TEXT, file TEXT, sha256 TEXT)"
    )
    return connection


async def run(origin: str, jobs: int, in_flight: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240  once, at the start
    connection = opened(folder)

    def commit(rows: Sequence[tuple[int, tuple[Any, ...]]]) -> Sequence[Any]:
        connection.execute("BEGIN")
        for move, statement in enumerate(MOVES):
            if values := [value for kind, value in rows if kind == move]:
                connection.executemany(statement, values)
        connection.execute("COMMIT")
        return rows

    state, files, numbers = Groups(commit, jobs), Groups(save, MOST), iter(range(jobs))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(_worker(session, origin, numbers, folder, state, files) for _ in range(in_flight)))


async def _worker(
    session: aiohttp.ClientSession, origin: str, numbers: Iterator[int], folder: Path, state: Groups, files: Groups
) -> None:
    for number in numbers:
        inputs = asked(number)
        await state.done((INTENT, (number,)))
        request = await submitted(session, origin, inputs)
        await state.done((ACCEPTED, (number, request)))
        answer, content = await fetched(session, origin, request)
        sha256 = await files.done((f"{folder}/{number:06d}", content, inputs | answer))
        await state.done((SAVED, (number, f"{number:06d}.png", sha256)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("origin")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--in-flight", type=int, default=256)
    arguments = parser.parse_args()
    run_on_our_loop(run(arguments.origin, arguments.jobs, arguments.in_flight, arguments.folder))
    print(json.dumps({"done": arguments.jobs}))


if __name__ == "__main__":
    main()
