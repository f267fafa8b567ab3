"""The page's filter: an expression in the ``--where`` language over every picture and every job without one."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from batcher.core.where import FLAG, VERDICTS, Where, WhereError, look_up, usage_error
from batcher.store.picks import Picks
from batcher.store.viewing import JobRow
from batcher.view.columns import OUTPUTS, inputs_of
from batcher.view.run_reader import RunReader

ROW = frozenset(
    {"prompt_id", "model", "copy", "source", "line", "state", "cause", "cost_usd", "width", "height", "bytes"}
    | {"mime", "file", "output_index", "warning"}
)
NAMES = frozenset({*ROW, *VERDICTS, "job", FLAG})
"""What can be asked for beside inputs, ``meta.NAME`` and ``chosen.NAME``. flag: a list, as in ``"blank" in flag``."""
_decode = msgspec.json.Decoder().decode
Flags = Mapping[tuple[str, int], Collection[str]]


def matching(reader: RunReader, text: str, flags: Flags) -> tuple[list[int], list[str]]:
    """The numbers of the items that are meant, and warnings. Raises UsageError for what is no such expression."""
    try:
        where = Where(text)
        matches, names = [], set(NAMES)
        for row in reader.rows():
            inputs = inputs_of(row)
            meta, chosen = (_decode(text) if text else {} for text in (row.meta, row.chosen))
            names.update(inputs, chosen, (f"meta.{name}" for name in meta), (f"chosen.{name}" for name in chosen))
            facts = {**facts_of(where.names, row), **_seen(row, reader.verdicts, flags)}
            if where({name: look_up(name, inputs, meta, facts, chosen) for name in where.names}):
                matches.append(row.id * OUTPUTS + (row.output_index or 0))
        where.require(names)
        return matches, where.warnings()
    except WhereError as error:
        raise usage_error(text, error) from None


def facts_of(names: Collection[str], row: JobRow) -> dict[str, Any]:
    """What a row says of itself, of what is asked for."""
    facts = {name: getattr(row, name) for name in names if name in ROW}
    return facts | {"job": row.key}


def _seen(row: JobRow, verdicts: Picks, flags: Flags) -> dict[str, Any]:
    """What was said of a picture, and what is to be seen of it."""
    place = row.key, row.output_index or 0
    verdict = verdicts.of(*place, row.sha256 or "")
    return {FLAG: list(flags.get(place, ())), **(verdict.said if verdict is not None else {})}
