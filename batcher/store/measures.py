"""Sums over the history of a run, for metrics: each walks the table once."""

import sqlite3
from collections.abc import Sequence

_ENDED = "('succeeded', 'saved')"  # outcomes of a submit whose job the service finished


def submits_by_outcome(connection: sqlite3.Connection) -> dict[str, int]:
    """Submits that may have been taken up, over the life of the run directory."""
    return dict(connection.execute("SELECT outcome, count(*) FROM attempts GROUP BY outcome"))


def run_times(connection: sqlite3.Connection, bounds: Sequence[float]) -> tuple[list[int], int, float]:
    """How long the service took for the jobs it finished: how many took at most each of ``bounds`` (seconds), how many
    there are, and their sum in seconds.
    """
    within = "".join(", count(*) FILTER (WHERE s <= ?)" for _ in bounds)
    row = connection.execute(
        f"SELECT count(s), coalesce(sum(s), 0.0){within} FROM (SELECT max(0.0, 86400.0 *"
        f" (julianday(finished_at) - julianday(submitted_at))) AS s FROM attempts WHERE outcome IN {_ENDED})",
        tuple(bounds),
    ).fetchone()
    return list(row[2:]), int(row[0]), float(row[1])


def last_change(connection: sqlite3.Connection) -> float | None:
    """When a job last moved, in Unix seconds; None when none ever did."""
    (newest,) = connection.execute(
        "SELECT 86400.0 * (max(julianday(coalesce(submitted_at, finished_at)), julianday(coalesce(finished_at,"
        " submitted_at)), coalesce((SELECT max(julianday(downloaded_at)) FROM images), 0)) - 2440587.5)"
        " FROM (SELECT max(submitted_at) AS submitted_at, max(finished_at) AS finished_at FROM jobs)"
    ).fetchone()
    return None if newest is None else round(float(newest), 3)
