"""Reads one run for the page: the state file over a read-only connection, and ``picks.jsonl``.

Everything here waits for the disk, so the server has a thread for each run. Reading may take a fixed share of the time,
so a state file of a million jobs is read less often than one of a hundred.
"""

import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from batcher.core.command_line import repair
from batcher.core.errors import DiskError, UsageError
from batcher.runner import report_words, standing
from batcher.runner.control import control_now, read_control
from batcher.store import STATE, connect_to_read, is_going, picks, read_facts, viewing
from batcher.store.opening import identity
from batcher.store.prompts import Prompts
from batcher.store.viewing import JobRow
from batcher.view import words
from batcher.view.columns import OUTPUTS, Columns, survey

SHARE = 0.02  # most of the time to spend on one kind of reading
_FACTS_EVERY = 1.0  # least seconds between two times
_MOST_BROKEN = 500  # broken images that are watched, at 2 microseconds each
_MOST_MOVES = 5_000  # if more jobs changed at once, the page loads everything again


def wire(verdict: picks.Verdict) -> list[Any]:
    """A verdict in the form that the page gets."""
    sha = (verdict.sha256 or "")[:8]
    return [verdict.job, verdict.output_index, verdict.pick, verdict.stars, list(verdict.tags), verdict.note, sha]


class Turn:
    """When something that takes time may be done again. least: least seconds in between."""

    def __init__(self, least: float = 0.0) -> None:
        self._least = least
        self._next = 0.0

    def has_come(self) -> bool:
        """Whether the work may be done again now."""
        return time.monotonic() >= self._next

    def took(self, seconds: float) -> None:
        """To be called after the work. seconds: how long it took."""
        self._next = time.monotonic() + max(self._least, seconds / SHARE)


class RunReader:
    """Reads the run in ``run_dir``. Not thread-safe. Methods raise UsageError and DiskError if it can't be read.

    verdicts: all verdicts, as of the last ``load`` or ``changes``. going: whether a process was working on the run when
    ``facts`` was last called.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._version = 0
        self._ended: Counter[int] = Counter()  # Unix seconds
        self._took: Counter[float] = Counter()  # seconds
        self._states: dict[int, tuple[str, int]] = {}  # state and position by job
        self._columns: Columns | None = None
        self._broken: dict[int, tuple[Path, Any]] = {}  # by job: an image that could not be shown, and its _stamp then
        self._ends: dict[str, int] = {}  # lengths of the tables that the page has
        self.verdicts = picks.Picks()
        self._picks_read = 0  # bytes
        self._moves_turn, self._facts_turn = Turn(), Turn(_FACTS_EVERY)
        self._behind = self._facts_behind = self.going = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.run_dir)!r})"

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def connection(self) -> sqlite3.Connection:
        """To the state file; a new one if the file was replaced, by a rebuild for example."""
        now = identity(self.run_dir / STATE)
        if self._connection is None or now != self._identity:
            RunReader.close(self)
            if now is None:
                raise UsageError(
                    f"{self.run_dir} has no {STATE}",
                    hint=f"`{repair(self.run_dir)}` makes a new one from images and sidecars.",
                )
            self._connection = connect_to_read(self.run_dir)
            self._identity, self._columns = now, None
        return self._connection

    @property
    def twice(self) -> int:
        """Number of jobs that are in more than one of several joined runs."""
        return 0

    @property
    def version(self) -> tuple[Any, int]:
        """A value that changes with every commit of another process, and when the file is replaced."""
        version = viewing.data_version(self.connection)
        return self._identity, version

    def load(self) -> dict[str, Any]:
        """Everything, as the first message for a page."""
        connection = self.connection
        self._version = viewing.data_version(connection)
        prompts = Prompts(self.run_dir)
        self._columns = Columns(prompts, *survey(viewing.rows(connection), prompts))
        self._states = {id_: (state, position) for id_, state, position in viewing.states(connection)}
        columns = self._columns.columns(viewing.rows(connection))
        self._ended, self._took = Counter(columns["t"]), Counter(columns["d"])
        self._ends = self._columns.ends()
        self.forget_verdicts()
        self.new_verdicts()
        plan = self._columns.plan
        return {
            "axes": {"rows": plan.rows, "cols": plan.cols, "hidden": list(plan.hidden)},
            "tables": self._columns.tables({}),
            "items": columns,
            "picks": [wire(verdict) for verdict in self.verdicts.verdicts.values() if not verdict.is_empty],
            "notice": words.notice(self.verdicts.unreadable, self._strangers(columns)),
            "facts": self.facts(),
        }

    def _strangers(self, columns: dict[str, list[Any]]) -> int:
        """Number of verdicts on images that are no longer in this run."""
        places = {place for place, verdict in self.verdicts.verdicts.items() if not verdict.is_empty}
        if places:
            places -= {(key, number % OUTPUTS) for key, number in zip(columns["k"], columns["n"], strict=True)}
        return len(places)

    def changes(self) -> dict[str, Any] | None:
        """What changed since ``load`` or the last call; None if nothing did, ``{"reset": True}`` to load again."""
        connection = self.connection
        if self._columns is None:
            return {"reset": True}
        changes: dict[str, Any] = {}
        if verdicts := self.new_verdicts():
            changes["picks"] = [wire(verdict) for verdict in verdicts]
        version = viewing.data_version(connection)
        if version != self._version:
            self._version = version
            self._behind = self._facts_behind = True
        moved: list[int] = []
        if self._behind and self._moves_turn.has_come():
            self._behind = False
            since = self._moved(connection)
            if since is None:
                return {"reset": True}
            moved = since
        back = [id_ for id_, (path, stamp) in self._broken.items() if _stamp(path) != stamp]
        for id_ in back:
            del self._broken[id_]
        if moved or back:
            changes["items"] = self._columns.columns(viewing.rows_of(connection, moved + back))
            if moved:
                self._ended.update(changes["items"]["t"])
                self._took.update(changes["items"]["d"])
            changes["tables"] = self._columns.tables(self._ends)
            self._ends = self._columns.ends()
        # A process that was killed changes nothing in the state file.
        if self._facts_turn.has_come() and (self._facts_behind or self.is_going() != self.going):
            self._facts_behind = False
            changes["facts"] = self.facts()
        return changes or None

    def watch(self, row: JobRow, path: Path) -> None:
        """Watch the file of a missing or damaged image: ``changes`` has the row again once the file changes."""
        if len(self._broken) < _MOST_BROKEN:
            self._broken[row.id] = path, _stamp(path)

    def is_going(self) -> bool:
        """Whether a process is working on the run."""
        return is_going(self.connection, self.run_dir)

    def _moved(self, connection: sqlite3.Connection) -> list[int] | None:
        """The ids of jobs that changed; None if jobs were deleted or too many changed."""
        began = time.monotonic()
        states, moved, count = self._states, [], 0
        for id_, state, position in viewing.states(connection):
            count += 1
            before = states.get(id_)
            if before is None or before[0] != state or before[1] != position:
                moved.append(id_)
                states[id_] = state, position
        self._moves_turn.took(time.monotonic() - began)
        return None if count < len(states) or len(moved) > _MOST_MOVES else moved

    def forget_verdicts(self) -> None:
        """Let ``new_verdicts`` begin with the first line again."""
        self.verdicts, self._picks_read = picks.Picks(), 0

    def new_verdicts(self) -> list[picks.Verdict]:
        """The verdicts added to ``picks.jsonl`` since the last call; all of them if the file became shorter."""
        path = self.run_dir / picks.PICKS
        try:
            size = path.stat().st_size
            if size == self._picks_read:
                return []
            if size < self._picks_read:
                self.forget_verdicts()
            with path.open("rb") as file:
                file.seek(self._picks_read)
                content = file.read()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DiskError(f"{path} can't be read: {error.strerror}", hint="Check its permissions.") from None
        whole = content.rfind(b"\n") + 1
        self._picks_read += whole
        lines = content[:whole].splitlines(keepends=True)
        self.verdicts.take(lines)
        changed = {(v.job, v.output_index): v for v in map(picks.parsed, lines) if v is not None}
        return list(changed.values())

    def lines(self) -> list[picks.Verdict]:
        """Every verdict that was written, the first one first. For undo."""
        try:
            content = (self.run_dir / picks.PICKS).read_bytes()
        except OSError:
            return []
        return [verdict for verdict in map(picks.parsed, content.splitlines()) if verdict is not None]

    def append(self, verdicts: Sequence[picks.Verdict]) -> list[picks.Verdict]:
        """Write verdicts, as ``picks.append`` does."""
        return picks.append(self.run_dir, verdicts)

    def facts(self) -> dict[str, Any]:
        """The numbers and texts of the overview: those of ``numbers``, and ``words``."""
        began = time.monotonic()
        facts = self.numbers()
        facts["words"] = {**words.overview(facts), **words.speed(self._ended, self._took)}
        self._facts_turn.took(time.monotonic() - began)
        return facts

    def numbers(self) -> dict[str, Any]:
        """The status of the run, what ``tune`` last asked for, and how to resume the run."""
        facts, run = standing.read(self.connection, self.run_dir), read_facts(self.connection)
        self.going = facts["going"]
        how = "", ""
        if facts["pending"] and not self.going and run.command:
            stopped_by = run.ended.stopped_by if run.ended else None
            how = report_words.resume(facts, stopped_by, run.command, control_now(self.run_dir))
        return {
            **facts,
            "control": self._asked() or (run.control and asdict(run.control)),
            "control_history": [(one.obeyed_at, one.asked()) for one in reversed(run.control_history[-5:])],
            "unreadable_picks": self.verdicts.unreadable,
            "way_on": how[0],
            "resume": how[1],
        }

    def _asked(self) -> dict[str, Any] | None:
        """What ``tune`` asked for, also if no process is there to obey it; None if it can't be read."""
        try:
            return asdict(read_control(self.run_dir))
        except UsageError:
            return None

    def shas(self, places: Sequence[tuple[str, int]]) -> dict[tuple[str, int], str]:
        """The SHA-256 of these images, by job key and output index. Images that do not exist are left out."""
        rows = (row for key in {key for key, _ in places} for row in viewing.job_rows(self.connection, key))
        return {
            (row.key, row.output_index): row.sha256
            for row in rows
            if row.sha256 is not None and row.output_index is not None
        }

    def image(self, key: str, output_index: int) -> JobRow | None:
        """The row of an image; None if there is none."""
        rows = viewing.job_rows(self.connection, key)
        return next((row for row in rows if row.output_index == output_index and row.sha256), None)

    def cover(self) -> str | None:
        """The end of the address of an image that represents the run; None if there is none."""
        row = viewing.some_image(self.connection)
        return None if row is None else f"{row.key}/{row.output_index}?{(row.sha256 or '')[:8]}"


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Size, time and inode of a file, to notice a change; None if there is no file."""
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_size, facts.st_mtime_ns, facts.st_ino
