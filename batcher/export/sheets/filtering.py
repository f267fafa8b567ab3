"""``batcher grid --where``: the expression of ``batcher export``, asked of jobs, whether they have pictures or not."""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from batcher.core.where import FLAG, VERDICTS, Where, WhereError, look_up, usage_error
from batcher.export.sheets.gather import survey
from batcher.images.flagging import asked_for, of_jobs
from batcher.store.picks import NO, YES, Picks, Verdict

FACTS = ("prompt_id", "model", "source", "line", "job", "copy", "state")


class Filter:
    """For ``draw``. Raises UsageError for what is no such expression, and for a name that no job has."""

    def __init__(self, text: str, connection: sqlite3.Connection, run_dir: Path, picks: Picks | None = None) -> None:
        self._said: dict[str, dict[str, Any]] = {}
        for verdict in picks.verdicts.values() if picks else ():
            self._said[verdict.job] = _of_job(self._said.get(verdict.job), verdict)
        try:
            self._where = Where(text)
            self._flags = of_jobs(asked_for(self._where.names, run_dir, connection))
            self._where.require({*FACTS, *VERDICTS, *survey(connection, None).names})
        except WhereError as error:
            raise usage_error(text, error) from None

    def warnings(self) -> list[str]:
        """What was compared with a value of another type so far."""
        return self._where.warnings()

    def __call__(self, facts: Mapping[str, Any]) -> bool:
        """facts: as ``gather.facts_of`` gives them."""
        try:
            values = {name: facts[name] for name in FACTS} | self._said.get(facts["job"], {})
            values[FLAG] = self._flags.get(facts["job"], [])
            inputs, meta, chosen = facts["inputs"], facts["meta"], facts["chosen"]
            return self._where({name: look_up(name, inputs, meta, values, chosen) for name in self._where.names})
        except WhereError as error:
            raise usage_error(self._where.text, error) from None


def _of_job(before: dict[str, Any] | None, verdict: Verdict) -> dict[str, Any]:
    """Of a job with several pictures: picked when one is, rejected when all are that anybody spoke of; most stars."""
    values = verdict.said
    if before is None:
        return values
    picks = {before.get("pick"), values.get("pick")}
    stars = [one["stars"] for one in (before, values) if "stars" in one]
    return {
        "pick": YES if YES in picks else NO if picks == {NO} else None,
        "stars": max(stars, default=None),
        "tags": list(dict.fromkeys([*(before.get("tags") or ()), *(values.get("tags") or ())])) or None,
    }
