"""Compares a manifest, planned into its own state file, with the jobs of a run directory."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batcher.core.naming import with_key
from batcher.store.opening import STATE, connect_to_read

NEW = "new"  # state of a job that the run directory does not have


@dataclass(frozen=True, slots=True)
class Stand:
    """Planned jobs by their state in the run directory (or NEW), and the number of images they request."""

    jobs: Counter[str] = field(default_factory=Counter)
    images: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: "Stand") -> "Stand":
        return Stand(self.jobs + other.jobs, self.images + other.images)

    def jobs_at(self, states: Iterable[str]) -> int:
        return sum(self.jobs[state] for state in states)

    def images_at(self, states: Iterable[str]) -> int:
        return sum(self.images[state] for state in states)


class Difference:
    """planned: folder of the planned state file. run_dir: None if there is no run yet."""

    def __init__(self, planned: Path, run_dir: Path | None) -> None:
        self.against = run_dir is not None
        self._connection = connect_to_read(planned if run_dir is None else run_dir)
        self._connection.execute("ATTACH DATABASE ? AS planned", (f"{(planned / STATE).absolute().as_uri()}?mode=ro",))

    def close(self) -> None:
        self._connection.close()

    def stand(self, start: int, jobs: int | None) -> Stand:
        """The jobs at positions from ``start`` on. jobs: how many positions; None for all."""
        stand, state, join = Stand(), f"'{NEW}'", ""
        if self.against:
            state, join = f"coalesce(r.state, '{NEW}')", "LEFT JOIN main.jobs r ON r.key = p.key"
        rows = self._connection.execute(
            f"SELECT {state}, count(*), sum(p.images) FROM planned.jobs p {join}"
            " WHERE p.state = 'pending' AND p.position >= ? AND p.position < ? GROUP BY 1",  # as all are: by the index
            (start, 1 << 62 if jobs is None else start + jobs),
        )
        for where, many, images in rows:
            stand.jobs[where], stand.images[where] = many, images
        return stand

    def gone(self) -> int:
        """Number of jobs of the run directory's manifest that are not in this one."""
        (gone,) = self._connection.execute(
            "SELECT count(*) FROM main.jobs r WHERE r.position IS NOT NULL"
            " AND NOT EXISTS (SELECT 1 FROM planned.jobs p WHERE p.key = r.key)"
        ).fetchone()
        return int(gone)

    def first(self, starts: Sequence[int], each: int, most: int) -> list[dict[str, Any]]:
        """The first jobs from each of these positions on, as JSON data, with the paths that a run gives them."""
        jobs: dict[int, dict[str, Any]] = {}
        for start in starts:
            rows = self._connection.execute(
                "SELECT position, key, path, name, inputs, source, line FROM planned.jobs"
                " WHERE state = 'pending' AND position >= ? ORDER BY position LIMIT ?",
                (start, each),
            )
            for position, key, path, name, inputs, source, line in rows:
                where = self._path(key, path, name)
                jobs[position] = {"path": where, "inputs": json.loads(inputs), "source": source, "line": line}
        return [jobs[position] for position in sorted(jobs)][:most]

    def _path(self, key: str, path: str, name: str) -> str:
        if not self.against:
            return path
        row = self._connection.execute(
            "SELECT key, path FROM main.jobs WHERE key = ?1 OR name = ?2 ORDER BY key = ?1 DESC", (key, name)
        ).fetchone()
        if row is None:
            return path
        return str(row[1]) if row[0] == key else with_key(path, key)
