"""A manifest's jobs become rows, the first of an empty table all at once."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from batcher.core.job import Job, job_key
from batcher.store import StateFile
from batcher.store.listing import Listed, Listing
from tests.support.state_files import MODEL, a_job, opened

OTHER = a_job(99, path="elsewhere/other")
NAMES = ("0000/a", "0000/A", "0000/b")


def listed(state: StateFile, jobs: Sequence[Job], chunk: int = 3) -> Listed:
    """As a walk over a manifest does it: copy numbers for a few jobs, then these jobs."""
    assert state.begin()
    listing = Listing(state)
    for start in range(0, len(jobs), chunk):
        some = jobs[start : start + chunk]
        for job, copy in zip(some, listing.copies([job.key for job in some]), strict=True):
            listing.add(replace(job, copy=copy, key=job_key(MODEL, job.inputs, copy)))
    came_to = listing.end()
    state.seal()
    return came_to


def rows(state: StateFile) -> list[tuple[object, ...]]:
    return state.connection.execute(
        "SELECT position, key, copy, name, path, line FROM jobs WHERE position IS NOT NULL ORDER BY position"
    ).fetchall()


def indexes(state: StateFile) -> list[tuple[str, bool]]:
    return sorted(state.connection.execute("SELECT name, \"unique\" FROM pragma_index_list('jobs')"))


@given(st.lists(st.tuples(st.integers(0, 12), st.sampled_from(NAMES)), max_size=30))
def test_an_empty_table_takes_the_same_rows_as_one_that_has_some(picked: list[tuple[int, str]]) -> None:
    jobs = [a_job(number, path=path) for number, path in picked]
    with (
        TemporaryDirectory() as folder,
        opened(Path(folder) / "empty") as empty,
        opened(Path(folder) / "not empty") as other,
    ):
        before = indexes(empty)
        listed(other, [OTHER])
        assert listed(empty, jobs).jobs == listed(other, jobs).jobs == len(jobs)
        assert rows(empty) == rows(other)
        assert indexes(empty) == before
        assert sum(unique for _, unique in before) == 2, "keys and names"


def test_the_first_of_two_equal_names_keeps_it_and_repeats_are_counted_in_order(tmp_path: Path) -> None:
    jobs = [a_job(number, path=path) for number, path in ((1, "a"), (2, "A"), (1, "b"), (3, "c"), (1, "d"), (2, "e"))]
    with opened(tmp_path) as state:
        assert listed(state, jobs) == Listed(6, 6, 0)
        assert [row[2] for row in rows(state)] == [1, 1, 2, 1, 3, 2]
        paths = [row[4] for row in rows(state)]
        assert paths == ["images/a", f"images/A_{jobs[1].key[:10]}", "images/b", "images/c", "images/d", "images/e"]


def test_a_first_reading_that_is_given_up_leaves_an_empty_table_with_its_indexes(tmp_path: Path) -> None:
    with opened(tmp_path) as state:
        before = indexes(state)
        assert state.begin()
        listing = Listing(state)
        listing.copies([a_job().key])
        listing.add(a_job())
        state.roll_back()
        assert indexes(state) == before
        assert rows(state) == []
        assert listed(state, [a_job()]) == Listed(1, 1, 0), "and can be begun again"
