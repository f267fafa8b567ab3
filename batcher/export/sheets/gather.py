"""Sorts the jobs of a run into sheets, and each job's images into a cell.

The state file is read twice: first for the values that its jobs have and then, once the axes are chosen, for the place
of each job. Memory: those places, a few hundred bytes a job, and one sheet.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from batcher.core.job import Artifact, Entry, Job, State, canonical_json
from batcher.core.naming import short
from batcher.export.matching import JobFilter
from batcher.export.sheets.axes import REPEAT, Plan, Seen, in_order, label_of, prompt_key, values_of
from batcher.images.flags import asked_ratio
from batcher.store import auditing, reading

_WORDS = {
    State.PENDING: "not yet run", State.SUBMITTING: "being submitted", State.RUNNING: "at the service",
    State.READY: "to be downloaded", State.FAILED: "failed", State.CANCELLED: "cancelled",
    State.IN_DOUBT: "in doubt",
}  # fmt: skip
_LARGE = 10_000  # pixels: longest side of the mark of a missing image, which is only ever made smaller


class Tile(NamedTuple):
    """An image, or the mark of a missing one: ``file`` is None then, and ``word`` and ``why`` say what happened.

    width, height: in pixels; of a mark, the shape that was asked for.
    """

    file: str | None
    width: int
    height: int
    word: str = ""
    why: str = ""


@dataclass(slots=True)
class Sheet:
    """rows, cols: labels, in order; without an axis for rows there is one row, without a label.

    title: above the table. name: of its files. facts: for the report. cells: tiles by row and column, from 0. jobs:
    their number. axes: names for rows and columns.
    """

    title: str
    name: str
    facts: dict[str, Any]
    rows: list[str] = field(default_factory=list)
    cols: list[str] = field(default_factory=list)
    cells: dict[tuple[int, int], list[Tile]] = field(default_factory=dict)
    jobs: int = 0
    axes: tuple[str | None, str] = (None, "prompt")

    @property
    def tiles(self) -> int:
        return sum(map(len, self.cells.values()))

    @property
    def images(self) -> int:
        return self.tiles - self.gaps.total()

    @property
    def gaps(self) -> Counter[str]:
        """The number of missing images by the word of their mark."""
        return Counter(tile.word for cell in self.cells.values() for tile in cell if not tile.file)


@dataclass(slots=True)
class Group:
    """The jobs of a sheet.

    per: its values of ``plan.per``. name: of the files of its sheet, "" to make it from ``per``. jobs: values on the
    two axes, by the id of the job.
    """

    plan: Plan
    per: list[Any]
    name: str = ""
    jobs: dict[int, tuple[Any, Any]] = field(default_factory=dict)


def jobs_of(connection: sqlite3.Connection, where: JobFilter) -> Iterator[Entry]:
    """The selected jobs of the manifest that have started, in the order of the state file, with inputs as shown."""
    return map(where.prompts.entry, filter(where.matches, reading.entries(connection, list(State), listed_only=True)))


def survey(connection: sqlite3.Connection, where: JobFilter) -> Seen:
    """The values that the selected jobs have. Raises UsageError for an unknown name in ``where``."""
    seen = Seen()
    for entry in jobs_of(connection, where):
        seen.see(entry.job)
    where.check()
    return seen


def gather(connection: sqlite3.Connection, plan: Plan, seen: Seen, where: JobFilter) -> list[Group]:
    """The selected jobs by sheet. Several prompts that have one job each share a sheet."""
    groups: dict[str, Group] = {}
    counts: Counter[str] = Counter()
    several_alone = plan.per == ("prompt",) and sum(count == 1 for count in seen.of_prompt.values()) > 1
    for entry in jobs_of(connection, where):
        row, col, *per = values_of(entry.job, [plan.rows, plan.cols, *plan.per], counts)
        if several_alone and seen.of_prompt[prompt_key(entry.job)] == 1:
            group = groups.setdefault("alone", Group(Plan(None, "prompt", ()), [], name="one-each"))
            row, col = None, entry.job.inputs.get("prompt")
        else:
            group = groups.setdefault(canonical_json(per), Group(plan, per))
        group.jobs[entry.id] = row, col
    return list(groups.values())


def sheet_of(connection: sqlite3.Connection, group: Group) -> Sheet:
    """The sheet of a group, with its jobs as they are now."""
    plan, first = group.plan, reading.by_id(connection, next(iter(group.jobs))).job
    by_prompt = plan.per == ("prompt",)
    values = dict(zip(plan.per, group.per, strict=True))
    title = [label_of(value) if by_prompt else f"{name}: {label_of(value)}" for name, value in values.items()]
    facts = {"prompt_id": first.prompt_id if by_prompt else None, "model": first.model, "per": values}
    rows, cols = (in_order(place[side] for place in group.jobs.values()) for side in (0, 1))
    row_at, col_at = ({canonical_json(value): at for at, value in enumerate(each)} for each in (rows, cols))
    sheet = Sheet(
        "  ·  ".join(title), group.name or (_name(first) if by_prompt else ""), facts, jobs=len(group.jobs),
        rows=[label_of(value) for value in rows] if plan.rows else [], cols=[label_of(value) for value in cols],
        axes=(plan.rows, plan.cols),
    )  # fmt: skip
    done = {entry.id: (entry, files) for entry, files in auditing.finished(connection, group.jobs)}
    for id_, (row, col) in group.jobs.items():
        tiles = _tiles(*(done.get(id_) or (reading.by_id(connection, id_), ())))
        sheet.cells.setdefault((row_at[canonical_json(row)], col_at[canonical_json(col)]), []).extend(tiles)
    return sheet


def _name(job: Job) -> str:
    """For the sheet of a prompt: its id and its chosen values, in which prompts with one id differ."""
    return "_".join([job.prompt_id, *(short(value) for name, value in (job.chosen or {}).items() if name != REPEAT)])


def _tiles(entry: Entry, files: tuple[Artifact, ...]) -> Iterator[Tile]:
    for file in files:
        if file.width and file.height:
            yield Tile(file.file, file.width, file.height)
        else:
            yield _gap(entry.job, "no picture", file.mime)
    if entry.state is not State.DONE:
        yield _gap(entry.job, _WORDS[entry.state], _why(entry))
    elif not files:
        yield _gap(entry.job, "no file", "done, with no file on record")


def _gap(job: Job, word: str, why: str) -> Tile:
    ratio = asked_ratio(job.inputs) or 1.0
    return Tile(None, max(1, round(_LARGE * min(1, ratio))), max(1, round(_LARGE / max(1, ratio))), word, why)


def _why(entry: Entry) -> str:
    if entry.cause is None:
        return ""
    kind = entry.cause.kind.replace("_", " ")
    cause = entry.cause.message if kind in {"failed", "cancelled"} else f"{kind}: {entry.cause.message}"
    return cause[:300]
