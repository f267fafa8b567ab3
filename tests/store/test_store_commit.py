"""Group commit: who shares a transaction, what a failure takes with it, what a full disk does."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from batcher.core.errors import Defect, DiskError
from batcher.core.job import State
from batcher.store import STATE, CommitQueue, StateFile
from tests.support.state_files import NOW, Book, a_book, a_job, opened


def note(state: StateFile, name: str, value: int) -> None:
    """The least that a call can do."""
    state.connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, str(value)))


def test_many_calls_at_once_share_few_commits(tmp_path: Path) -> None:
    async def story(state: StateFile) -> int:
        async with CommitQueue(state) as queue:
            entries = await queue.durable(state.enlist, [a_job(number) for number in range(500)])
            claimed = await asyncio.gather(*(queue.durable(state.claim, entry, NOW) for entry in entries))
            assert all(entry.state is State.SUBMITTING for entry in claimed)
            return queue.commits

    with a_book(tmp_path) as book:
        assert asyncio.run(story(book.state)) <= 3
        assert book.rows("SELECT count(*) FROM attempts") == [(500,)]


def test_calls_that_come_while_a_group_is_written_go_together_into_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, go_on = threading.Event(), threading.Event()
    seal = StateFile.seal

    def slow(self: StateFile) -> None:
        writing.set()
        assert go_on.wait(10)
        seal(self)

    async def story(state: StateFile) -> int:
        async with CommitQueue(state) as queue:
            first = asyncio.ensure_future(queue.durable(note, state, "n", -1))
            await asyncio.to_thread(writing.wait, 10)
            rest = [asyncio.ensure_future(queue.durable(note, state, "n", number)) for number in range(50)]
            await asyncio.sleep(0)
            go_on.set()
            await asyncio.gather(first, *rest)
            return queue.commits

    with opened(tmp_path) as state:
        monkeypatch.setattr(StateFile, "seal", slow)
        assert asyncio.run(story(state)) == 2


def test_calls_are_written_in_the_order_they_came(tmp_path: Path) -> None:
    order: list[int] = []

    async def story(state: StateFile) -> None:
        async with CommitQueue(state) as queue:

            async def one(number: int) -> None:
                for _ in range(number % 7):
                    await asyncio.sleep(0)
                came.append(number)
                await queue.durable(order.append, number)

            came: list[int] = []
            await asyncio.gather(*(one(number) for number in range(100)))
            assert order == came

    with opened(tmp_path) as state:
        asyncio.run(story(state))
    assert len(order) == 100


def test_what_durable_returned_is_on_the_disk(tmp_path: Path) -> None:
    async def story(book: Book, seen: sqlite3.Connection) -> None:
        async with CommitQueue(book.state) as queue:
            for number in range(5):
                await queue.durable(book.state.enlist, [a_job(number)])
                assert seen.execute("SELECT count(*) FROM jobs").fetchone() == (number + 1,)

    with a_book(tmp_path) as book:
        seen = sqlite3.connect(tmp_path / STATE)
        asyncio.run(story(book, seen))
        seen.close()


def test_a_failing_call_fails_its_own_waiter_only(tmp_path: Path) -> None:
    def wrong() -> None:
        raise Defect("this one")

    async def story(state: StateFile) -> list[object]:
        async with CommitQueue(state) as queue:
            calls: list[Callable[[], object]] = [partial(note, state, f"n{number}", number) for number in range(9)]
            calls[4] = wrong
            return await asyncio.gather(*(queue.durable(call) for call in calls), return_exceptions=True)

    with opened(tmp_path) as state:
        outcomes = asyncio.run(story(state))
        assert [type(outcome) for outcome in outcomes] == [type(None)] * 4 + [Defect] + [type(None)] * 4
        assert state.connection.execute("SELECT count(*) FROM meta").fetchone() == (8,)


def test_a_call_that_breaks_a_rule_of_the_tables_is_not_taken_for_a_full_disk(tmp_path: Path) -> None:
    with opened(tmp_path) as state:

        def wrong() -> None:
            state.connection.execute("INSERT INTO past_attempts (job_id, n) VALUES (1, 1)")

        (fine, error), (other, _) = state.commit([wrong, partial(note, state, "a", 1)])
        assert not fine
        assert isinstance(error, sqlite3.IntegrityError)
        assert other


def test_a_cancelled_waiter_does_not_take_its_call_back(tmp_path: Path) -> None:
    async def story(state: StateFile) -> None:
        async with CommitQueue(state) as queue:
            waiter = asyncio.ensure_future(queue.durable(note, state, "kept", 1))
            await asyncio.sleep(0)
            waiter.cancel()
            await asyncio.gather(waiter, return_exceptions=True)
            assert waiter.cancelled()

    with opened(tmp_path) as state:
        asyncio.run(story(state))
        assert state.connection.execute("SELECT value FROM meta WHERE name = 'kept'").fetchone() == ("1",)


def test_leaving_the_queue_writes_what_is_still_in_line(tmp_path: Path) -> None:
    async def story(state: StateFile) -> None:
        async with CommitQueue(state) as queue:
            waiters = [asyncio.ensure_future(queue.durable(note, state, f"n{n}", n)) for n in range(20)]
            await asyncio.sleep(0)
        assert all(waiter.done() for waiter in waiters)

    with opened(tmp_path) as state:
        asyncio.run(story(state))
        assert state.connection.execute("SELECT count(*) FROM meta").fetchone() == (20,)


def test_the_event_loop_goes_on_while_the_disk_is_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beats = 0
    seal = StateFile.seal

    def slow(self: StateFile) -> None:
        time.sleep(0.05)
        seal(self)

    async def heart() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0)
            beats += 1

    async def story(state: StateFile) -> None:
        beating = asyncio.ensure_future(heart())
        async with CommitQueue(state) as queue:
            await queue.durable(note, state, "n", 1)
        beating.cancel()

    with opened(tmp_path) as state:
        monkeypatch.setattr(StateFile, "seal", slow)
        asyncio.run(story(state))
    assert beats > 20


def test_two_processes_may_write_and_each_waits_for_the_other(tmp_path: Path) -> None:
    async def story(state: StateFile, other: sqlite3.Connection) -> None:
        other.execute("BEGIN IMMEDIATE")
        async with CommitQueue(state) as queue:
            waiting = asyncio.ensure_future(queue.durable(note, state, "n", 1))
            await asyncio.sleep(0.1)
            assert not waiting.done()
            other.execute("INSERT INTO meta VALUES ('theirs', '1')")
            other.execute("COMMIT")
            await waiting
            assert await queue.durable(state.changed_elsewhere)
            assert not await queue.durable(state.changed_elsewhere), "our own writes are no news"

    with opened(tmp_path) as state:
        other = sqlite3.connect(tmp_path / STATE, isolation_level=None)
        asyncio.run(story(state, other))
        other.close()
        assert state.connection.execute("SELECT name FROM meta ORDER BY name").fetchall() == [("n",), ("theirs",)]


def test_a_full_disk_is_everybodys_and_nothing_of_the_group_happened(tmp_path: Path) -> None:
    async def story(book: Book) -> list[object]:
        entries = book.enlist(*(a_job(number) for number in range(20)))
        (pages,) = book.rows("PRAGMA page_count")[0]
        book.state.connection.execute(f"PRAGMA max_page_count = {pages}")
        many = [a_job(number, note="x" * 3000) for number in range(100, 200)]
        async with CommitQueue(book.state) as queue:
            calls = [queue.durable(book.state.claim, entry, NOW) for entry in entries]
            return await asyncio.gather(*calls, queue.durable(book.state.enlist, many), return_exceptions=True)

    with a_book(tmp_path) as book:
        outcomes = asyncio.run(story(book))
        assert [type(outcome) for outcome in outcomes] == [DiskError] * 21
        assert "database or disk is full" in str(outcomes[0])
        assert "Free some space" in str(outcomes[0])
        assert book.rows("SELECT DISTINCT state FROM jobs") == [("pending",)]
        assert book.rows("PRAGMA integrity_check") == [("ok",)]
        book.state.connection.execute("PRAGMA max_page_count = 1000000")
        assert book.do(book.state.claim, book.pending(a_job(0)), NOW).state is State.SUBMITTING
    with a_book(tmp_path) as book:
        assert book.rows("SELECT count(*) FROM jobs") == [(20,)]
