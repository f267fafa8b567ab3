"""Request ids that the state file could not take: said, written elsewhere, and read back."""

import json
from pathlib import Path

import pytest

from batcher.core.job import State
from batcher.runner.recovery import rescue as module
from batcher.runner.recovery.departures import LOST, Departures, recover
from batcher.runner.recovery.rescue import Rescue, rescued
from batcher.store import reading
from tests.support.state_files import NOW, Book, a_book, a_job


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The first one takes nothing: it is not there."""
    folders = [tmp_path / "nowhere", tmp_path / "home"]
    folders[1].mkdir()
    monkeypatch.setattr(module, "places", lambda: folders)
    return folders


def kept(book: Book, *numbers: int) -> Rescue:
    """With an id for each job, none of which the state file took."""
    rescue = Rescue(book.state)
    for number in numbers:
        entry = book.submitting(a_job(number))
        rescue.keep(entry, f"id-{number}")
        rescue.write_elsewhere(entry)
    return rescue


def running(book: Book) -> dict[str, str | None]:
    return {entry.job.key: entry.request_id for entry in reading.entries(book.state.connection, [State.RUNNING])}


def test_ids_are_written_to_the_first_place_that_takes_them_and_read_by_the_next_start(
    tmp_path: Path, places: list[Path]
) -> None:
    with a_book(tmp_path / "run") as book:
        rescue = kept(book, 1, 2)
        (path,) = places[1].iterdir()
        words = "\n".join(rescue.in_words())
        assert all(text in words for text in (str(path), a_job(1).key, "id-1", a_job(2).key, "id-2"))
        recover(book.state, NOW)
        assert running(book) == {a_job(1).key: "id-1", a_job(2).key: "id-2"}
        assert list(places[1].iterdir()) == []


def test_a_state_file_that_takes_the_ids_after_all_leaves_no_file_behind(tmp_path: Path, places: list[Path]) -> None:
    with a_book(tmp_path / "run") as book:
        rescue = Rescue(book.state)
        entry = book.submitting(a_job(1))
        rescue.keep(entry, "id-1")
        rescue.write_elsewhere(entry)
        rescue.recorded(entry)
        assert rescue.in_words() == []
        assert list(places[1].iterdir()) == []


def test_where_no_place_takes_the_ids_the_lines_to_save_are_said_and_are_as_good(
    tmp_path: Path, places: list[Path]
) -> None:
    home = places.pop()
    with a_book(tmp_path / "run") as book:
        words = kept(book, 1, 2).in_words()
        places.append(home)
        saved = [line for line in words if line.startswith("{")]
        (home / "batcher-ids-by-hand.jsonl").write_text("\n".join(saved))
        recover(book.state, NOW)
        assert running(book) == {a_job(1).key: "id-1", a_job(2).key: "id-2"}


def test_ids_that_are_found_later_bring_their_jobs_out_of_doubt(tmp_path: Path, places: list[Path]) -> None:
    with a_book(tmp_path / "run") as book:
        kept(book, 1)
        (path,) = places[1].iterdir()
        path.rename(tmp_path / path.name)
        recover(book.state, NOW)
        assert running(book) == {}
        (tmp_path / path.name).rename(path)
        recover(book.state, NOW)
        assert running(book) == {a_job(1).key: "id-1"}


def test_a_disk_that_failed_is_not_believed_about_what_never_left(tmp_path: Path) -> None:
    """The journal lies on it. What the run itself saw not leaving is pending again all the same."""

    with a_book(tmp_path / "run") as book:
        silent, unsent = book.submitting(a_job(1)), book.submitting(a_job(2))
        Departures(tmp_path / "run").close()
        rescue = Rescue(book.state)
        rescue.distrust_journal()
        rescue.unsent(unsent)
        recover(book.state, NOW)
        states = dict(book.rows("SELECT key, state FROM jobs"))
        assert states == {silent.job.key: "in_doubt", unsent.job.key: "pending"}


@pytest.mark.parametrize("how", ["another run", "a link", "another service", "no header"])
def test_files_that_are_not_of_this_run_are_passed_over_and_left(tmp_path: Path, places: list[Path], how: str) -> None:
    header = {"run": str(tmp_path / "run"), "id": None, "service": None}
    header |= {"run": "/elsewhere"} if how == "another run" else {}
    header |= {"service": "another"} if how == "another service" else {}
    path = places[1] / "batcher-ids-run-0.jsonl"
    text = json.dumps(header) + "\n" if how != "no header" else ""
    path.write_text(text + json.dumps({"got": a_job(1).key, "n": 1, "id": "theirs"}) + "\n")
    if how == "a link":
        path.rename(tmp_path / "hidden")
        path.symlink_to(tmp_path / "hidden")
    with a_book(tmp_path / "run") as book:
        book.submitting(a_job(1))
        assert rescued(book.state) == []
        recover(book.state, NOW)
        assert running(book) == {}
    assert path.exists()


@pytest.mark.parametrize("when", ["newest", "before"])
def test_one_request_id_for_two_submits_puts_the_second_in_doubt(tmp_path: Path, when: str) -> None:
    """Also across processes, and when the first one has been submitted anew since."""
    with a_book(tmp_path / "run") as book:
        first = book.do(book.state.accept, book.submitting(a_job(1)), "id-1", NOW)
        if when == "before":
            again = book.do(book.state.reopen, book.do(book.state.fail_here, first, LOST))
            book.do(book.state.claim, again, NOW)
    with a_book(tmp_path / "run") as book:
        second = book.do(book.state.accept, book.submitting(a_job(2)), "id-1", NOW)
        assert second.state is State.IN_DOUBT
        assert second.cause is not None
        assert second.cause.kind == "duplicate_id"
        recover(book.state, NOW)
        assert second.job.key not in running(book)
