"""What the state file says when it is asked: by people, by the report, by the next start."""

import json
import sqlite3
from pathlib import Path

import pytest
from msgspec import to_builtins

from batcher.core.errors import Cause
from batcher.core.job import Counts, State
from batcher.core.sidecar import failure_line, sidecar
from batcher.store import RunFacts, read_facts, reading
from batcher.store.facts import Process
from batcher.store.money import money_in_all
from tests.support.state_files import CAUSE, MODEL, NOW, a_book, a_job, a_picture


def test_the_jobs_read_like_a_table_for_people(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        job = a_job()
        book.done(job)
        book.failed(a_job(2))
        columns = "key, state, model, prompt, source, line, attempts, path, submitted_at, finished_at, cost_usd, cause"
        assert book.rows(f"SELECT {columns} FROM jobs ORDER BY id") == [
            (
                job.key, "done", MODEL, "a heron over lake 1", "birds.csv", 2, 1, "images/0000/heron-1_c1",
                "2026-09-21T14:13:20.250Z", "2026-09-21T14:13:29.250Z", 0.02, None,
            ),
            (
                a_job(2).key, "failed", MODEL, "a heron over lake 2", "birds.csv", 3, 1, "images/0000/heron-2_c1",
                "2026-09-21T14:13:20.250Z", "2026-09-21T14:13:20.250Z", None, "timeout",
            ),
        ]  # fmt: skip


def test_the_view_of_attempts_is_a_history_per_job(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        entry = book.do(book.state.fail_there, book.running(), CAUSE, None, NOW + 5, again=True)
        entry = book.do(book.state.claim, entry, NOW + 6)
        book.do(book.state.doubt, entry, Cause(kind="connection", message="reset"))
        columns = "key, n, outcome, request_id, submitted_at, accepted_at, finished_at, cause"
        assert book.rows(f"SELECT {columns} FROM attempts ORDER BY n") == [
            (
                a_job().key, 1, "failed", "request-0", "2026-09-21T14:13:20.250Z", "2026-09-21T14:13:20.750Z",
                "2026-09-21T14:13:25.250Z", "timeout",
            ),
            (a_job().key, 2, "in_doubt", None, "2026-09-21T14:13:26.250Z", None, None, "connection"),
        ]  # fmt: skip


def test_the_images_name_the_files_and_their_hashes(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        entry = book.done()
        picture = a_picture(entry)
        columns = "key, file, sha256, mime, downloaded_at, images.warning"
        assert book.rows(f"SELECT {columns} FROM images JOIN jobs ON jobs.id = job_id") == [
            (entry.job.key, "images/0000/heron-1_c1.png", picture.sha256, "image/png", "2026-09-21T14:13:32.250Z", None)
        ]


def test_the_schema_explains_itself_in_the_shell(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        (text,) = zip(*book.rows("SELECT sql FROM sqlite_schema WHERE name = 'jobs'"), strict=True)
        assert "-- the n-th occurrence of this request in the manifest" in text[0]


def test_enlisting_the_same_jobs_twice_changes_nothing(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        jobs = [a_job(number) for number in range(10)]
        first = book.enlist(*jobs)
        before = book.rows("SELECT * FROM jobs")
        assert book.enlist(*jobs) == first
        assert book.rows("SELECT * FROM jobs") == before


def test_a_pending_job_is_described_as_the_edited_manifest_describes_it(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        book.pending()
        edited = a_job()
        edited = type(edited)(
            **{name: getattr(edited, name) for name in ("key", "model", "inputs", "copy", "path")},
            prompt_id="grey-heron", meta={}, source="more birds.csv", line=77,
        )  # fmt: skip
        entry = book.done(edited)
        (record,) = map(to_builtins, reading.records(book.state.connection, simulated=False, version="0"))
        assert record == sidecar(entry, a_picture(entry), simulated=False, version="0")
        assert record["source"] == {"manifest": "more birds.csv", "line": 77}


def test_a_submitted_job_keeps_the_description_it_was_submitted_under(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        running = book.running()
        job = a_job()
        moved = type(job)(
            **{name: getattr(job, name) for name in ("key", "model", "inputs", "copy", "path", "prompt_id", "meta")},
            source="elsewhere.csv", line=77,
        )  # fmt: skip
        book.enlist(moved)
        assert next(reading.entries(book.state.connection, [State.RUNNING])) == running


def test_names_that_differ_in_letter_case_only_do_not_share_a_file(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        first, second, third = book.enlist(
            a_job(1, path="0000/Heron"), a_job(2, path="0000/heron"), a_job(3, path="0000/HERON")
        )
        assert first.path == "0000/Heron"
        assert second.path == f"0000/heron_{second.job.key[:10]}"
        assert third.path == f"0000/HERON_{third.job.key[:10]}"
        assert [entry.path for entry in book.enlist(second.job, first.job)] == [second.path, first.path]


def test_a_job_that_left_the_manifest_comes_back_as_it_was(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        done, pending = book.done(a_job(1)), book.pending(a_job(2))
        book.do(book.state.unlist, [done.id, pending.id])
        assert reading.by_state(book.state.connection) == {}
        assert list(reading.records(book.state.connection, simulated=False, version="0")) == []
        (back,) = book.enlist(a_job(1))
        assert (back.id, back.state) == (done.id, State.DONE)
        assert reading.by_state(book.state.connection) == {State.DONE: 1}


def test_an_image_equal_to_one_of_another_request_is_odd(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        book.done(a_job(1), content="placeholder")
        _, warnings = book.do(
            book.state.save, (entry := book.ready(a_job(2))), [a_picture(entry, content="placeholder")]
        )
        warning = "the same bytes as images/0000/heron-1_c1.png, which was requested with other inputs"
        assert warnings == [f"images/0000/heron-2_c1.png: {warning}"]
        assert book.rows("SELECT warning FROM images ORDER BY job_id") == [(None,), (warning,)]
        assert reading.images(book.state.connection) == (2, 2 * 812_345, 1)


def test_equal_images_of_equal_requests_are_what_one_expects(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        book.done(a_job(1), content="the same")
        _, warnings = book.do(
            book.state.save, (entry := book.ready(a_job(1, copy=2))), [a_picture(entry, content="the same")]
        )
        assert warnings == []


def test_records_are_the_sidecars(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        entries = [book.done(a_job(number)) for number in (1, 2)]
        several = book.ready(a_job(3))
        pictures = [a_picture(several, index=index, count=2) for index in range(2)]
        saved, _ = book.do(book.state.save, several, pictures)
        expected = [sidecar(entry, a_picture(entry), simulated=True, version="1.2") for entry in entries]
        expected += [sidecar(saved, picture, simulated=True, version="1.2") for picture in pictures]
        assert list(map(to_builtins, reading.records(book.state.connection, simulated=True, version="1.2"))) == expected


def test_what_failed_or_is_in_doubt_is_listed_with_its_cause(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        book.done(a_job(1))
        book.gone(a_job(2))
        book.in_doubt(a_job(3))
        lines = [
            to_builtins(failure_line(entry, "batcher retry x")) for entry in reading.unfinished(book.state.connection)
        ]
        assert [(line["state"], line["request_id"], line["attempts"]) for line in lines] == [
            ("failed", "request-1", 1), ("in_doubt", None, 1),
        ]  # fmt: skip
        assert lines[0]["cause"] == json.loads(
            '{"kind":"timeout","message":"still in_progress","http_status":504,"code":"504"}'
        )
        assert lines[0]["inputs"] == a_job(2).inputs
        json.dumps(lines)
        assert list(lines[0]) == [
            "job", "state", "cause", "model", "inputs", "prompt_id", "meta", "source", "request_id", "attempts",
            "submitted_at", "retry",
        ]  # fmt: skip


def test_failures_are_grouped_by_cause_the_most_frequent_first(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        for number in range(3):
            book.failed(a_job(number))
        book.in_doubt(a_job(9))
        groups = reading.failures(book.state.connection)
        assert [(group.state, group.cause, group.count, group.example) for group in groups] == [
            (State.FAILED, CAUSE, 3, "heron-0"), (State.IN_DOUBT, CAUSE, 1, "heron-9"),
        ]  # fmt: skip


def test_counts_take_the_manifests_size_from_the_last_run(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        book.done(a_job(1))
        book.in_doubt(a_job(2))
        assert reading.counts(book.state.connection) == Counts(total=2, done=1, in_doubt=1)
        book.note(total=10)
        assert reading.counts(book.state.connection) == Counts(total=10, done=1, in_doubt=1)
        assert reading.counts(book.state.connection, 5).pending == 3


def test_only_what_the_service_took_up_and_did_not_fail_can_be_collected_free(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        assert reading.was_taken_up(book.state.connection, book.gone(a_job(1)))
        lost = book.do(book.state.fail_here, book.ready(a_job(2)), CAUSE)
        assert reading.was_taken_up(book.state.connection, lost)
        assert not reading.was_taken_up(book.state.connection, book.failed(a_job(3)))
        there = book.do(book.state.fail_there, book.running(a_job(4)), CAUSE, None, NOW, again=False)
        assert not reading.was_taken_up(book.state.connection, there)


def test_money_counts_what_was_spent_whatever_became_of_the_job(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        book.pending(a_job(1))
        book.failed(a_job(2))  # rejected: cost nothing
        done = book.done(a_job(3))  # the service said 0.02
        book.in_doubt(a_job(4, num_images=4))  # four images that may have been made
        book.gone(a_job(5))  # taken up, price unsaid
        book.running(a_job(6, num_images=2))
        book.do(book.state.unlist, [done.id])
        money = money_in_all(book.state.connection)
        assert money.known_usd == pytest.approx(0.02)
        assert (money.unpriced, money.open, money.submits) == (5, 2, 5)


def test_money_of_a_job_that_is_to_be_submitted_again_counts(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        book.pending(a_job(1))
        lost = book.do(book.state.fail_here, book.ready(a_job(2)), CAUSE)
        book.do(book.state.reopen, lost)
        assert reading.by_state(book.state.connection) == {State.PENDING: 2}
        assert money_in_all(book.state.connection).submits == 1


def test_entries_may_be_moved_while_they_are_walked(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        book.enlist(*(a_job(number) for number in range(1200)))
        seen = 0
        for entry in reading.entries(book.state.connection, [State.PENDING]):
            if seen % 2:
                book.do(book.state.cancel, entry, NOW)
            seen += 1
        assert seen == 1200
        assert reading.by_state(book.state.connection) == {State.PENDING: 600, State.CANCELLED: 600}


def test_facts_about_the_run_are_one_value_and_a_row_of_json_each(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        book.note(process=Process(pid=7, host="here"), price_usd=0.02, batchers=("1", "2"))
        book.note(process=None)
        connection = book.state.connection
        assert read_facts(connection) == RunFacts(price_usd=0.02, batchers=("1", "2"))
        rows = dict(connection.execute("SELECT name, value FROM meta"))
        assert {"price_usd": "0.02", "batchers": '["1", "2"]', "process": "null"}.items() <= rows.items()


@pytest.mark.parametrize("row", [("process", '"me"'), ("total", "{"), ("price_usd", '"x"')])
def test_facts_that_batcher_did_not_write_are_damage_and_a_fact_of_a_later_version_is_not(
    tmp_path: Path, row: tuple[str, str]
) -> None:
    with a_book(tmp_path) as book:
        book.state.connection.execute("INSERT INTO meta VALUES ('of_a_later_version', '5')")
        assert read_facts(book.state.connection) == RunFacts()
        book.state.connection.execute("INSERT INTO meta VALUES (?, ?)", row)
        with pytest.raises(sqlite3.DatabaseError, match="facts of the run"):
            read_facts(book.state.connection)
