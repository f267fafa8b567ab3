"""Moves that are held back: that a job has finished is written down with its files, if those come soon."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest

from batcher.core.errors import Defect
from batcher.core.job import Entry, State
from batcher.store import CommitQueue, completed, reading
from batcher.store.queue import LATER
from tests.store.state_files import CAUSE, NOW, Book, a_book, a_job, a_picture
from tests.virtual import run

URLS = ("https://files.runcomfy.net/a.png",)
Story = Callable[[CommitQueue, Entry], Awaitable[None]]


def told(book: Book, story: Story, *jobs: Entry) -> list[str]:
    """The states in the file after each step that a story marks, and at the end."""

    async def main() -> None:
        async with CommitQueue(book.state) as queue:
            await asyncio.gather(*(story(queue, entry) for entry in jobs or [book.running()]))

    run(main())
    return [state for (state,) in book.rows("SELECT state FROM job_data ORDER BY id")]


def hold_back(queue: CommitQueue, entry: Entry) -> Entry:
    queue.later(entry.id, queue.state.complete, entry, URLS, 0.02, NOW + 9)
    return completed(entry, URLS, 0.02, NOW + 9)


def test_complete_and_save_in_one_leave_the_file_as_one_after_the_other(tmp_path: Path) -> None:
    tables = ("job_data", "attempt_data", "image_data", "link_data", "totals", "words")
    found = []
    for name in ("apart", "at_once"):
        with a_book(tmp_path / name) as book:
            running = book.running()
            if name == "apart":
                ready = book.do(book.state.complete, running, URLS, 0.02, NOW + 9)
                saved = book.do(book.state.save, ready, [a_picture(ready)])
            else:
                ready = completed(running, URLS, 0.02, NOW + 9)
                saved = book.do(book.state.save_at_once, ready, [a_picture(ready)])
            found.append(([book.rows(f"SELECT * FROM {table}") for table in tables], saved))
    assert found[0] == found[1]


def test_a_move_that_is_taken_back_is_never_written(tmp_path: Path) -> None:
    async def story(queue: CommitQueue, entry: Entry) -> None:
        hold_back(queue, entry)
        assert queue.withdraw(entry.id)
        assert not queue.withdraw(entry.id)
        await asyncio.sleep(2 * LATER)

    with a_book(tmp_path) as book:
        assert told(book, story) == [State.RUNNING]


def test_a_move_that_nobody_takes_back_is_written_in_time(tmp_path: Path) -> None:
    async def story(queue: CommitQueue, entry: Entry) -> None:
        hold_back(queue, entry)
        await asyncio.sleep(LATER + 0.1)
        assert not queue.withdraw(entry.id)
        assert [one.urls for one in reading.entries(queue.state.connection, [State.READY])] == [URLS]

    with a_book(tmp_path) as book:
        assert told(book, story) == [State.READY]


def test_each_of_many_is_written_when_it_is_due_and_not_before(tmp_path: Path) -> None:
    async def story(queue: CommitQueue, entry: Entry) -> None:
        await asyncio.sleep(entry.id)  # a second apart
        hold_back(queue, entry)
        await asyncio.sleep(LATER - 0.1)
        assert queue.withdraw(entry.id)
        hold_back(queue, entry)
        await asyncio.sleep(LATER + 0.1)
        assert not queue.withdraw(entry.id)

    with a_book(tmp_path) as book:
        jobs = [book.running(job) for job in map(a_job, range(8))]
        assert told(book, story, *jobs) == [State.READY] * 8


def test_another_move_of_the_job_finds_it_written_once_it_is_hastened(tmp_path: Path) -> None:
    async def story(queue: CommitQueue, entry: Entry) -> None:
        ready = hold_back(queue, entry)
        queue.hasten(entry.id)
        queue.hasten(entry.id)
        await queue.durable(queue.state.expire, ready)

    with a_book(tmp_path) as book:
        assert told(book, story) == [State.RUNNING]


def test_what_is_held_back_at_the_end_is_written(tmp_path: Path) -> None:
    async def story(queue: CommitQueue, entry: Entry) -> None:
        hold_back(queue, entry)

    with a_book(tmp_path) as book:
        assert told(book, story) == [State.READY]


def test_a_flush_returns_once_all_is_in_the_file(tmp_path: Path) -> None:
    async def story(queue: CommitQueue, entry: Entry) -> None:
        hold_back(queue, entry)
        await queue.flush()
        assert queue.state.connection.execute("SELECT state FROM job_data").fetchall() == [(State.READY,)]

    with a_book(tmp_path) as book:
        assert told(book, story) == [State.READY]


def test_one_that_can_not_be_written_takes_nobody_else_with_it(tmp_path: Path) -> None:
    """The next move of that job is the one that says so."""

    async def story(queue: CommitQueue, entry: Entry) -> None:
        ready = completed(entry, URLS, 0.02, NOW + 9)
        await queue.durable(queue.state.fail_here, entry, CAUSE)
        hold_back(queue, entry)
        await queue.flush()
        with pytest.raises(Defect, match="is not ready in the state file"):
            await queue.durable(queue.state.expire, ready)

    with a_book(tmp_path) as book:
        other = book.running(a_job(7))
        assert told(book, story, book.running(a_job(8))) == [State.RUNNING, State.FAILED]
        assert book.do(partial(book.state.complete, other, URLS, 0.02, NOW)).state is State.READY
