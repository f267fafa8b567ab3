"""The page's filter: an expression in the ``--where`` language over every picture and every job without one."""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from batcher.core.where import Where, WhereError, usage_error
from batcher.store.picks import Picks
from batcher.store.viewing import JobRow
from batcher.view.columns import OUTPUTS, inputs_of
from batcher.view.run_reader import RunReader

_ROW = frozenset(
    {"prompt_id", "model", "copy", "source", "line", "state", "cause", "cost_usd", "width", "height", "bytes"}
    | {"mime", "file", "output_index", "warning"}
)
NAMES = frozenset({*_ROW, "job", "pick", "stars", "tags", "flag"})
"""What can be asked for beside inputs, ``meta.NAME`` and ``chosen.NAME``. flag: a list, as in ``"blank" in flag``."""
_decode = msgspec.json.Decoder().decode
Flags = Mapping[tuple[str, int], Collection[str]]


def matching(reader: RunReader, text: str, flags: Flags) -> list[int]:
    """The numbers of the items that are meant. Raises UsageError for what is no such expression."""
    try:
        where = Where(text)
        found, names = [], set(NAMES)
        for row in reader.rows():
            inputs, carried = inputs_of(row), _carried(row)
            names.update(inputs, carried)
            if where(_values(where.names, row, inputs | carried, reader.verdicts, flags)):
                found.append(row.id * OUTPUTS + (row.output_index or 0))
        where.require(names)
        return found
    except WhereError as error:
        raise usage_error(text, error) from None


def _carried(row: JobRow) -> dict[str, Any]:
    carried = {}
    for place, text in (("meta", row.meta), ("chosen", row.chosen)):
        if text:
            carried.update({f"{place}.{name}": value for name, value in _decode(text).items()})
    return carried


def _values(
    names: Collection[str], row: JobRow, given: Mapping[str, Any], verdicts: Picks, flags: Flags
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    verdict = verdicts.verdicts.get((row.key, row.output_index or 0))
    for name in names:
        if name in {"pick", "stars", "tags"}:
            value = getattr(verdict, name) if verdict is not None else None
            values[name] = list(value or ()) if name == "tags" else value
        elif name == "flag":
            values[name] = sorted(flags.get((row.key, row.output_index or 0), ()))
        elif name.removeprefix("inputs.") in given:
            values[name] = given[name.removeprefix("inputs.")]
        elif name == "job":
            values[name] = row.key
        elif name in _ROW:
            values[name] = getattr(row, name)
    return values
