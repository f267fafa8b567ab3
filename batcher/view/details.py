"""All that is known of one job: what was asked, what it cost, what came of it, as the page's side panel shows it."""

from typing import Any

import msgspec

from batcher.core.errors import UsageError
from batcher.store.viewing import JobRow
from batcher.view.columns import inputs_of
from batcher.view.run_reader import RunReader

_decode = msgspec.json.Decoder().decode


def job(reader: RunReader, key: str) -> dict[str, Any]:
    """Raises UsageError when there is no such job."""
    rows, attempts = reader.job(key)
    if not rows:
        raise UsageError("there is no such job in this run any more")
    return {**of(rows), "attempts": [_attempt(one) for one in attempts]}


def of(rows: list[JobRow]) -> dict[str, Any]:
    """rows: of one job."""
    row = rows[0]
    return {
        "job": row.key,
        "state": row.state,
        "prompt_id": row.prompt_id,
        "model": row.model,
        "inputs": inputs_of(row),
        "copy": row.copy,
        "meta": _decode(row.meta) if row.meta else {},
        "chosen": _decode(row.chosen) if row.chosen else {},
        "source": f"{row.source}:{row.line}",
        "cost_usd": row.cost_usd,
        "pictures": [_picture(one) for one in rows if one.sha256],
    }


def _picture(row: JobRow) -> dict[str, Any]:
    names = ("output_index", "file", "width", "height", "bytes", "mime", "sha256", "warning")
    return {name: getattr(row, name) for name in names}


def _attempt(facts: dict[str, Any]) -> dict[str, Any]:
    left_out = {"job_id", "key", "urls"}
    return {name: value for name, value in facts.items() if name not in left_out and value is not None}
