"""The compact form of the tables: nothing is lost in it, and its sums are what one would count."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.core.errors import Cause
from batcher.core.job import State, canonical_json
from batcher.core.naming import fold
from batcher.store import STATE, StateFile, reading
from batcher.store.auditing import finished
from batcher.store.packing import packed_file, packed_id, split_link
from batcher.store.schema import _FIRST, MIGRATIONS, migrate
from tests.store.state_files import CAUSE, NOW, Book, a_book, a_job, a_picture

IDS = st.one_of(st.uuids().map(str), st.text("abcXYZ019-_", min_size=1, max_size=40))
NAMES = st.sampled_from(["", "_2", "/elsewhere"])
LINKS = st.builds(
    "https://{}/{}/{}{}".format, st.sampled_from(["a.runcomfy.net", "files.example.org:8000"]),
    st.text(max_size=12), st.text(max_size=12), st.sampled_from(["", ".png", "?X-Amz-Signature=a/b", "/"]),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(), request_id=IDS, names=st.lists(st.sampled_from(["", "_2", "/elsewhere"]), min_size=1, max_size=3)
)
def test_ids_links_and_names_come_back_as_they_were(
    tmp_path_factory: Any, data: st.DataObject, request_id: str, names: Sequence[str]
) -> None:
    with a_book(tmp_path_factory.mktemp("compact")) as book:
        entry = book.do(book.state.accept, book.submitting(), request_id, NOW)
        links = [data.draw(LINKS) + (request_id if data.draw(st.booleans()) else "") for _ in names]
        entry = book.do(book.state.complete, entry, links, None, NOW)
        assert [one.urls for one in reading.entries(book.state.connection, [State.READY])] == [tuple(links)]
        pictures = [
            replace(a_picture(entry, index=index), url=link, file=f"images/{entry.path}{name}{index}.png")
            for index, (name, link) in enumerate(zip(names, links, strict=True))
        ]
        book.do(book.state.save, entry, pictures)
        ((found, artifacts),) = finished(book.state.connection)
        assert found.request_id == request_id
        assert artifacts == tuple(replace(one, warning=None) for one in pictures)
        assert [row[0] for row in book.rows("SELECT url FROM images ORDER BY output_index")] == links
        assert (
            book.rows("SELECT request_id FROM jobs") == book.rows("SELECT request_id FROM attempts") == [(request_id,)]
        )


def test_what_jobs_have_in_common_is_kept_once() -> None:
    name = "0d6e0c2e-5b1f-4f0e-9a34-0f5a5f2f7a11"
    assert packed_id(name) == UUID(name).bytes
    assert packed_id(name.upper()) == name.upper()
    assert packed_file("images/0001/a-kite_s3.png", "0001/a-kite_s3") == ".png"
    assert packed_file("images/0001/other.png", "0001/a-kite_s3") == "images/0001/other.png"
    assert split_link(f"https://host/out/{name}_0.png", name) == ("https://host/out/", "\x01_0.png")
    assert split_link("https://host/out/x.png", name) == ("https://host/out/", "x.png")
    assert split_link("https://host/out/\x01.png", name) is None


def counted(connection: sqlite3.Connection) -> dict[str, Any]:
    """All sums, by looking at every row."""
    ask = connection.execute
    return {
        "done": ask("SELECT count(*) FROM job_data WHERE state = 'done' AND listed").fetchone()[0],
        **dict(
            zip(
                ("images", "bytes", "odd_images"),
                ask(
                    "SELECT count(*), coalesce(sum(bytes), 0), count(warning) FROM image_data"
                    " WHERE job_id IN (SELECT id FROM job_data WHERE listed)"
                ).fetchone(),
                strict=True,
            )
        ),
        "known_nano": round(ask("SELECT coalesce(sum(cost_usd), 0) FROM attempt_data").fetchone()[0] * 1e9),
        "unpriced": ask(
            "SELECT coalesce(sum(images), 0) FROM attempt_data"
            " WHERE cost_usd IS NULL AND outcome NOT IN ('rejected', 'cancelled', 'failed')"
        ).fetchone()[0],
        "failed_unpriced": ask(
            "SELECT coalesce(sum(images), 0) FROM attempt_data WHERE cost_usd IS NULL AND outcome = 'failed'"
        ).fetchone()[0],
        "submits": ask("SELECT count(*) FROM attempt_data").fetchone()[0],
    }


def kept(connection: sqlite3.Connection) -> dict[str, Any]:
    cursor = connection.execute("SELECT * FROM totals")
    return dict(zip((column[0] for column in cursor.description), cursor.fetchone(), strict=True))


WAYS = ("pending", "submitting", "running", "ready", "done", "failed", "gone", "cancelled", "in_doubt")


@settings(max_examples=40, deadline=None)
@given(
    ways=st.lists(st.sampled_from(WAYS), min_size=1, max_size=12),
    leave=st.sets(st.integers(0, 11)),
    back=st.sets(st.integers(0, 11)),
    lost=st.sets(st.integers(0, 11)),
)
def test_the_sums_are_what_one_would_count_whatever_happens_to_rows(
    tmp_path_factory: Any, ways: list[str], leave: set[int], back: set[int], lost: set[int]
) -> None:
    with a_book(tmp_path_factory.mktemp("sums")) as book:
        entries = [getattr(book, way)(a_job(number, num_images=number % 3)) for number, way in enumerate(ways)]
        state, connection = book.state, book.state.connection
        for number in lost & set(range(len(ways))):
            if entries[number].state is State.DONE:
                entries[number] = book.do(state.lose, entries[number], [])
        book.do(state.unlist, [entries[number].id for number in leave if number < len(ways)])
        book.do(state.relist, [entries[number].id for number in back if number < len(ways)])
        for entry in entries:
            if entry.state is State.RUNNING:
                book.do(state.fail_there, entry, CAUSE, None, NOW, again=True)
        assert kept(connection) == counted(connection)
        by_hand = connection.execute("SELECT state, count(*) FROM job_data WHERE listed GROUP BY state").fetchall()
        assert {str(name): count for name, count in reading.by_state(connection).items()} == dict(by_hand)


def of_version_one(folder: Path) -> None:
    """A run in the tables of the first version: a job in each state, one that left, links, costs, many outputs."""
    connection = sqlite3.connect(folder / STATE, isolation_level=None)
    migrate(connection, [_FIRST])
    ask = connection.execute
    for word in ("a/model", "birds.csv", "image/png"):
        ask("INSERT INTO words (word) VALUES (?)", (word,))
    cause = '{"kind": "timeout", "message": "too long"}'
    for number, state in enumerate(State, start=1):
        job = a_job(number, num_images=2 if state is State.DONE else 1)
        facts = (bytes.fromhex(job.key), state, number != 7, 1, 1, 2, number, 0 if state is State.PENDING else 1)
        text = (fold(job.path), job.path, job.prompt_id, canonical_json(job.inputs), None)
        ask(
            "INSERT INTO job_data (key, state, listed, model, copy, source, line, attempts, fold, path, prompt_id,"
            " inputs, meta, cause) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*facts, *text, cause if state in {State.FAILED, State.IN_DOUBT} else None),
        )
    outcomes = {2: "submitting", 3: "accepted", 4: "succeeded", 5: "saved", 6: "failed", 7: "cancelled", 8: "in_doubt"}
    for number, outcome in outcomes.items():
        urls = '["https://host/a.png"]' if number == 4 else None
        cost, finished = (0.02 if number == 5 else None), (7000 if number in {4, 5, 6} else None)
        ask(
            "INSERT INTO attempt_data VALUES (?, 1, ?, 5000, 6000, ?, ?, ?, ?, NULL)",
            (number, outcome, finished, None if number == 2 else f"request-{number}", cost, urls),
        )
    for index in range(2):
        ask(
            "INSERT INTO image_data VALUES (5, ?, 2, 9000, 100, 4, 3, 3, ?, ?, ?, ?)",
            (
                index,
                bytes([index]) * 32,
                f"images/{a_job(5).path}_{index + 1}.png",
                "https://host/x.png",
                "odd" * index,
            ),
        )
    ask("UPDATE image_data SET warning = NULL WHERE output_index = 0")
    connection.close()


def test_a_run_of_the_first_version_goes_on_with_everything_it_had(tmp_path: Path) -> None:
    of_version_one(tmp_path)
    state = StateFile(tmp_path / STATE)
    connection = state.connection
    assert kept(connection) == counted(connection)
    entries = {entry.state: entry for entry in reading.entries(connection, State)}
    assert set(entries) == set(State)
    assert entries[State.READY].urls == ("https://host/a.png",)
    assert entries[State.RUNNING].request_id == "request-3"
    assert entries[State.FAILED].cause == Cause(kind="timeout", message="too long")
    (record, artifacts) = next(finished(connection))
    assert record.cost_usd == 0.02
    assert [(one.file, one.url, one.warning) for one in artifacts] == [
        (f"images/{a_job(5).path}_1.png", "https://host/x.png", None),
        (f"images/{a_job(5).path}_2.png", "https://host/x.png", "odd"),
    ]
    assert reading.money(connection) == reading.Money(known_usd=0.02, unpriced=2, failed=1, open=2, submits=7)
    book = Book(state)
    saved, _ = book.do(state.save, entries[State.READY], [a_picture(entries[State.READY])])
    assert saved.state is State.DONE
    assert kept(connection) == counted(connection)
    state.close()


def test_a_migration_of_a_run_can_be_killed_at_each_statement(tmp_path: Path) -> None:
    """What SQLite promises of a transaction, held against our list: every statement of it is one that can be undone."""
    for at in range(len(MIGRATIONS[1])):
        folder = tmp_path / str(at)
        folder.mkdir()
        of_version_one(folder)
        connection = sqlite3.connect(folder / STATE, isolation_level=None)
        before = list(connection.iterdump())
        broken = [*MIGRATIONS[1][: at + 1], "no SQL at all"]
        try:
            migrate(connection, [_FIRST, broken])
        except sqlite3.OperationalError:
            assert list(connection.iterdump()) == before
        else:
            raise AssertionError("the last statement can't pass")
        finally:
            connection.close()


def test_the_index_of_open_jobs_is_what_a_start_reads(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        said: list[str] = []
        book.state.connection.set_trace_callback(said.append)
        list(reading.entries(book.state.connection, [State.PENDING], listed_only=True))
        list(reading.entries(book.state.connection, [State.RUNNING, State.READY]))
        reading.money(book.state.connection)
        reading.by_state(book.state.connection)
        book.state.connection.set_trace_callback(None)
        for statement in said:
            if "job_data" in statement:
                plan = " ".join(row[3] for row in book.rows(f"EXPLAIN QUERY PLAN {statement}"))
                assert "open_jobs" in plan, (statement, plan)


def test_one_group_holds_a_job_that_moves_twice(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        entry = book.ready()
        done = replace(entry, state=State.DONE)
        state = book.state
        outcomes = state.commit(
            [partial(state.save, entry, [a_picture(entry)]), partial(state.lose, done, ["https://h/x"])]
        )
        assert [fine for fine, _ in outcomes] == [True, True]
        assert [(one.state, one.urls) for one in reading.entries(state.connection, State)] == [
            (State.READY, ("https://h/x",))
        ]
        assert kept(state.connection) == counted(state.connection)
