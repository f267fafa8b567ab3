"""Several runs as the page reads them: one wall over a copy of their state files, which is made anew when one of them
changed. Images stay where they are, and a verdict goes to the run that its image is of.
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

_COPY_EVERY = 2.0  # seconds, at most so often


class JoinedReader(RunReader):
    """As of one run. runs: two or more."""

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
        """Copies the runs when one of them changed, and when it is time to."""
        versions = [reader.version for reader in self._readers]
        if versions != self._versions or self._problem is not None:
            self._facts_behind = True
            if self._turn.has_come():
                self._copy(versions)
        if self._problem is not None:
            raise self._problem

    def _copy(self, versions: list[Any]) -> None:
        began = time.monotonic()
        self._disconnect()
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
        """Whether a run is at work in one of them."""
        return any(reader.is_going() for reader in self._readers)

    def numbers(self) -> dict[str, Any]:
        """Of all of them. runs: of each."""
        whole, runs = self._joined, [reader.numbers() for reader in self._readers]
        assert whole is not None
        commands = [run["resume"] for run in runs if run["resume"]]
        copied = super().numbers()
        # The copy is a little older than the runs, and needed only where a job counts once for two of them.
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
        self._picks.verdicts |= {(one.job, one.output_index): one for one in new}
        self._picks.unreadable = sum(reader.verdicts.unreadable for reader in self._readers)
        return new

    def lines(self) -> list[picks.Verdict]:
        return _by_time(verdict for reader in self._readers for verdict in reader.lines())

    def append(self, verdicts: Sequence[picks.Verdict]) -> list[picks.Verdict]:
        """Each to its own run, and one of a job that is gone to all of them; all of one time, so that undo takes them
        back as one.
        """
        at = utc(time.time()) or ""
        stamped = [replace(verdict, at=verdict.at or at) for verdict in verdicts]
        jobs = {verdict.job for verdict in stamped}
        rows = {job: viewing.job_rows(self.connection, job) for job in jobs}
        homes = {job: run_of(self.run_dir, found[0].id) for job, found in rows.items() if found}
        done: dict[tuple[str, int], picks.Verdict] = {}
        for reader in self._readers:
            mine = [one for one in stamped if homes.get(one.job, reader.run_dir) == reader.run_dir]
            done |= {(one.job, one.output_index): one for one in picks.append(reader.run_dir, mine)}
        return list(done.values())


def _by_time(verdicts: Iterable[picks.Verdict]) -> list[picks.Verdict]:
    return sorted(verdicts, key=lambda verdict: (verdict.at, verdict.by))
