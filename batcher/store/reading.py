"""Queries on a state file, over any connection to it."""

import json
import sqlite3
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from batcher.core.errors import Cause
from batcher.core.job import Counts, Entry, State
from batcher.core.sidecar import SidecarFields, sidecar_fields
from batcher.store.facts import read_facts
from batcher.store.money import IN_FLIGHT
from batcher.store.rows import ENTRY, ENTRY_WIDTH, IMAGE_COLUMNS, artifact_of, cause_of, entry_of, in_groups


@dataclass(frozen=True, slots=True)
class Failure:
    """Jobs that share a cause. state: failed or in doubt. count: of jobs. example: the prompt id of one of them."""

    state: State
    cause: Cause
    count: int
    example: str


def by_id(connection: sqlite3.Connection, number: int) -> Entry:
    """The job with a row number. Raises LookupError if there is none."""
    row = connection.execute(f"{ENTRY} FROM jobs j WHERE j.id = ?", (number,)).fetchone()
    if row is None:
        raise LookupError(f"no job {number}")
    return entry_of(row)


def is_taken(connection: sqlite3.Connection, request_id: str, number: int) -> bool:
    """Whether a request id is recorded for another submit than the newest one of job ``number``."""
    statement = (
        "SELECT 1 FROM jobs WHERE request_id = ?1 AND id <> ?2"
        " UNION ALL SELECT 1 FROM past_attempts WHERE request_id = ?1"
    )
    return connection.execute(statement, (request_id, number)).fetchone() is not None


def pending(
    connection: sqlite3.Connection, after: int, count: int, limit: int | None = None
) -> list[tuple[int, Entry]]:
    """The next pending jobs of the manifest, with their positions.

    after: only positions beyond it. count: at most so many. limit: only positions below it; None for all.
    """
    rows = connection.execute(
        f"{ENTRY}, j.position FROM jobs j WHERE j.state = 'pending' AND j.position > ? AND j.position < ?"
        " ORDER BY j.position LIMIT ?",
        (after, 1 << 62 if limit is None else limit, count),
    )
    return [(row[ENTRY_WIDTH], entry_of(row)) for row in rows]


def pending_inputs(
    connection: sqlite3.Connection, limit: int | None = None
) -> Iterator[tuple[dict[str, Any], str, int]]:
    """Inputs, file and line of each pending job, in the order of the manifest. limit: positions below it; None: all."""
    rows = connection.execute(
        "SELECT inputs, source, line FROM jobs WHERE state = 'pending' AND position < ? ORDER BY position",
        (1 << 62 if limit is None else limit,),
    )
    for inputs, source, line in rows:
        yield json.loads(inputs), source, line


def entries(connection: sqlite3.Connection, states: Iterable[State], *, listed_only: bool = False) -> Iterator[Entry]:
    """The jobs in these states, oldest first. Rows may change meanwhile: one that has left the states is skipped.

    listed_only: leave out jobs that have left the manifest. Uses 8 bytes of memory for each job.
    """
    wanted = sorted(set(states))
    if not wanted:
        return
    among = f"state IN ({', '.join('?' * len(wanted))})" + (" AND position IS NOT NULL" if listed_only else "")
    numbers = array("q", (n for (n,) in connection.execute(f"SELECT id FROM jobs WHERE {among} ORDER BY id", wanted)))
    for places, some in in_groups(numbers):
        rows = connection.execute(
            f"{ENTRY} FROM jobs j WHERE j.id IN {places} AND {among} ORDER BY j.id", (*some, *wanted)
        )
        yield from map(entry_of, rows.fetchall())


def by_state(connection: sqlite3.Connection) -> dict[State, int]:
    """The number of jobs of the manifest in each state that has some."""
    rows = connection.execute("SELECT state, count(position) FROM jobs GROUP BY state")
    return {State(state): count for state, count in rows if count}


def is_empty(connection: sqlite3.Connection) -> bool:
    """Whether there are no jobs."""
    return connection.execute("SELECT 1 FROM jobs LIMIT 1").fetchone() is None


def any_is(connection: sqlite3.Connection, states: Sequence[State]) -> bool:
    """Whether any job, of the manifest or not, is in one of these states."""
    placeholders = ", ".join("?" * len(states))
    rows = connection.execute(f"SELECT 1 FROM jobs WHERE state IN ({placeholders}) LIMIT 1", tuple(states))
    return rows.fetchone() is not None


def counts(connection: sqlite3.Connection, total: int | None = None, limit: int | None = None) -> Counts:
    """Counts of the jobs of the manifest.

    total: jobs of the manifest; None for the number that the last run recorded. limit: leave out pending jobs at this
    position and beyond, as a run with this ``--limit`` does.
    """
    states = by_state(connection)
    if total is None:
        last = read_facts(connection).total
        total = sum(states.values()) if last is None else last
    elif limit is not None:
        within = "SELECT count(*) FROM jobs WHERE position IS NOT NULL AND (state <> 'pending' OR position < ?)"
        (total,) = connection.execute(within, (limit,)).fetchone()
    return Counts(
        total=total,
        done=states.get(State.DONE, 0),
        failed=states.get(State.FAILED, 0),
        cancelled=states.get(State.CANCELLED, 0),
        in_doubt=states.get(State.IN_DOUBT, 0),
    )


def failures(connection: sqlite3.Connection, limit: int = 20) -> list[Failure]:
    """Failed and in-doubt jobs of the manifest grouped by cause, the most frequent first. limit: most groups."""
    rows = connection.execute(
        "SELECT state, count(*) AS n, min(prompt_id), coalesce(cause, 'unknown'), message, http_status, code FROM jobs"
        " WHERE state IN ('failed', 'in_doubt') AND position IS NOT NULL"
        " GROUP BY state, cause, message, http_status, code ORDER BY n DESC LIMIT ?",
        (limit,),
    )
    return [
        Failure(State(row[0]), cause_of(row[3:]) or Cause(kind="unknown", message=""), row[1], row[2]) for row in rows
    ]


def images(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Files of the jobs of the manifest: their number, their bytes, and the number with a warning."""
    sums = "SELECT count(*), coalesce(sum(bytes), 0), count(warning) FROM images"
    whole = connection.execute(sums).fetchone()
    removed = connection.execute(
        f"{sums} WHERE job_id IN (SELECT id FROM jobs WHERE state = 'done' AND position IS NULL)"
    ).fetchone()
    images, size, odd = (int(one) - int(other) for one, other in zip(whole, removed, strict=True))
    return images, size, odd


def costs(connection: sqlite3.Connection, most: int) -> Iterator[tuple[str, dict[str, Any], int, float]]:
    """Model, inputs, images and dollars of the last ``most`` done jobs with a reported cost, the newest last."""
    rows = connection.execute(
        "SELECT model, inputs, images, cost_usd FROM jobs WHERE state = 'done' AND cost_usd IS NOT NULL"
        " ORDER BY position DESC LIMIT ?",
        (most,),
    ).fetchall()
    for model, inputs, images, cost in reversed(rows):
        yield model, json.loads(inputs), images, cost


def open_jobs(connection: sqlite3.Connection) -> Iterator[tuple[str, dict[str, Any], int]]:
    """Model, inputs and images of each job that is at the service, or on its way there."""
    for model, inputs, images in connection.execute(f"SELECT model, inputs, images FROM jobs WHERE {IN_FLIGHT}"):
        yield model, json.loads(inputs), images


def records(connection: sqlite3.Connection, *, simulated: bool, version: str) -> Iterator[SidecarFields]:
    """The sidecars of all finished images of the manifest, from the state file, in the manifest's order."""
    rows = connection.execute(
        f"{ENTRY}{IMAGE_COLUMNS} FROM jobs j CROSS JOIN images i ON i.job_id = j.id"
        " WHERE j.state = 'done' AND j.position IS NOT NULL ORDER BY j.position, i.output_index"
    )
    for row in rows:
        entry, artifact = entry_of(row[:ENTRY_WIDTH]), artifact_of(row[ENTRY_WIDTH:])
        yield sidecar_fields(entry, artifact, simulated=simulated, version=version)


def unfinished(connection: sqlite3.Connection) -> Iterator[Entry]:
    """The failed and in-doubt jobs of the manifest, by cause."""
    rows = connection.execute(
        f"{ENTRY} FROM jobs j WHERE j.state IN ('failed', 'in_doubt') AND j.position IS NOT NULL"
        " ORDER BY j.state, j.cause, j.message, j.position"
    )
    yield from map(entry_of, rows)


def was_taken_up(connection: sqlite3.Connection, entry: Entry) -> bool:
    """Whether the service accepted the newest attempt and did not fail it: its result may still be fetched, free."""
    row = connection.execute("SELECT outcome FROM jobs WHERE id = ?", (entry.id,)).fetchone()
    return row is not None and row[0] in {"accepted", "succeeded"} and entry.request_id is not None


def twin(connection: sqlite3.Connection, entry: Entry, sha256: str) -> str | None:
    """A warning if an image with the same bytes was made from other inputs, else None.

    Such images are often placeholders or error images.
    """
    row = connection.execute(
        "SELECT i.file FROM images i JOIN jobs j ON j.id = i.job_id JOIN jobs mine ON mine.id = ?1"
        " WHERE substr(i.sha256, 1, 16) = substr(?2, 1, 16) AND +i.sha256 = ?2"  # without + SQLite takes no index
        " AND i.job_id != ?1 AND j.inputs != mine.inputs LIMIT 1",
        (entry.id, sha256),
    ).fetchone()
    return None if row is None else f"the same bytes as {row[0]}, which was requested with other inputs"


def submits_by_outcome(connection: sqlite3.Connection) -> dict[str, int]:
    """The number of submits that the service may have accepted, by outcome, over the life of the run directory."""
    return dict(connection.execute("SELECT outcome, count(*) FROM attempts GROUP BY outcome"))


def run_times(connection: sqlite3.Connection, bounds: Sequence[float]) -> tuple[list[int], int, float]:
    """Run times of the jobs that the service finished: how many took at most each of ``bounds`` (seconds), how many
    there are, and their sum in seconds.
    """
    within = "".join(", count(*) FILTER (WHERE s <= ?)" for _ in bounds)
    row = connection.execute(
        f"SELECT count(s), coalesce(sum(s), 0.0){within} FROM (SELECT max(0.0, 86400.0 *"
        " (julianday(finished_at) - julianday(submitted_at))) AS s FROM attempts"
        " WHERE outcome IN ('succeeded', 'saved'))",
        tuple(bounds),
    ).fetchone()
    return list(row[2:]), int(row[0]), float(row[1])


def last_change(connection: sqlite3.Connection) -> float | None:
    """Time of the last submit, finish or download, in Unix seconds; None if there was none."""
    (newest,) = connection.execute(
        "SELECT 86400.0 * (max(julianday(coalesce(submitted_at, finished_at)), julianday(coalesce(finished_at,"
        " submitted_at)), coalesce((SELECT max(julianday(downloaded_at)) FROM images), 0)) - 2440587.5)"
        " FROM (SELECT max(submitted_at) AS submitted_at, max(finished_at) AS finished_at FROM jobs)"
    ).fetchone()
    return None if newest is None else round(float(newest), 3)
