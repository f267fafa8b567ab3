"""The facts of one job for the page's side panel: its inputs, cost, attempts and files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from batcher.core.errors import UsageError
from batcher.core.units import show_bytes, show_duration, show_usd
from batcher.store import viewing
from batcher.store.files.safe_reader import sidecar_of
from batcher.store.joined import whose
from batcher.store.prompts import Prompts
from batcher.store.viewing import JobRow
from batcher.view.columns import carried, took, why
from batcher.view.run_reader import RunReader

Facts = dict[str, Any]


def job(reader: RunReader, key: str) -> Facts:
    """The facts of a job, as of ``of``. Raises UsageError if there is no such job."""
    rows = viewing.job_rows(reader.connection, key)
    if not rows:
        raise UsageError("this job is no longer in the run")
    return of(rows, Prompts(reader.run_dir), viewing.attempts(reader.connection, key), reader.run_dir)


def of(rows: list[JobRow], prompts: Prompts, attempts: Sequence[Facts] = (), run_dir: Path | None = None) -> Facts:
    """The facts of a job, as JSON data. ``sections`` and ``files`` have texts for the side panel, ``values`` has the
    values of names of ``--where``.

    rows: the rows of the job, one for each image. prompts: of the run. attempts: its attempts, the first one first.
    run_dir: the folder that the rows were read from, to find the run of a file; None to leave file names as they are.
    """
    row = rows[0]
    inputs, meta, chosen = carried(row)
    return {
        "job": row.key,
        "state": row.state,
        "model": row.model,
        "inputs": inputs,
        "meta": meta,
        "chosen": chosen,
        "cost_usd": row.cost_usd,
        "attempts": [_attempt(one) for one in attempts],
        "values": {
            **prompts.inputs(row.id, inputs),
            **{f"meta.{name}": value for name, value in meta.items()},
            **{f"chosen.{name}": value for name, value in chosen.items()},
            "model": row.model,
            "state": row.state,
            "seconds": took(row),
            "cost_usd": row.cost_usd,
        },
        "sections": [
            ["Inputs", prompts.others(row.id, inputs)],
            *([["Meta", meta]] if meta else []),
            *([["Chosen", chosen]] if chosen else []),
            ["Job", _job(row, attempts)],
        ],
        "files": {str(one.output_index): _file(one, run_dir) for one in rows if one.sha256},
    }


def _job(row: JobRow, attempts: Sequence[Facts]) -> Facts:
    outcomes = [str(one.get("outcome")) for one in attempts]
    last = attempts[-1] if attempts else {}
    return {
        "state": row.state.replace("_", " "),
        "cause": row.cause and why(row),
        "cost": None if row.cost_usd is None else show_usd(row.cost_usd),
        "took": None if (seconds := took(row)) is None else show_duration(seconds),
        "finished": row.finished_at,
        "request": last.get("request_id"),
        "attempts": ", ".join(outcomes) if len(outcomes) > 1 else None,
        "model": row.model,
        "id": row.prompt_id,
        "source": f"{row.source}:{row.line}",
        "job": row.key,
    }


def _file(row: JobRow, run_dir: Path | None) -> Facts:
    file = row.file or ""
    if run_dir is not None:
        run, file = whose(run_dir, file)
        file = file if run == run_dir else str(run / file)
    return {
        "file": file,
        "sidecar": sidecar_of(file),
        "size": f"{row.width} × {row.height}, {show_bytes(row.bytes or 0)}",  # noqa: RUF001  as people write it
        "warning": row.warning,
        "sha256": row.sha256,
    }


def _attempt(facts: Facts) -> Facts:
    left_out = {"job_id", "key", "urls"}
    return {name: value for name, value in facts.items() if name not in left_out and value is not None}
