"""What can be asked of a state file, over any connection to it, the writer's or a read-only one."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from batcher.core.errors import Cause
from batcher.core.job import Artifact, Counts, Entry, Job, State, sidecar, utc
from batcher.store.batch import MOST_ROWS
from batcher.store.compact import FILE, REQUEST_ID, UNCHARGED, URL

Known = tuple[int, str, int, int, str]  # id, state, listed, attempts, path
_CHUNK = 500

ENTRY = f"""
SELECT j.id, lower(hex(j.key)), j.state, m.word, j.inputs, j.copy, j.prompt_id, j.meta, s.word, j.line, j.path,
       j.attempts, {REQUEST_ID}, a.submitted_at, a.finished_at, l.urls, a.cost_usd, j.cause
FROM job_data j JOIN words m ON m.id = j.model JOIN words s ON s.id = j.source
LEFT JOIN attempt_data a ON a.job_id = j.id AND a.n = j.attempts LEFT JOIN link_data l ON l.job_id = j.id
"""
PICTURE = ENTRY.replace(
    "FROM job_data j",
    f", {FILE}, i.bytes, lower(hex(i.sha256)), w.word, i.width, i.height, {URL}, i.output_index, i.output_count,"
    " i.downloaded_at, i.warning FROM job_data j",
    1,
)  # to be joined with image_data i, words w and words h
JOINED = "JOIN image_data i ON i.job_id = j.id JOIN words w ON w.id = i.mime LEFT JOIN words h ON h.id = i.url_head"
_OPEN = "state != 'done'"  # said in these words, SQLite knows that the index open_jobs will do


@dataclass(frozen=True, slots=True)
class Failure:
    """Failed or in-doubt jobs that share a cause. example: one of them."""

    state: State
    cause: Cause
    count: int
    example: str


@dataclass(slots=True)
class Difference:
    """A manifest against a state file. ``gone`` and ``back`` are row numbers; ``at`` counts the known jobs by state."""

    new: int = 0
    at: dict[State, int] = field(default_factory=dict)
    gone: list[int] = field(default_factory=list)
    back: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Money:
    """Over the life of the run directory, jobs that left the manifest included: it was spent all the same.

    known_usd: what the service said it charged. unpriced: images of ended or doubtful submits whose cost it did not
    say. failed: images of submits that it failed without a word on their cost (nobody documents whether those are
    charged). open: images of jobs at the service now. submits: all that may have been taken up.
    """

    known_usd: float
    unpriced: int
    failed: int
    open: int
    submits: int


def meta(connection: sqlite3.Connection, name: str, default: Any = None) -> Any:
    row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return default if row is None else json.loads(row[0])


def known(connection: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, Known]:
    found: dict[bytes, Known] = {}
    for start in range(0, len(keys), _CHUNK):
        chunk = keys[start : start + _CHUNK]
        marks = ",".join("?" * len(chunk))
        rows = connection.execute(
            f"SELECT key, id, state, listed, attempts, path FROM job_data WHERE key IN ({marks})",
            chunk,
        )
        found.update((row[0], row[1:]) for row in rows)
    return found


def compare(
    connection: sqlite3.Connection, jobs: Iterable[Job], each: Callable[[State | None], object] | None = None
) -> Difference:
    """What the manifest adds to, shares with and leaves out of the state file. Memory: one bit a row of the file.

    each: called with the state of each job, in order; None for a new one.
    """
    (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM job_data").fetchone()
    seen = bytearray(last // 8 + 1)
    difference = Difference()
    walk = iter(jobs)
    while chunk := [bytes.fromhex(job.key) for job in islice(walk, _CHUNK)]:
        rows = known(connection, chunk)
        difference.new += len(chunk) - len(rows)
        for number, state, listed, _, _ in rows.values():
            seen[number >> 3] |= 1 << (number & 7)
            difference.at[State(state)] = difference.at.get(State(state), 0) + 1
            if not listed:
                difference.back.append(number)
        if each is not None:
            for key in chunk:
                each(State(rows[key][1]) if key in rows else None)
    listed_rows = connection.execute("SELECT id FROM job_data WHERE listed = 1")
    difference.gone = [number for (number,) in listed_rows if not seen[number >> 3] & (1 << (number & 7))]
    return difference


def entries(connection: sqlite3.Connection, states: Iterable[State], *, listed_only: bool = False) -> Iterator[Entry]:
    """Oldest first, read in chunks, so that the rows may be moved while they are walked.

    listed_only: leave out jobs that are no longer in the manifest.
    """
    wanted = set(states)
    if not wanted:
        return
    listed = " AND j.listed" if listed_only else ""
    among = _among(wanted)
    last = 0
    while True:
        rows = connection.execute(
            f"{ENTRY} WHERE {among} AND j.id > ?{listed} ORDER BY j.id LIMIT {_CHUNK}", (last,)
        ).fetchall()
        if not rows:
            return
        yield from map(entry_of, rows)
        last = rows[-1][0]


def _among(states: set[State]) -> str:
    """A condition on ``j.state``, in the form in which SQLite uses the index where it has these."""
    words = [f"'{state}'" for state in sorted(states)]
    among = f"j.state = {words[0]}" if len(words) == 1 else f"j.state IN ({', '.join(words)})"
    return among if State.DONE in states else f"{among} AND j.{_OPEN}"


def by_state(connection: sqlite3.Connection) -> dict[State, int]:
    """Jobs of the manifest (removed ones left out) by state; states that have none are left out."""
    rows = connection.execute(f"SELECT state, count(*) FROM job_data WHERE {_OPEN} AND listed = 1 GROUP BY state")
    found = {State(state): count for state, count in rows}
    (done,) = connection.execute("SELECT done FROM totals").fetchone()
    return {**found, State.DONE: done} if done else found


def is_empty(connection: sqlite3.Connection) -> bool:
    """Whether no job was ever written down."""
    return connection.execute("SELECT 1 FROM job_data LIMIT 1").fetchone() is None


def any_is(connection: sqlite3.Connection, states: Sequence[State]) -> bool:
    """Whether a job, of the manifest or not, is in one of these states."""
    found = connection.execute(f"SELECT 1 FROM job_data j WHERE {_among(set(states))} LIMIT 1").fetchone()
    return found is not None


def counts(connection: sqlite3.Connection, total: int | None = None) -> Counts:
    """total: jobs in the manifest, by default as the last run knew it."""
    found = by_state(connection)
    if total is None:
        total = int(meta(connection, "total", sum(found.values())))
    return Counts(
        total=total,
        done=found.get(State.DONE, 0),
        failed=found.get(State.FAILED, 0),
        cancelled=found.get(State.CANCELLED, 0),
        in_doubt=found.get(State.IN_DOUBT, 0),
    )


def failures(connection: sqlite3.Connection, limit: int = 20) -> list[Failure]:
    """Failed and in-doubt jobs grouped by cause, the most frequent first."""
    rows = connection.execute(
        "SELECT state, cause, count(*) AS n, min(prompt_id) FROM job_data"
        f" WHERE state IN ('failed', 'in_doubt') AND {_OPEN} AND listed = 1"
        " GROUP BY state, cause ORDER BY n DESC LIMIT ?",
        (limit,),
    )
    return [Failure(State(state), _cause(cause), count, example) for state, cause, count, example in rows]


def pictures(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Files of jobs in the manifest: how many, their bytes, how many with a warning."""
    row = connection.execute("SELECT images, bytes, odd_images FROM totals").fetchone()
    return int(row[0]), int(row[1]), int(row[2])


def money(connection: sqlite3.Connection) -> Money:
    known, unpriced, failed, submits = connection.execute(
        "SELECT known_nano, unpriced, failed_unpriced, submits FROM totals"
    ).fetchone()
    at_work, at_work_unpriced = connection.execute(
        "SELECT coalesce(sum(a.images), 0), coalesce(sum(a.images)"
        f" FILTER (WHERE a.cost_usd IS NULL AND a.outcome NOT IN {UNCHARGED}), 0)"
        " FROM job_data j JOIN attempt_data a ON a.job_id = j.id AND a.n = j.attempts"
        f" WHERE j.state IN ('submitting', 'running') AND j.{_OPEN} AND a.finished_at IS NULL"
    ).fetchone()
    return Money(
        known_usd=known / 1e9, unpriced=unpriced - at_work_unpriced, failed=failed, open=at_work, submits=submits
    )


def records(connection: sqlite3.Connection, *, simulated: bool, version: str) -> Iterator[dict[str, Any]]:
    """The sidecars of all finished images of the manifest, from the state file, in the order first seen."""
    rows = connection.execute(
        f"{PICTURE} {JOINED} WHERE j.state = 'done' AND j.listed = 1 ORDER BY j.id, i.output_index"
    )
    for row in rows:
        yield sidecar(entry_of(row[:18]), artifact_of(row[18:]), simulated=simulated, version=version)


def unfinished(connection: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    """The lines of ``failures.jsonl``: one for each failed or in-doubt job of the manifest, by cause."""
    rows = connection.execute(
        f"{ENTRY} WHERE j.state IN ('failed', 'in_doubt') AND j.{_OPEN} AND j.listed = 1"
        " ORDER BY j.state, j.cause, j.id"
    )
    for row in rows:
        entry = entry_of(row)
        yield {
            "job": entry.job.key,
            "state": str(entry.state),
            "cause": json.loads(row[17] or "{}"),
            "model": entry.job.model,
            "inputs": dict(entry.job.inputs),
            "prompt_id": entry.job.prompt_id,
            "meta": dict(entry.job.meta),
            "source": {"manifest": entry.job.source, "line": entry.job.line},
            "request_id": entry.request_id,
            "attempts": entry.attempts,
            "submitted_at": utc(entry.submitted_at),
        }


def was_taken_up(connection: sqlite3.Connection, entry: Entry) -> bool:
    """Whether the newest attempt was paid for and never failed by the service: it may still be collected, free."""
    row = connection.execute(
        "SELECT outcome FROM attempt_data WHERE job_id = ? AND n = ?", (entry.id, entry.attempts)
    ).fetchone()
    return row is not None and row[0] in {"accepted", "succeeded"} and entry.request_id is not None


def twins(connection: sqlite3.Connection, pictures: Sequence[tuple[int, int]]) -> dict[tuple[int, int], str]:
    """Which of these (job, output index) have the very bytes of a picture that was there before and came from other
    inputs, in words: the mark of a placeholder or an error picture.
    """
    found: dict[tuple[int, int], str] = {}
    for start in range(0, len(pictures), MOST_ROWS):
        chunk = pictures[start : start + MOST_ROWS]
        rows = connection.execute(
            f"SELECT n.job_id, n.output_index, {FILE} FROM image_data n"
            " JOIN image_data i ON substr(i.sha256, 1, 8) = substr(n.sha256, 1, 8) AND i.sha256 = n.sha256"
            " JOIN job_data j ON j.id = i.job_id JOIN job_data mine ON mine.id = n.job_id"
            f" WHERE (n.job_id, n.output_index) IN (VALUES {', '.join(['(?, ?)'] * len(chunk))})"
            " AND i.job_id != n.job_id AND j.inputs != mine.inputs"
            " AND (i.downloaded_at, i.job_id) < (n.downloaded_at, n.job_id)",
            [value for picture in chunk for value in picture],
        )
        for job, index, file in rows:
            found.setdefault((job, index), f"the same bytes as {file}, which was asked for with other inputs")
    return found


def entry_of(row: Sequence[Any]) -> Entry:
    job = Job(
        key=row[1], model=row[3], inputs=json.loads(row[4]), copy=row[5], prompt_id=row[6],
        meta=json.loads(row[7]) if row[7] else {}, source=row[8], line=row[9], path=row[10],
    )  # fmt: skip
    return Entry(
        id=row[0], job=job, state=State(row[2]), path=row[10], attempts=row[11], request_id=row[12],
        submitted_at=_seconds(row[13]), finished_at=_seconds(row[14]),
        urls=tuple(json.loads(row[15])) if row[15] else (), cost_usd=row[16],
        cause=_cause(row[17]) if row[17] else None,
    )  # fmt: skip


def artifact_of(row: Sequence[Any]) -> Artifact:
    """The columns that PICTURE adds."""
    file, size, sha256, mime, width, height, url, index, count, downloaded, warning = row
    return Artifact(
        file=file, bytes=size, sha256=sha256, mime=mime, width=width, height=height, url=url, output_index=index,
        output_count=count, downloaded_at=downloaded / 1000, warning=warning,
    )  # fmt: skip


def _cause(text: str | None) -> Cause:
    facts: Mapping[str, Any] = json.loads(text) if text else {"kind": "unknown", "message": ""}
    return Cause(**facts)


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000
