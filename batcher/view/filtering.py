"""The page's filter: an expression in the ``--where`` language over every picture and every job without one."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from batcher.core.filter import Filter, verdict_of
from batcher.store.viewing import JobRow
from batcher.view.columns import OUTPUTS, inputs_of
from batcher.view.run_reader import RunReader

ROW = frozenset(
    {"prompt_id", "model", "copy", "source", "line", "state", "cause", "cost_usd", "width", "height", "bytes"}
    | {"mime", "file", "output_index", "warning"}
)
"""What can be asked for beside the job, verdicts, inputs, ``meta.NAME`` and ``chosen.NAME``."""
_decode = msgspec.json.Decoder().decode
Flags = Mapping[tuple[str, int], Collection[str]]


def matching(reader: RunReader, text: str, flags: Flags) -> tuple[list[int], list[str]]:
    """The numbers of the items that are meant, and warnings. Raises UsageError for what is no such expression."""
    where = Filter(text, {*ROW, "job"})
    matches = []
    for row in reader.rows():
        meta, chosen = (_decode(text) if text else {} for text in (row.meta, row.chosen))
        place = row.key, row.output_index or 0
        verdict = reader.verdicts.of(*place, row.sha256 or "")
        more = verdict_of(verdict.given if verdict else {}, flags.get(place, ()))
        if where(row, inputs_of(row), meta, chosen, more):
            matches.append(row.id * OUTPUTS + (row.output_index or 0))
    where.check()
    return matches, where.warnings()


def facts_of(row: JobRow) -> dict[str, Any]:
    """What a row says of itself."""
    return {name: getattr(row, name) for name in ROW} | {"job": row.key}
