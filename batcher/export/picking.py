"""``batcher pick``: verdicts from the command line, on the images that an expression or a file selects."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from batcher.core.errors import UsageError
from batcher.core.filter import IMAGE_FACTS, Filter
from batcher.export import scores
from batcher.export.matching import Sample, matching_images
from batcher.export.scores import COLUMNS, Scores, number_of
from batcher.runner import records
from batcher.store import connect_to_read, exporting, picks
from batcher.store.picks import NO, YES, Picks, Verdict

CLEAR = "clear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picking:
    """Which verdicts to give on which images.

    where: an expression that selects images; None for all images of the run, or of ``scores`` if that is given.
    word: ``yes``, ``no`` or ``clear``; None to leave the pick as it is.
    stars: 0 to 5; None to leave them as they are.
    tags: tags to add.
    scores: a file of verdicts or scores.
    best: pick this number of images from each group, those with the highest value of ``by``.
    by: a column of ``scores`` or a name of ``--where``.
    rest: the pick of the other images of these groups, ``no`` or ``clear``; None to leave it as it is.
    by_whom: who gives the verdicts; "" for the user of this machine.
    """

    where: str | None = None
    word: str | None = None
    stars: int | None = None
    tags: tuple[str, ...] = ()
    scores: Path | None = None
    best: int | None = None
    by: str | None = None
    rest: str | None = None
    by_whom: str = ""

    @property
    def has_verdict(self) -> bool:
        """Whether a verdict is given for all images alike."""
        return self.word is not None or self.stars is not None or bool(self.tags)


def pick(run_dir: Path, picking: Picking) -> dict[str, Any]:
    """Write the verdicts that change something; gives a report as JSON data. Raises UsageError, DiskError."""
    _check(picking)
    with closing(connect_to_read(run_dir)) as connection, exporting.snapshot(connection):
        facts = _pick(run_dir, connection, picking)
    return {**facts, "records": bool(facts["written"]) and records.refresh(run_dir)}


def _pick(run_dir: Path, connection: sqlite3.Connection, picking: Picking) -> dict[str, Any]:
    there = picks.read(run_dir)
    where = Filter(picking.where, IMAGE_FACTS)
    selected = everything = list(matching_images(run_dir, connection, where))
    if picking.scores and picking.where is not None:  # a row of the file may name an image that --where does not match
        everything = list(matching_images(run_dir, connection, Filter(None, IMAGE_FACTS)))
    file = scores.read(picking.scores, everything) if picking.scores else None
    if file is not None:
        selected = [one for one in selected if one.place in file.rows]
    new = [verdict for verdict in _verdicts(picking, selected, file) if _is_new(verdict, there)]
    picks.append(run_dir, [replace(verdict, by=picking.by_whom) for verdict in new])
    return {
        "run": str(run_dir),
        "pictures": len(selected),
        "yes": sum(verdict.pick == YES for verdict in new),
        "no": sum(verdict.pick == NO for verdict in new),
        "cleared": sum(verdict.is_empty for verdict in new),
        "written": len(new),
        "unchanged": len(selected) - len(new) if picking.best is None else 0,
        "unmatched": file.unmatched if file else 0,
        "unmatched_examples": file.examples if file else [],
        "groups": len({one.group for one in selected}) if picking.best is not None else None,
        "warnings": where.warnings(),
        "exit_code": 3 if file and file.unmatched else 0,
    }


def _check(picking: Picking) -> None:
    if picking.where is None and picking.scores is None and picking.best is None:
        raise UsageError(
            "no images are named", hint="Add --where EXPR (such as 'pick is null'), --from FILE or --best N."
        )
    if picking.stars is not None and not 0 <= picking.stars <= 5:
        raise UsageError(f"--stars {picking.stars}: a number from 0 to 5")
    if picking.best is not None and picking.best < 1:
        raise UsageError(f"--best {picking.best}: a number from 1")
    if picking.rest not in {None, NO, CLEAR}:
        raise UsageError(f"--rest {picking.rest}: no or clear")
    if picking.best is not None:
        if picking.word in {NO, CLEAR}:
            raise UsageError(
                f"--best picks, and {picking.word} was given", hint="Leave it out; --rest no rejects others."
            )
    elif picking.rest is not None or picking.by is not None:
        raise UsageError("--rest and --by go with --best N", hint="Add --best 1.")
    elif picking.scores is None and not picking.has_verdict:
        raise UsageError("no verdict is given for them", hint="Add yes, no, clear, --stars N or --tag TEXT.")


def _verdicts(picking: Picking, selected: Sequence[Sample], file: Scores | None) -> Iterable[Verdict]:
    if picking.best is not None:
        yield from _best(picking, selected, file)
        return
    if file is not None and not picking.has_verdict and not set(COLUMNS) & set(file.columns):
        columns = ", ".join(file.columns) or "nothing"
        raise UsageError(
            f"{picking.scores} has no column pick, stars, tags or note (it has {columns})",
            hint="With a column of scores, add --best 1 --by COLUMN; or give yes, no or --stars N for all of them.",
        )
    for one in selected:
        verdict = _before(one)
        if file is not None:
            row = file.rows[one.place]
            verdict = replace(verdict, **{name: row[name] for name in COLUMNS if name in row})
        yield _with(verdict, picking)


def _best(picking: Picking, selected: Sequence[Sample], file: Scores | None) -> Iterable[Verdict]:
    """Verdicts on the best images of each group, and with ``--rest`` on the others. Raises UsageError."""
    by = picking.by or _only_numbers(file)
    groups: dict[str, list[tuple[float, Sample]]] = defaultdict(list)
    for one in selected:
        value = file.rows.get(one.place, {}).get(by) if file is not None and by in file.columns else one.value(by)
        if (number := number_of(value)) is not None:
            groups[one.group].append((number, one))
    if not groups:
        names = sorted({*(file.columns if file else ()), *(name for one in selected for name in one.names), "stars"})
        what = "no image has a number there" if by in names else "there is no such column"
        raise UsageError(f"--by {by}: {what}", hint=f"There are {', '.join(names[:20])}.")
    for group in groups.values():
        ranked = sorted(group, key=lambda pair: -pair[0])
        for rank, (_, one) in enumerate(ranked):
            if rank < (picking.best or 0):
                yield _with(replace(_before(one), pick=YES), picking)
            elif picking.rest is not None:
                yield replace(_before(one), pick=None if picking.rest == CLEAR else picking.rest)


def _only_numbers(file: Scores | None) -> str:
    """The column to rank by: ``score``, else the only column of numbers. Raises UsageError if there is neither."""
    columns, rows = (file.columns, file.rows.values()) if file else ((), ())
    numbers = [name for name in columns if any(number_of(row.get(name)) is not None for row in rows)]
    if len(numbers) == 1 or "score" in numbers:
        return "score" if "score" in numbers else numbers[0]
    there = f" (of numbers there are {', '.join(numbers)})" if numbers else ""
    raise UsageError(f"--best needs the column to go by{there}", hint="Add --by COLUMN.")


def _before(one: Sample) -> Verdict:
    """The verdict on an image, to be changed; an empty one if there is none or it is stale."""
    job, index = one.place
    before = one.verdict or Verdict(job=job, output_index=index)
    return replace(before, sha256=one.image.sha256, at="", by="")


def _with(verdict: Verdict, picking: Picking) -> Verdict:
    if picking.word == CLEAR:
        verdict = replace(verdict, pick=None, stars=None, tags=(), note=None)
    elif picking.word is not None:
        verdict = replace(verdict, pick=picking.word)
    if picking.stars is not None:
        verdict = replace(verdict, stars=picking.stars)
    return replace(verdict, tags=tuple(dict.fromkeys((*verdict.tags, *picking.tags))))


def _is_new(verdict: Verdict, there: Picks) -> bool:
    before = there.verdicts.get((verdict.job, verdict.output_index))
    if before is None:
        return not verdict.is_empty
    return replace(before, at="", by="") != replace(verdict, at="", by="")
