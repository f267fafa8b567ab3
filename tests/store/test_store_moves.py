"""Every move of the lifecycle through the state file, and that nothing else moves a job."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from batcher.core.errors import Cause, Defect, Overtaken
from batcher.core.job import Entry, State
from batcher.core.lifecycle import MOVES, Event
from batcher.store import StateFile
from batcher.store.reading import entries
from tests.support.state_files import CAUSE, NOW, Book, a_book, a_job, a_picture, with_sidecar

Move = Callable[[StateFile, Entry], Any]


def lies_there(state: StateFile, entry: Entry) -> Entry:
    return state.find(with_sidecar(entry), [a_picture(entry)])


BY: dict[Event, list[Move]] = {
    Event.CLAIMED: [lambda state, entry: state.claim(entry, NOW)],
    Event.RELEASED: [lambda state, entry: state.release(entry)],
    Event.ACCEPTED: [lambda state, entry: state.accept(entry, "an-id", NOW)],
    Event.REJECTED: [lambda state, entry: state.reject(entry, CAUSE, NOW)],
    Event.DOUBTED: [lambda state, entry: state.doubt(entry, CAUSE)],
    Event.COMPLETED: [lambda state, entry: state.complete(entry, ["https://a/b.png"], 0.02, NOW)],
    Event.EXPIRED: [lambda state, entry: state.expire(entry)],
    Event.RETRIED: [lambda state, entry: state.fail_there(entry, CAUSE, None, NOW, again=True)],
    Event.FAILED: [
        lambda state, entry: state.fail_there(entry, CAUSE, 0.01, NOW, again=False),
        lambda state, entry: state.fail_here(entry, CAUSE),
    ],
    Event.SAVED: [lambda state, entry: state.save(entry, [a_picture(entry)])],
    Event.CANCELLED: [lambda state, entry: state.cancel(entry, NOW)],
    Event.REOPENED: [lambda state, entry: state.reopen(entry)],
    Event.RECOLLECTED: [lambda state, entry: state.recollect(entry)],
    Event.LOST: [lambda state, entry: state.lose(entry, [a_picture(entry)])],
    Event.FOUND: [lies_there],
}
ALL = [(before, event, move) for before in State for event, moves in BY.items() for move in moves]
LEGAL = [(before, event, move) for before, event, move in ALL if event in MOVES[before]]
ILLEGAL = [(before, event, move) for before, event, move in ALL if event not in MOVES[before]]


def named(case: tuple[State, Event, Move]) -> str:
    return f"{case[0]}-{case[1]}"


def moved(value: Any) -> Entry:
    entry = value[0] if isinstance(value, tuple) else value
    assert isinstance(entry, Entry)
    return entry


def everything(book: Book) -> list[list[tuple[Any, ...]]]:
    return [book.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in ("jobs", "past_attempts", "images")]


def test_every_event_has_its_call() -> None:
    assert set(BY) == set(Event)


@pytest.mark.parametrize("case", LEGAL, ids=named)
def test_a_legal_move_is_in_the_file_and_in_the_entry(tmp_path: Path, case: tuple[State, Event, Move]) -> None:
    before, event, move = case
    with a_book(tmp_path) as book:
        entry = book.at(before)
        after = moved(book.do(move, book.state, entry))
        assert after.state is MOVES[before][event]
        (recorded,) = entries(book.state.connection, State)
        assert (recorded.state, recorded.attempts) == (after.state, after.attempts)
        assert (recorded.cause, recorded.submitted_at) == (after.cause, after.submitted_at)
        if after.state is State.RUNNING:
            assert recorded.request_id == after.request_id
        if after.state in {State.READY, State.DONE}:
            assert (recorded.cost_usd, recorded.finished_at) == (after.cost_usd, after.finished_at)


@pytest.mark.parametrize("case", ILLEGAL, ids=named)
def test_a_move_that_is_not_in_the_table_changes_nothing(tmp_path: Path, case: tuple[State, Event, Move]) -> None:
    before, _, move = case
    with a_book(tmp_path) as book:
        entry = book.at(before)
        rows = everything(book)
        with pytest.raises(Defect, match="can't be"):
            book.do(move, book.state, entry)
        assert everything(book) == rows


@pytest.mark.parametrize("case", LEGAL, ids=named)
def test_a_stale_entry_changes_nothing(tmp_path: Path, case: tuple[State, Event, Move]) -> None:
    before, event, move = case
    with a_book(tmp_path) as book:
        entry = book.at(before)
        book.do(move, book.state, entry)
        rows = everything(book)
        with pytest.raises(Overtaken, match=f"is not {before} in the state file, so it can't be {event}"):
            book.do(move, book.state, entry)
        assert everything(book) == rows


@pytest.mark.parametrize("case", LEGAL, ids=named)
def test_a_move_costs_the_same_however_many_jobs_there_are(tmp_path: Path, case: tuple[State, Event, Move]) -> None:
    before, _, move = case
    statements: list[str] = []
    with a_book(tmp_path) as book:
        entry = book.at(before)
        book.state.connection.set_trace_callback(statements.append)
        book.do(move, book.state, entry)
        book.state.connection.set_trace_callback(None)
        asked = [text for text in statements if text.startswith(("SELECT", "UPDATE", "INSERT", "DELETE"))]
        plans = [step for text in asked for step in book.rows(f"EXPLAIN QUERY PLAN {text}")]
    assert asked
    assert [step for step in plans if "SCAN" in str(step[-1])] == []


def test_the_neighbours_of_a_stale_entry_are_committed_all_the_same(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        first, second, third = book.enlist(a_job(1), a_job(2), a_job(3))
        book.do(book.state.claim, second, NOW)
        outcomes = book.state.commit([partial(book.state.claim, entry, NOW) for entry in (first, second, third)])
        assert [fine for fine, _ in outcomes] == [True, False, True]
        assert isinstance(outcomes[1][1], Overtaken)
        assert book.rows("SELECT state, attempts FROM jobs ORDER BY id") == [("submitting", 1)] * 3


def test_a_refused_submit_leaves_no_trace(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        entry = book.submitting()
        entry = book.do(book.state.release, entry)
        assert (entry.state, entry.attempts, entry.submitted_at) == (State.PENDING, 0, None)
        assert book.rows("SELECT * FROM attempts") == []


def test_a_retried_job_keeps_the_history_of_what_was_paid(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        entry = book.running()
        entry = book.do(book.state.fail_there, entry, CAUSE, 0.02, NOW + 5, again=True)
        entry = book.do(book.state.claim, entry, NOW + 6)
        assert (entry.request_id, entry.cost_usd, entry.attempts) == (None, None, 2)
        assert book.rows("SELECT n, outcome, request_id, cost_usd, cause, message FROM attempts ORDER BY n") == [
            (1, "failed", "request-0", 0.02, "timeout", "still in_progress"),
            (2, "submitting", None, None, None, None),
        ]


def test_an_expired_link_is_asked_for_again_without_a_new_attempt(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        entry = book.ready()
        entry = book.do(book.state.expire, entry)
        assert (entry.state, entry.attempts, entry.request_id, entry.urls) == (State.RUNNING, 1, "request-0", ())
        entry = book.do(book.state.complete, entry, ["https://a/fresh.png"], entry.cost_usd, NOW + 20)
        assert book.rows("SELECT attempts, urls FROM jobs") == [(1, '["https://a/fresh.png"]')]


def test_what_was_paid_for_and_lost_is_collected_under_its_old_id(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        lost = book.gone()
        entry = book.do(book.state.recollect, lost)
        assert (entry.state, entry.attempts, entry.request_id) == (State.RUNNING, 1, "request-0")
        assert book.rows("SELECT cause FROM jobs") == [(None,)]


def test_a_cause_is_kept_in_all_its_parts(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        book.failed()
        bare = Cause(kind="gone", message="the link is dead: “403”")
        book.do(book.state.fail_here, book.running(a_job(2)), bare)
        assert book.rows("SELECT cause, message, http_status, code FROM jobs ORDER BY id") == [
            ("timeout", "still in_progress", 504, "504"),
            ("gone", "the link is dead: “403”", None, None),
        ]


def test_a_released_submit_brings_the_attempt_before_it_back(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        entry = book.do(book.state.fail_there, book.running(), CAUSE, 0.02, NOW + 5, again=True)
        before = everything(book)
        claimed = book.do(book.state.claim, entry, NOW + 6)
        assert book.do(book.state.release, claimed) == entry
        assert everything(book) == before


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_what_a_sidecar_proves_costs_no_other_attempt_its_place_in_the_sums(tmp_path: Path, attempts: int) -> None:
    with a_book(tmp_path) as book:
        entry = book.do(book.state.fail_there, book.running(), CAUSE, 0.01, NOW + 5, again=True)
        entry = book.do(book.state.doubt, book.do(book.state.claim, entry, NOW + 6), CAUSE)
        entry = book.do(book.state.find, replace(with_sidecar(entry), attempts=attempts, cost_usd=0.02), [])
        history = book.rows("SELECT outcome FROM attempts ORDER BY n")
        assert entry.attempts == len(history) == max(2, attempts)
        assert history[-1] == ("saved",)
        assert ("in_doubt",) in history or attempts == 2, "the sidecar is of the attempt that was in doubt"
