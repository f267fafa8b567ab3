"""Several run directories read as one: shards of a manifest, mostly. Made for readers, in a temporary folder.

Their job tables are copied into one state file there, their verdicts into one ``picks.jsonl``. No picture is copied:
the file ``images/2/a.png`` of the whole is ``images/a.png`` of the second run, and ``whose`` says so. A job that is in
several runs is there once, as the run has it that came furthest with it.
"""

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock

from batcher.core.shard import parse_shard
from batcher.store.facts import RunFacts, read_facts
from batcher.store.lock import LOCK, is_held
from batcher.store.opening import STATE, connect_to_read
from batcher.store.picks import PICKS
from batcher.store.rows import IMAGES
from batcher.store.schema import create

_BEST = ("done", "ready", "running", "submitting", "in_doubt", "failed", "cancelled", "pending")  # which one counts
_RANK = f"CASE state {' '.join(f'WHEN {state!r} THEN {rank}' for rank, state in enumerate(_BEST))} END"
_SEEN = """
INSERT INTO seen VALUES (?, ?, ?, 1) ON CONFLICT (key) DO UPDATE SET runs = runs + 1,
       rank = min(rank, excluded.rank), run = CASE WHEN excluded.rank < rank THEN excluded.run ELSE run END
"""
_PREFIX = "batcher-joined-"
_BY_LINES = (PICKS, "thumbs/measures.jsonl")  # of several runs one is put behind the other
_runs: dict[Path, tuple[Path, ...]] = {}  # by the temporary folder
_room: dict[Path, int] = {}  # bits for the ids of one run: a job has the same id in the next copy, while there is room


@dataclass(frozen=True, slots=True)
class Joined:
    """path: to be read like a run directory. twice: jobs that are in more than one of the runs.

    absent: shards of the same manifest that are not among the runs, such as ``3/4``.
    """

    path: Path
    runs: tuple[Path, ...]
    twice: int = 0
    absent: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return name_of(self.path)


@contextmanager
def joined(runs: Sequence[Path]) -> Iterator[Joined]:
    """One run directory is given as it is. Raises UsageError for what is none, DiskError."""
    unique = distinct(runs)
    if len(unique) == 1:
        yield Joined(unique[0], unique)
        return
    with closing(Whole(unique)) as whole:
        yield whole.copy()


def distinct(runs: Sequence[Path]) -> tuple[Path, ...]:
    """The same without those that are given twice."""
    return tuple({run.resolve(): run for run in runs}.values())


class Whole:
    """A temporary folder with the copy. A connection to an earlier copy stays valid."""

    def __init__(self, runs: Sequence[Path]) -> None:
        _remove_left_behind()
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = filelock.FileLock(self.path / LOCK)
        self._lock.acquire()
        self._runs = _runs[self.path] = tuple(runs)

    def copy(self) -> Joined:
        """The runs as they are now. Raises UsageError for what is none, DiskError."""
        new = self.path / f"new-{STATE}"
        new.unlink(missing_ok=True)
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            room = _room[self.path] = _bits(self._runs, _room.get(self.path, 0))
            twice, facts = _copied(connection, self._runs, room)
        new.replace(self.path / STATE)
        for name in _BY_LINES:
            (self.path / name).parent.mkdir(exist_ok=True)
            parts = [(run / name).read_bytes() for run in self._runs if (run / name).is_file()]
            (self.path / name).write_bytes(b"\n".join(parts))
        return Joined(self.path, self._runs, twice, tuple(_absent(facts)))

    def close(self) -> None:
        _runs.pop(self.path, None)
        _room.pop(self.path, None)
        self._lock.release()
        shutil.rmtree(self.path, ignore_errors=True)


def _remove_left_behind() -> None:
    """Copies whose process was killed: the system has freed their lock."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if (path / LOCK).is_file() and not path.is_symlink() and not is_held(path):
            shutil.rmtree(path, ignore_errors=True)


def runs_of(run_dir: Path) -> tuple[Path, ...]:
    """The run directories that are read as this one: mostly it alone."""
    return _runs.get(run_dir, (run_dir,))


def whose(run_dir: Path, file: str) -> tuple[Path, str]:
    """The run directory that has a recorded file, and the file's name there."""
    runs = _runs.get(run_dir)
    if runs is None:
        return run_dir, file
    number, _, rest = file.removeprefix(IMAGES).partition("/")
    return runs[int(number) - 1], IMAGES + rest


def run_of(run_dir: Path, job_id: int) -> Path:
    """The run directory that a job of the whole is from. job_id: as its state file has it."""
    return runs_of(run_dir)[job_id >> _room[run_dir] if run_dir in _room else 0]


def name_of(run_dir: Path) -> str:
    """As a message has it."""
    runs = runs_of(run_dir)
    return str(runs[0]) if len(runs) == 1 else ", ".join(map(str, runs)) if len(runs) < 4 else f"{len(runs)} runs"


def _bits(runs: Sequence[Path], before: int) -> int:
    """As before where that is enough; else with room for as many jobs again."""
    largest = 0
    for run in runs:
        with closing(connect_to_read(run)) as source:
            largest = max(largest, *source.execute("SELECT coalesce(max(id), 0) FROM jobs").fetchone())
    return before if largest < 1 << before else largest.bit_length() + 1


def _copied(connection: sqlite3.Connection, runs: Sequence[Path], room: int) -> tuple[int, list[RunFacts]]:
    """How many jobs are in several runs, and the facts of each run."""
    connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
    create(connection)
    connection.execute("CREATE TEMP TABLE seen (key TEXT PRIMARY KEY, rank INTEGER, run INTEGER, runs INTEGER)")
    every, total = [], 0
    for number, run in enumerate(runs, 1):
        with closing(connect_to_read(run)) as source:
            every.append(read_facts(source))
            (listed,) = source.execute("SELECT count(position) FROM jobs").fetchone()
            total += (every[-1].total or listed) - listed  # of jobs that --limit left out there are no rows
            rows = source.execute(f"SELECT key, {_RANK} + 10 * (position IS NULL), ? FROM jobs", (number,))
            connection.execute("BEGIN")
            connection.executemany(_SEEN, rows)
            connection.execute("COMMIT")
    for number, run in enumerate(runs, 1):
        with closing(connect_to_read(run)) as source:
            source.execute("BEGIN")  # the tables as of one moment, though a run goes on
            total += _copy(connection, source, number, room)
    (twice,) = connection.execute("SELECT count(*) FROM seen WHERE runs > 1").fetchone()
    facts = {
        "simulated": any(one.simulated for one in every),
        "model": every[0].model,
        "manifest": every[0].manifest,
        "price_usd": max((one.price_usd for one in every if one.price_usd is not None), default=None),
        "total": total,
    }
    connection.executemany("INSERT INTO meta VALUES (?, ?)", [(name, json.dumps(v)) for name, v in facts.items()])
    return int(twice), every


def _copy(connection: sqlite3.Connection, source: sqlite3.Connection, number: int, room: int) -> int:
    """The jobs that count in this run, and what belongs to them; how many of them are in a manifest."""
    first = (number - 1) << room
    mine = {key for (key,) in connection.execute("SELECT key FROM seen WHERE run = ?", (number,))}
    ids = {row[0] for row in source.execute("SELECT id, key FROM jobs") if row[1] in mine}
    place = f"{IMAGES}{number}/"
    connection.execute("BEGIN")
    for table, owner in (("jobs", "id"), ("past_attempts", "job_id"), ("images", "job_id")):
        names = [row[1] for row in source.execute(f"PRAGMA table_info({table})")]
        at = names.index(owner)
        paths = [names.index(name) for name in ("path", "name", "file") if name in names]
        rows = source.execute(f"SELECT {', '.join(names)} FROM {table}")
        connection.executemany(
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
            (_moved(row, at, first, paths, place) for row in rows if row[at] in ids),
        )
    connection.execute("COMMIT")
    (listed,) = connection.execute("SELECT count(position) FROM jobs WHERE id > ?", (first,)).fetchone()
    return int(listed)


def _moved(row: Sequence[object], at: int, first: int, paths: Sequence[int], place: str) -> list[object]:
    values = list(row)
    values[at] = first + int(str(values[at]))
    for path in paths:
        values[path] = place + str(values[path]).removeprefix(IMAGES)
    return values


def _absent(facts: Sequence[RunFacts]) -> Iterator[str]:
    here = {(one.manifest, parse_shard(one.shard)) for one in facts if one.shard}
    for manifest, of in sorted({(manifest or "", shard.of) for manifest, shard in here}):
        mine = {shard.number for other, shard in here if (other or "") == manifest and shard.of == of}
        yield from (f"{number}/{of}" for number in range(1, of + 1) if number not in mine)
