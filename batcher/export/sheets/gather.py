"""From a state file to sheets: every job of the manifest as tiles in the cell where it belongs.

The file is walked twice, first for what its jobs have and then, once the axes are known, for the jobs themselves, which
are sorted by sheet on disk. What is held in memory is one sheet: a few hundred bytes a picture.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from batcher.core.job import Artifact, Entry, Job, State, canonical_json
from batcher.core.naming import short
from batcher.export.sheets.axes import REPEAT, Plan, Repeats, Seen, in_order, label_of, prompt_key, same
from batcher.export.viewed import JobFilter
from batcher.store import auditing, reading
from batcher.store.grouping import Grouped

_WORDS = {
    State.PENDING: "not yet run",
    State.SUBMITTING: "being submitted",
    State.RUNNING: "at the service",
    State.READY: "to be downloaded",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
    State.IN_DOUBT: "in doubt",
}


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture, or the mark of one that is missing: file is None then, and ``word`` and ``why`` say so.

    width, height: in pixels, or a shape where there is no picture.
    """

    file: str | None
    width: int
    height: int
    word: str = ""
    why: str = ""


@dataclass(slots=True)
class Sheet:
    """rows, cols: labels, in order; ``cells`` by their numbers. One row alone has no label. axes: their names."""

    title: str
    name: str
    facts: dict[str, Any]
    rows: list[str] = field(default_factory=list)
    cols: list[str] = field(default_factory=list)
    cells: dict[tuple[int, int], list[Tile]] = field(default_factory=dict)
    jobs: int = 0
    axes: tuple[str | None, str] = (None, "prompt")


def jobs_of(connection: sqlite3.Connection, where: JobFilter) -> Iterator[Entry]:
    """All jobs of the manifest that a run has begun with, in the order first seen."""
    for entry in reading.entries(connection, list(State), listed_only=True):
        if where.means(entry):
            yield entry


def survey(connection: sqlite3.Connection, where: JobFilter) -> Seen:
    seen = Seen()
    for entry in jobs_of(connection, where):
        seen.see(entry.job)
    where.check()
    return seen


def gather(connection: sqlite3.Connection, plan: Plan, seen: Seen, where: JobFilter) -> Grouped:
    """Every job, by the sheet that it goes on. Prompts with one job each go on one sheet, where there are several."""
    grouped, repeats = Grouped(), Repeats()
    alone = plan.per == ("prompt",) and sum(count == 1 for count in seen.of_prompt.values()) > 1
    names = [plan.rows, plan.cols, *plan.per]
    try:
        for entry, files in _with_files(connection, where):
            row, col, *per = repeats.value_of(entry.job, names)
            if alone and seen.of_prompt[prompt_key(entry.job)] == 1:
                record = _record(entry, files, None, entry.job.inputs.get("prompt"), Plan(None, "prompt", ()), [])
                grouped.add("alone", json.dumps({**record, "name": "one-each", "alone": True}))
            else:
                grouped.add(canonical_json(per), json.dumps(_record(entry, files, row, col, plan, per)))
    except BaseException:
        grouped.close()
        raise
    return grouped


def sheet_of(texts: Sequence[str], plan: Plan) -> Sheet:
    """The jobs that ``gather`` kept under one key."""
    records = [json.loads(text) for text in texts]
    first = records[0]
    if first.get("alone"):
        plan = Plan(None, "prompt", ())
    rows = in_order(record["row"] for record in records)
    cols = in_order(record["col"] for record in records)
    row_at = {same(value): number for number, value in enumerate(rows)}
    col_at = {same(value): number for number, value in enumerate(cols)}
    sheet = Sheet(first["title"], first["name"], first["facts"], jobs=len(records), axes=(plan.rows, plan.cols))
    sheet.rows = [label_of(value) for value in rows] if plan.rows else []
    sheet.cols = [label_of(value) for value in cols]
    for record in records:
        place = row_at[same(record["row"])], col_at[same(record["col"])]
        sheet.cells.setdefault(place, []).extend(Tile(*tile) for tile in record["tiles"])
    return sheet


def _with_files(connection: sqlite3.Connection, where: JobFilter) -> Iterator[tuple[Entry, tuple[Artifact, ...]]]:
    """Both walks go by row number, so the one with the files is only moved on to each job that is done."""
    done = auditing.finished(connection)
    at = next(done, None)
    for entry in jobs_of(connection, where):
        while at is not None and at[0].id < entry.id:
            at = next(done, None)
        if entry.state is not State.DONE:
            yield entry, ()
        elif at is not None and at[0].id == entry.id:
            yield entry, at[1]
        else:  # it was done between the two looks
            yield entry, next((files for _, files in auditing.finished(connection, [entry.id])), ())


def _record(
    entry: Entry, files: tuple[Artifact, ...], row: Any, col: Any, plan: Plan, per: list[Any]
) -> dict[str, Any]:
    job = entry.job
    by_prompt = plan.per == ("prompt",)
    title = [
        label_of(value) if by_prompt else f"{name}: {label_of(value)}"
        for name, value in zip(plan.per, per, strict=True)
    ]
    return {
        "row": row,
        "col": col,
        "tiles": [[tile.file, tile.width, tile.height, tile.word, tile.why] for tile in _tiles(entry, files)],
        "title": "  ·  ".join(title),
        "name": _name(job) if by_prompt else "",
        "facts": {
            "prompt_id": job.prompt_id if by_prompt else None,
            "model": job.model,
            "per": dict(zip(plan.per, per, strict=True)),
        },
    }


def _name(job: Job) -> str:
    """Of the sheet of a prompt: its id, and what was chosen, which several prompts of one id differ in."""
    return "_".join([job.prompt_id, *(short(value) for name, value in (job.chosen or {}).items() if name != REPEAT)])


def _tiles(entry: Entry, files: tuple[Artifact, ...]) -> Iterator[Tile]:
    for file in files:
        if file.width and file.height:
            yield Tile(file.file, file.width, file.height)
        else:
            yield Tile(None, *_shape(entry.job), "no picture", file.mime)
    if entry.state is not State.DONE:
        yield Tile(None, *_shape(entry.job), _WORDS[entry.state], _why(entry))
    elif not files:
        yield Tile(None, *_shape(entry.job), "no file", "done, with no file on record")


def _why(entry: Entry) -> str:
    if entry.cause is None:
        return ""
    kind = entry.cause.kind.replace("_", " ")
    cause = entry.cause.message if kind in {"failed", "cancelled"} else f"{kind}: {entry.cause.message}"
    return cause[:300]


def _shape(job: Job) -> tuple[int, int]:
    """As asked for, a square when that can't be options. Large, as it is only ever made smaller."""
    try:
        across, down = (float(side) for side in str(job.inputs.get("aspect_ratio")).split(":"))
        factor = 10_000 / max(across, down)
        return max(1, round(across * factor)), max(1, round(down * factor))
    except (ValueError, ArithmeticError):
        return 10_000, 10_000
