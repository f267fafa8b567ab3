"""Queries of ``batcher verify`` on a state file, over any connection."""

import math
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import groupby

from batcher.core.job import Artifact, Entry
from batcher.core.naming import folded
from batcher.store.rows import ENTRY, ENTRY_WIDTH, IMAGE_COLUMNS, IMAGES, artifact_of, entry_of, in_groups

_CHUNK = 500
STEPS = 100_000  # SQLite instructions between two checks of the clock: some milliseconds

Files = tuple[Entry, tuple[Artifact, ...]]


def finished(connection: sqlite3.Connection, only: Iterable[int] | None = None) -> Iterator[Files]:
    """Every done job, removed ones included, with its files. Read in chunks, so that a run is not blocked.

    only: row numbers, to read only these jobs; in their order within each chunk.
    """
    if only is not None:
        for places, some in in_groups(list(only)):
            yield from _files_of(connection, f"j.id IN {places}", some)
        return
    (end,) = connection.execute("SELECT coalesce(max(id), 0) FROM jobs").fetchone()
    for last in range(0, end, _CHUNK):
        yield from _files_of(connection, "j.id > ? AND j.id <= ?", (last, last + _CHUNK))


def _files_of(connection: sqlite3.Connection, which: str, values: Sequence[int]) -> list[Files]:
    rows = connection.execute(
        f"{ENTRY}{IMAGE_COLUMNS} FROM jobs j LEFT JOIN images i ON i.job_id = j.id"
        f" WHERE {which} AND +j.state = 'done' ORDER BY j.id, i.output_index",
        values,
    )
    groups = [list(group) for _, group in groupby(rows, key=lambda row: row[0])]
    return [
        (
            entry_of(group[0][:ENTRY_WIDTH]),
            tuple(artifact_of(row[ENTRY_WIDTH:]) for row in group if row[ENTRY_WIDTH] is not None),
        )
        for group in groups
    ]


def removed(connection: sqlite3.Connection) -> list[int]:
    """Row numbers of the done jobs that are no longer in the manifest."""
    rows = connection.execute("SELECT id FROM jobs WHERE state = 'done' AND position IS NULL ORDER BY id")
    return [number for (number,) in rows]


def sizes(connection: sqlite3.Connection) -> tuple[int, int]:
    """Number of done jobs and of their files, for a progress display."""
    (jobs,) = connection.execute("SELECT count(*) FROM jobs WHERE state = 'done'").fetchone()
    (files,) = connection.execute("SELECT count(*) FROM images").fetchone()
    return int(jobs), int(files)


def by_key(connection: sqlite3.Connection, key: str) -> Entry | None:
    """The job with a key, None if there is none."""
    row = connection.execute(f"{ENTRY} FROM jobs j WHERE j.key = ?", (key,)).fetchone()
    return None if row is None else entry_of(row)


def by_path(connection: sqlite3.Connection, path: str) -> Entry | None:
    """The job whose files have this path; ``path`` is below images/, without number and extension."""
    row = connection.execute(f"{ENTRY} FROM jobs j WHERE j.name = ?", (folded(IMAGES + path),)).fetchone()
    return None if row is None else entry_of(row)


def indexes(connection: sqlite3.Connection, job_id: int) -> dict[int, str]:
    """The files on record for a job: output index and name."""
    rows = connection.execute("SELECT output_index, file FROM images WHERE job_id = ?", (job_id,))
    return {int(index): str(file) for index, file in rows}


def file_with(connection: sqlite3.Connection, sha256: str) -> str | None:
    """A file on record with this content."""
    row = connection.execute(
        "SELECT file FROM images WHERE substr(sha256, 1, 16) = substr(?1, 1, 16) AND +sha256 = ?1 LIMIT 1", (sha256,)
    ).fetchone()
    return None if row is None else str(row[0])


def duplicates(connection: sqlite3.Connection) -> Iterator[tuple[int, str, str]]:
    """Images with the same bytes as an earlier one of other inputs: job, file, the earlier file."""
    twice = "SELECT substr(sha256, 1, 16) AS h FROM images GROUP BY h HAVING count(*) > 1"
    for (beginning,) in connection.execute(twice).fetchall():
        first: dict[str, tuple[str, str]] = {}
        rows = connection.execute(
            "SELECT i.sha256, i.file, j.model || ' ' || j.inputs, j.id FROM images i"
            " JOIN jobs j ON j.id = i.job_id WHERE substr(i.sha256, 1, 16) = ? ORDER BY i.job_id, i.output_index",
            (beginning,),
        )
        for digest, file, request, number in rows:
            first_of = first.setdefault(digest, (request, file))
            if first_of[0] != request:
                yield number, file, first_of[1]


def damage(connection: sqlite3.Connection, seconds: float = math.inf) -> str | None:
    """SQLite's description of damage to the file. None if it finds none, or none within the time limit."""
    until = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > until, STEPS)
    try:
        (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return None if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT else str(error)
    finally:
        connection.set_progress_handler(None, STEPS)
    return None if answer == "ok" else str(answer)


class Recorded:
    """The names of all recorded files and their sidecars, as a set on disk, to save memory.

    connection: to the state file; it is read at once and not kept. Names are relative to the run directory.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._names = sqlite3.connect("", isolation_level=None)  # a temporary database, deleted with the connection
        self._names.execute("PRAGMA journal_mode = OFF")
        self._names.execute("CREATE TABLE names (hash INTEGER PRIMARY KEY)")
        self._names.execute("BEGIN")
        files = connection.execute("SELECT file FROM images")
        rows = ((_hash(name),) for (file,) in files for name in (file, f"{file.rpartition('.')[0]}.json"))
        self._names.executemany("INSERT OR IGNORE INTO names VALUES (?)", rows)

    def __contains__(self, name: str) -> bool:
        return self._names.execute("SELECT 1 FROM names WHERE hash = ?", (_hash(name),)).fetchone() is not None

    def close(self) -> None:
        self._names.close()


def _hash(name: str) -> int:
    """64 bits: the chance that two of a million names share a hash is one in tens of millions."""
    digest = blake2b(name.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)
