"""From a state file to sheets: every job of the manifest as tiles in the cell where it belongs.

The file is walked twice, first for what its jobs have and then, once the axes are known, for where each job stands.
What is held in memory is that, and one sheet: a few hundred bytes an image.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from batcher.core.job import Artifact, Entry, Job, State, canonical_json
from batcher.core.naming import short
from batcher.export.sheets.axes import REPEAT, Plan, Repeats, Seen, in_order, label_of, prompt_key
from batcher.export.viewed import JobFilter
from batcher.store import auditing, reading

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


@dataclass(slots=True)
class Group:
    """The jobs of a sheet. per: its values of ``plan.per``. jobs: values along the side and the top, by row number."""

    plan: Plan
    per: list[Any]
    name: str = ""
    jobs: dict[int, tuple[Any, Any]] = field(default_factory=dict)


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


def gather(connection: sqlite3.Connection, plan: Plan, seen: Seen, where: JobFilter) -> list[Group]:
    """Every job, by the sheet that it goes on. Prompts with one job each go on one sheet, where there are several."""
    groups: dict[str, Group] = {}
    repeats = Repeats()
    several_alone = plan.per == ("prompt",) and sum(count == 1 for count in seen.of_prompt.values()) > 1
    for entry in jobs_of(connection, where):
        row, col, *per = repeats.value_of(entry.job, [plan.rows, plan.cols, *plan.per])
        if several_alone and seen.of_prompt[prompt_key(entry.job)] == 1:
            group = groups.setdefault("alone", Group(Plan(None, "prompt", ()), [], name="one-each"))
            row, col = None, entry.job.inputs.get("prompt")
        else:
            group = groups.setdefault(canonical_json(per), Group(plan, per))
        group.jobs[entry.id] = row, col
    return list(groups.values())


def sheet_of(connection: sqlite3.Connection, group: Group) -> Sheet:
    """The jobs of a group as they are now."""
    plan, places = group.plan, group.jobs.values()
    rows, cols = in_order(row for row, _ in places), in_order(col for _, col in places)
    row_at = {canonical_json(value): number for number, value in enumerate(rows)}
    col_at = {canonical_json(value): number for number, value in enumerate(cols)}
    done = {entry.id: (entry, files) for entry, files in auditing.finished(connection, group.jobs)}
    sheet = _sheet(plan, group, reading.by_id(connection, next(iter(group.jobs))).job)
    sheet.rows = [label_of(value) for value in rows] if plan.rows else []
    sheet.cols = [label_of(value) for value in cols]
    for number, (row, col) in group.jobs.items():
        tiles = _tiles(*(done.get(number) or (reading.by_id(connection, number), ())))
        sheet.cells.setdefault((row_at[canonical_json(row)], col_at[canonical_json(col)]), []).extend(tiles)
    return sheet


def _sheet(plan: Plan, group: Group, first: Job) -> Sheet:
    by_prompt = plan.per == ("prompt",)
    values = dict(zip(plan.per, group.per, strict=True))
    title = [label_of(value) if by_prompt else f"{name}: {label_of(value)}" for name, value in values.items()]
    facts = {"prompt_id": first.prompt_id if by_prompt else None, "model": first.model, "per": values}
    name = group.name or (_name(first) if by_prompt else "")
    return Sheet("  ·  ".join(title), name, facts, jobs=len(group.jobs), axes=(plan.rows, plan.cols))


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
