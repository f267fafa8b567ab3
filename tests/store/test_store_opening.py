"""Which files are opened, which are refused, and that a refused one is as it was."""

import errno
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from batcher.core.errors import DiskError, TakenOver, UsageError
from batcher.store import STATE, StateFile, connect_to_read, has_state, prepare, schema
from batcher.store.schema import APPLICATION_ID, VERSION, create
from tests.support.state_files import Book, a_book, a_job, opened


def tables(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT type, name FROM sqlite_schema ORDER BY name").fetchall()


def versions(connection: sqlite3.Connection) -> tuple[int, int]:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (ours,) = connection.execute("PRAGMA application_id").fetchone()
    return version, ours


def test_a_new_file_has_our_mark_and_todays_version(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        assert versions(state.connection) == (VERSION, APPLICATION_ID)
        assert state.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert state.connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_a_new_file_whose_tables_fail_has_nothing_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "TABLES", [*schema.TABLES, "CREATE TABLE meta (n INTEGER)"])
    connection = sqlite3.connect(tmp_path / STATE, isolation_level=None)
    with pytest.raises(sqlite3.OperationalError):
        create(connection)
    assert tables(connection) == []
    assert versions(connection) == (0, 0)
    connection.close()


@pytest.mark.parametrize("version", range(1, VERSION))
def test_a_file_of_an_older_version_is_refused_by_its_number(tmp_path: Path, version: int) -> None:
    with opened(tmp_path) as state:
        state.connection.execute(f"PRAGMA user_version = {version}")
    with pytest.raises(UsageError, match=f"older batcher .state version {version}; this one reads version {VERSION}."):
        StateFile(tmp_path / STATE)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def a_text_file(path: Path) -> None:
    path.write_text("my notes on the state of things\n" * 100)


def a_short_text_file(path: Path) -> None:
    path.write_text("hello")


def another_programs(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE places (name TEXT)")
    connection.commit()
    connection.close()


def another_programs_with_a_mark(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA application_id = 4242")
    connection.execute("PRAGMA user_version = 1")
    connection.execute("CREATE TABLE places (name TEXT)")
    connection.commit()
    connection.close()


def a_file_of_the_future(path: Path) -> None:
    with opened(path.parent) as state:
        state.connection.execute(f"PRAGMA user_version = {VERSION + 1}")


STRANGERS = [a_text_file, a_short_text_file, another_programs, another_programs_with_a_mark, a_file_of_the_future]
Open = Callable[[Path], object]
WAYS: list[Open] = [prepare, lambda folder: StateFile(folder / STATE), connect_to_read]


@pytest.mark.parametrize("way", WAYS, ids=["prepare", "write", "read"])
@pytest.mark.parametrize("stranger", STRANGERS, ids=lambda make: make.__name__)
def test_a_state_file_that_is_not_ours_is_refused(tmp_path: Path, stranger: Callable[[Path], None], way: Open) -> None:
    stranger(tmp_path / STATE)
    before = (tmp_path / STATE).read_bytes()
    with pytest.raises(UsageError, match="newer batcher" if stranger is a_file_of_the_future else "not a state file"):
        way(tmp_path)
    assert (tmp_path / STATE).read_bytes() == before


@pytest.mark.parametrize("stranger", STRANGERS, ids=lambda make: make.__name__)
def test_preparing_leaves_nothing_beside_a_file_that_is_not_ours(
    tmp_path: Path, stranger: Callable[[Path], None]
) -> None:
    stranger(tmp_path / STATE)
    with pytest.raises(UsageError, match="Nothing was touched"):
        prepare(tmp_path)
    assert names(tmp_path) == [STATE]


def test_an_empty_state_file_is_begun_by_a_writer_and_explained_to_a_reader(tmp_path: Path) -> None:
    (tmp_path / STATE).touch()
    with pytest.raises(UsageError, match="`batcher run`"):
        connect_to_read(tmp_path)
    prepare(tmp_path)
    with a_book(tmp_path) as book:
        book.pending()
    assert has_state(tmp_path)


def test_a_folder_of_other_things_is_no_run_directory(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").touch()
    with pytest.raises(UsageError, match="not empty and not a run directory"):
        prepare(tmp_path)
    assert names(tmp_path) == ["thesis.doc"]


def test_images_without_their_state_file_are_not_paid_for_again(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(UsageError, match="pay for them again"):
        prepare(tmp_path)


def test_a_file_in_place_of_the_run_directory_is_the_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        prepare(tmp_path / "run")


@pytest.mark.parametrize("name", ["file/run", "x" * 300])
def test_a_run_directory_that_can_not_be_made_is_the_disks_matter(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DiskError, match="can't be written"):
        prepare(tmp_path / name)


def test_reading_where_no_run_is_says_what_would_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`batcher run` makes one"):
        connect_to_read(tmp_path)
    assert names(tmp_path) == []


def test_reading_a_path_that_is_too_long_is_no_traceback(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="too long"):
        connect_to_read(tmp_path / ("x" * 300))


def test_a_reader_works_beside_a_writer_and_sees_what_is_committed(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        book.pending()
        reader = connect_to_read(tmp_path)
        assert reader.execute("SELECT count(*) FROM jobs").fetchone() == (1,)
        book.state.connection.execute("BEGIN IMMEDIATE")
        book.state.enlist([a_job(2)])
        assert reader.execute("SELECT count(*) FROM jobs").fetchone() == (1,)  # nothing that is not on the disk
        book.state.connection.execute("COMMIT")
        assert reader.execute("SELECT count(*) FROM jobs").fetchone() == (2,)
        reader.close()


def test_a_reader_can_not_write(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        book.pending()
    reader = connect_to_read(tmp_path)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("UPDATE jobs SET state = 'done'")
    reader.close()


AS_NOBODY = """
import os, sys
from pathlib import Path
from batcher.store import connect_to_read
os.setuid(65534)
print(connect_to_read(Path(sys.argv[1])).execute("SELECT state FROM jobs").fetchall())
"""


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="takes another user's part")
def test_a_finished_run_can_be_read_by_who_may_not_write_there() -> None:
    # Not in the temporary folder of this process, which may be closed to others.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with a_book(folder) as book:
            book.done()
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(folder)], capture_output=True, text=True, check=False
        )
    assert (done.stdout, done.stderr) == ("[('done',)]\n", "")


def test_an_entry_survives_closing_and_opening(tmp_path: Path) -> None:
    with a_book(tmp_path) as book:
        book.running()
    with opened(tmp_path) as state:
        (again,) = Book(state).enlist(a_job())
        assert again.state == "running"


def test_a_new_file_has_its_name_once_it_is_put_in_place(tmp_path: Path) -> None:
    state = StateFile(tmp_path / STATE, is_new=True)
    (entry,) = state.must_commit([lambda: state.enlist([a_job()])])[0]
    assert not has_state(tmp_path)
    with pytest.raises(UsageError, match=r"has no state\.db yet"):
        connect_to_read(tmp_path)
    state.put_in_place()
    assert has_state(tmp_path)
    assert state.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert state.connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert state.must_commit([lambda: state.claim(entry, 0.0)])[0].attempts == 1
    state.close()
    assert names(tmp_path) == [STATE]


def test_what_a_killed_run_left_of_a_new_file_is_no_part_of_the_next(tmp_path: Path) -> None:
    for name in (".state.db.0123abcd.new", f"{STATE}-wal", f"{STATE}-shm"):
        (tmp_path / name).write_bytes(b"half of it")
    (tmp_path / STATE).touch()
    state = StateFile(tmp_path / STATE, is_new=True)
    state.must_commit([lambda: state.enlist([a_job()])])
    state.put_in_place()
    assert state.connection.execute("SELECT count(*) FROM jobs").fetchone() == (1,)
    assert not list(tmp_path.glob(".*"))
    state.close()


@pytest.mark.parametrize("has_links", [True, False])
def test_a_new_file_never_takes_the_place_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    """Where locks do nothing, two batchers may read a manifest at once."""
    if not has_links:
        monkeypatch.setattr(os, "link", no_links)
    robbed, late = (StateFile(tmp_path / STATE, is_new=True) for _ in range(2))  # each removes what was left before it
    with closing(StateFile(tmp_path / STATE)) as first:
        first.must_commit([lambda: first.enlist([a_job()])])
        for state in (robbed, late):
            with pytest.raises(TakenOver):
                state.put_in_place()
            state.abandon()
        assert first.connection.execute("SELECT count(*) FROM jobs").fetchone() == (1,)
    assert names(tmp_path) == [STATE]


def no_links(*_: object) -> None:
    raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
