"""The page's filter: evaluates a ``--where`` expression for every image and every job without one."""

from collections.abc import Collection, Mapping
from typing import Any

from batcher.core.filter import Filter, verdict_of
from batcher.store import viewing
from batcher.store.prompts import Prompts
from batcher.store.viewing import JobRow
from batcher.view.columns import OUTPUTS, carried
from batcher.view.run_reader import RunReader

ROW = frozenset(
    {"prompt_id", "model", "copy", "source", "line", "state", "cause", "cost_usd", "width", "height", "bytes"}
    | {"mime", "file", "output_index", "warning"}
)
"""Names that can be used beside ``job``, verdicts, inputs, ``meta.NAME`` and ``chosen.NAME``."""
Flags = Mapping[tuple[str, int], Collection[str]]


def matching(reader: RunReader, text: str, flags: Flags) -> tuple[list[int], list[str]]:
    """The numbers of the items that match, and warnings. text: the expression. Raises UsageError if it is wrong."""
    where = Filter(text, {*ROW, "job"})
    matches, prompts = [], Prompts(reader.run_dir)
    for row in viewing.rows(reader.connection):
        place = row.key, row.output_index or 0
        verdict = reader.verdicts.of(*place, row.sha256 or "")
        more = verdict_of(verdict.given if verdict else {}, flags.get(place, ()))
        inputs, meta, chosen = carried(row)
        if where(row, prompts.inputs(row.id, inputs), meta, chosen, more):
            matches.append(row.id * OUTPUTS + (row.output_index or 0))
    where.check()
    return matches, where.warnings()


def facts_of(row: JobRow) -> dict[str, Any]:
    """The values of ROW and ``job`` for a row, by name."""
    return {name: getattr(row, name) for name in ROW} | {"job": row.key}
