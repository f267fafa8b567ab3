"""``batcher grid --where``: the expression of ``batcher export``, asked of jobs, whether they have pictures or not."""

import sqlite3
from collections.abc import Mapping
from typing import Any

from batcher.core.where import Where, WhereError, usage_error
from batcher.export.sheets.gather import survey

FACTS = ("prompt_id", "model", "source", "line", "job", "copy", "state")


class Filter:
    """For ``draw``. Raises UsageError for what is no such expression, and for a name that no job has."""

    def __init__(self, text: str, connection: sqlite3.Connection) -> None:
        try:
            self._where = Where(text)
            self._where.require({*FACTS, *survey(connection, None).names})
        except WhereError as error:
            raise usage_error(text, error) from None

    def __call__(self, facts: Mapping[str, Any]) -> bool:
        """facts: as ``gather.facts_of`` gives them."""
        try:
            return self._where({name: _value(name, facts) for name in self._where.names})
        except WhereError as error:
            raise usage_error(self._where.text, error) from None


def _value(name: str, facts: Mapping[str, Any]) -> Any:
    if name in facts["inputs"]:
        return facts["inputs"][name]
    if name.startswith("meta."):
        return facts["meta"].get(name[5:])
    return facts[name] if name in FACTS else None
