"""Several run directories (shards of a manifest, mostly) read as one, through a copy in a temporary folder.

The job tables are copied into one state file, and the verdicts into one ``picks.jsonl``. Images are not copied: the
file ``images/2/a.png`` of the copy is ``images/a.png`` of the second run (see ``whose``). A job that is in several runs
is copied once, from the run that has got furthest with it.
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

_BEST = ("done", "ready", "running", "submitting", "in_doubt", "failed", "cancelled", "pending")  # which run counts
_RANK = f"CASE state {' '.join(f'WHEN {state!r} THEN {rank}' for rank, state in enumerate(_BEST))} END"
_SEEN = """
INSERT INTO seen VALUES (?, ?, ?, 1) ON CONFLICT (key) DO UPDATE SET runs = runs + 1,
       rank = min(rank, excluded.rank), run = CASE WHEN excluded.rank < rank THEN excluded.run ELSE run END
"""
_PREFIX = "batcher-joined-"
_BY_LINES = (PICKS, "thumbs/measures.jsonl")  # files to concatenate
_copies: dict[Path, "Whole"] = {}  # by temporary folder


@dataclass(frozen=True, slots=True)
class Joined:
    """Runs that are read as one.

    path: a folder to read like a run directory.
    runs: the run directories.
    twice: number of jobs that are in more than one run.
    absent: shards of the same manifest that are not among the runs (``3/4``).
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
    """The runs as one, for the block; a single run is used as it is. Raises UsageError if one is no run, DiskError."""
    unique = distinct(runs)
    if len(unique) == 1:
        yield Joined(unique[0], unique)
        return
    with closing(Whole(unique)) as whole:
        yield whole.copy()


def distinct(runs: Sequence[Path]) -> tuple[Path, ...]:
    """The runs without repetitions."""
    return tuple({run.resolve(): run for run in runs}.values())


class Whole:
    """A temporary folder with a copy of several runs, locked until it is closed.

    runs: different run directories, at least two. bits: width of the job ids of one run in the copy. It only grows, so
    jobs keep their ids in later copies.
    """

    def __init__(self, runs: Sequence[Path]) -> None:
        _remove_left_behind()
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self.runs = tuple(runs)
        self.bits = 0
        self._lock = filelock.FileLock(self.path / LOCK)
        self._lock.acquire()
        _copies[self.path] = self

    def copy(self) -> Joined:
        """Copy the runs as they are now. Connections to an earlier copy stay valid. Raises UsageError, DiskError."""
        new = self.path / f"new-{STATE}"
        new.unlink(missing_ok=True)
        with closing(sqlite3.connect(new, isolation_level=None)) as connection:
            self._make_room()
            twice, facts = _copied(connection, self.runs, self.bits)
        new.replace(self.path / STATE)
        for name in _BY_LINES:
            (self.path / name).parent.mkdir(exist_ok=True)
            parts = [(run / name).read_bytes() for run in self.runs if (run / name).is_file()]
            (self.path / name).write_bytes(b"\n".join(parts))
        return Joined(self.path, self.runs, twice, tuple(_absent(facts)))

    def close(self) -> None:
        _copies.pop(self.path, None)
        self._lock.release()
        shutil.rmtree(self.path, ignore_errors=True)

    def _make_room(self) -> None:
        """Widen ``bits``, with room for as many jobs again, if the ids of a run no longer fit."""
        largest = 0
        for run in self.runs:
            with closing(connect_to_read(run)) as source:
                largest = max(largest, *source.execute("SELECT coalesce(max(id), 0) FROM jobs").fetchone())
        if largest >= 1 << self.bits:
            self.bits = largest.bit_length() + 1


def _remove_left_behind() -> None:
    """Delete copies whose process was killed: the system has freed their lock."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if (path / LOCK).is_file() and not path.is_symlink() and not is_held(path):
            shutil.rmtree(path, ignore_errors=True)


def runs_of(run_dir: Path) -> tuple[Path, ...]:
    """The run directories behind a folder that is read like one: itself, unless it is a copy of several."""
    whole = _copies.get(run_dir)
    return (run_dir,) if whole is None else whole.runs


def whose(run_dir: Path, file: str) -> tuple[Path, str]:
    """The run directory that has a recorded file, and the name of the file there."""
    whole = _copies.get(run_dir)
    if whole is None:
        return run_dir, file
    number, _, rest = file.removeprefix(IMAGES).partition("/")
    return whole.runs[int(number) - 1], IMAGES + rest


def run_of(run_dir: Path, job_id: int) -> Path:
    """The run directory that has a job. job_id: its row number in ``run_dir``."""
    whole = _copies.get(run_dir)
    return run_dir if whole is None else whole.runs[job_id >> whole.bits]


def name_of(run_dir: Path) -> str:
    """The name of a folder in messages: the run directory, or up to three, or ``4 runs``."""
    runs = runs_of(run_dir)
    return ", ".join(map(str, runs)) if len(runs) < 4 else f"{len(runs)} runs"


def _copied(connection: sqlite3.Connection, runs: Sequence[Path], bits: int) -> tuple[int, list[RunFacts]]:
    """Copy the runs into an empty state file. Returns the number of jobs in several runs, and the facts of each run."""
    connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
    create(connection)
    connection.execute("CREATE TEMP TABLE seen (key TEXT PRIMARY KEY, rank INTEGER, run INTEGER, runs INTEGER)")
    every, total = [], 0
    for number, run in enumerate(runs, 1):
        with closing(connect_to_read(run)) as source:
            every.append(read_facts(source))
            (listed,) = source.execute("SELECT count(position) FROM jobs").fetchone()
            total += (every[-1].total or listed) - listed  # jobs beyond --limit, which have no rows
            rows = source.execute(f"SELECT key, {_RANK} + 10 * (position IS NULL), ? FROM jobs", (number,))
            connection.execute("BEGIN")
            connection.executemany(_SEEN, rows)
            connection.execute("COMMIT")
    for number, run in enumerate(runs, 1):
        with closing(connect_to_read(run)) as source:
            source.execute("BEGIN")  # one moment for all tables, though the run may go on
            total += _copy(connection, source, number, bits)
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


def _copy(connection: sqlite3.Connection, source: sqlite3.Connection, number: int, bits: int) -> int:
    """Copy the jobs for which this run counts, with attempts and images. Returns how many are in its manifest."""
    first = (number - 1) << bits
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
    """A row with its place among the runs: ``first`` added to the job id at ``at``, ``place`` before its paths."""
    values = list(row)
    values[at] = first + int(str(values[at]))
    for path in paths:
        values[path] = place + str(values[path]).removeprefix(IMAGES)
    return values


def _absent(facts: Sequence[RunFacts]) -> Iterator[str]:
    """Shards (``3/4``) of the manifests of these runs that are not among them."""
    here = {(one.manifest, parse_shard(one.shard)) for one in facts if one.shard}
    for manifest, of in sorted({(manifest or "", shard.of) for manifest, shard in here}):
        mine = {shard.number for other, shard in here if (other or "") == manifest and shard.of == of}
        yield from (f"{number}/{of}" for number in range(1, of + 1) if number not in mine)
