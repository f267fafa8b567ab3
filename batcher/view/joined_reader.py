"""Reads several runs as one for the page, from a joined copy of their state files, renewed when one of them changes.

Images stay where they are. A verdict is written to the run that has its image.
"""

import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from batcher.core.errors import BatcherError
from batcher.core.job import utc
from batcher.runner import standing
from batcher.store import connect_to_read, picks, viewing
from batcher.store.joined import Joined, Whole, run_of
from batcher.store.machine import machine_problem
from batcher.store.opening import STATE, identity
from batcher.view.run_reader import RunReader, Turn

_COPY_EVERY = 2.0  # least seconds between two copies


class JoinedReader(RunReader):
    """A RunReader of several runs as one. runs: two or more run directories."""

    def __init__(self, runs: Sequence[Path]) -> None:
        self._whole = Whole(runs)
        super().__init__(self._whole.path)
        self._readers = [RunReader(run) for run in runs]
        self._joined: Joined | None = None
        self._versions: list[Any] = []  # of the runs, as they were copied
        self._turn = Turn(_COPY_EVERY)
        self._problem: BatcherError | None = None

    def close(self) -> None:
        super().close()
        for reader in self._readers:
            reader.close()
        self._whole.close()

    @property
    def twice(self) -> int:
        return self._joined.twice if self._joined is not None else 0

    @property
    def connection(self) -> sqlite3.Connection:
        if self._joined is None:
            self._follow()
        return super().connection

    def load(self) -> dict[str, Any]:
        self._follow()
        return super().load()

    def changes(self) -> dict[str, Any] | None:
        self._follow()
        return super().changes()

    def _follow(self) -> None:
        """Copy the runs if one of them changed and enough time has passed. Raises BatcherError if one can't be read."""
        versions = [reader.version for reader in self._readers]
        if versions != self._versions or self._problem is not None:
            self._facts_behind = True
            if self._turn.has_come():
                self._copy(versions)
        if self._problem is not None:
            raise self._problem

    def _copy(self, versions: list[Any]) -> None:
        began = time.monotonic()
        super().close()
        try:
            self._joined, self._problem = self._whole.copy(), None
        except BatcherError as error:
            self._problem = error
        except (sqlite3.Error, OSError) as error:
            self._problem = machine_problem(error)
            if self._problem is None:
                raise
        else:
            self._connection, self._identity = connect_to_read(self.run_dir), identity(self.run_dir / STATE)
            self._versions, self._behind = versions, True
        finally:
            self._turn.took(time.monotonic() - began)

    def is_going(self) -> bool:
        """Whether a process is working on one of the runs."""
        return any(reader.is_going() for reader in self._readers)

    def numbers(self) -> dict[str, Any]:
        """The numbers of all runs together, with those of each run in ``runs``."""
        whole, runs = self._joined, [reader.numbers() for reader in self._readers]
        assert whole is not None
        commands = [run["resume"] for run in runs if run["resume"]]
        copied = super().numbers()
        # The copy is a little old: use its sums only if some jobs are in two runs and must count once.
        now = {} if whole.twice else {
            name: sum(run[name] for run in runs) for name, value in copied.items() if type(value) is int
        }  # fmt: skip
        return {
            **copied, **now, **standing.sums(runs), "run": whole.name, "control": None, "runs": runs,
            "notes": standing.notes(whole), "resume": "; ".join(commands),
            "way_on": "Go on, one run after the other:" if len(commands) > 1 else "Go on with:",
        }  # fmt: skip

    def forget_verdicts(self) -> None:
        super().forget_verdicts()
        for reader in self._readers:
            reader.forget_verdicts()

    def new_verdicts(self) -> list[picks.Verdict]:
        new = _by_time(verdict for reader in self._readers for verdict in reader.new_verdicts())
        self.verdicts.verdicts |= {(one.job, one.output_index): one for one in new}
        self.verdicts.unreadable = sum(reader.verdicts.unreadable for reader in self._readers)
        return new

    def lines(self) -> list[picks.Verdict]:
        return _by_time(verdict for reader in self._readers for verdict in reader.lines())

    def append(self, verdicts: Sequence[picks.Verdict]) -> list[picks.Verdict]:
        """Write each verdict to the run of its job; to all runs if the job is in none any more.

        They all get the same time, so that one undo takes them all back.
        """
        at = utc(time.time()) or ""
        stamped = [replace(verdict, at=verdict.at or at) for verdict in verdicts]
        jobs = {verdict.job for verdict in stamped}
        rows = {job: viewing.job_rows(self.connection, job) for job in jobs}
        homes = {job: run_of(self.run_dir, some[0].id) for job, some in rows.items() if some}
        done: dict[tuple[str, int], picks.Verdict] = {}
        for reader in self._readers:
            mine = [one for one in stamped if homes.get(one.job, reader.run_dir) == reader.run_dir]
            done |= {(one.job, one.output_index): one for one in picks.append(reader.run_dir, mine)}
        return list(done.values())


def _by_time(verdicts: Iterable[picks.Verdict]) -> list[picks.Verdict]:
    return sorted(verdicts, key=lambda verdict: (verdict.at, verdict.by))
