"""``batcher pick``: verdicts from the command line, on the pictures that an expression or a file names."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from batcher.core.errors import UsageError
from batcher.core.where import Where, WhereError, usage_error
from batcher.export import scores
from batcher.export.scores import SAID, Scores, number_of
from batcher.export.viewed import Viewed, matching, viewed
from batcher.images.flagging import asked_for
from batcher.runner import records
from batcher.store import connect_to_read, exporting, picks
from batcher.store.picks import NO, YES, Picks, Verdict

CLEAR = "clear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picking:
    """What is to be said of which pictures.

    where: an expression, None for all of the file or of the run. word: ``yes``, ``no`` or ``clear``. stars: 0 to 5.
    tags: are added. scores: a file of verdicts or scores. best: so many of each group, by the column ``by``. rest: said
    of the others of these groups. by_whom: "" for the user of this machine.
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


def pick(run_dir: Path, picking: Picking) -> dict[str, Any]:
    """Writes the verdicts that are new and says what was done, as JSON data. Raises UsageError, DiskError."""
    _check(picking)
    with closing(connect_to_read(run_dir)) as connection, exporting.snapshot(connection):
        facts = _pick(run_dir, connection, picking)
    return {**facts, "records": bool(facts["written"]) and records.refresh(run_dir)}


def _pick(run_dir: Path, connection: sqlite3.Connection, picking: Picking) -> dict[str, Any]:
    there = picks.read(run_dir)
    where = _where(picking.where)
    everything = list(viewed(connection, there, asked_for(where.names if where else (), run_dir, connection)))
    meant = list(matching(iter(everything), where)) if where else everything
    file = scores.read(picking.scores, everything) if picking.scores else None
    if file is not None:
        meant = [one for one in meant if one.place in file.rows]
    new = [verdict for verdict in _verdicts(picking, meant, file) if _is_new(verdict, there)]
    picks.append(run_dir, [replace(verdict, by=picking.by_whom) for verdict in new])
    return {
        "run": str(run_dir),
        "pictures": len(meant),
        "yes": sum(verdict.pick == YES for verdict in new),
        "no": sum(verdict.pick == NO for verdict in new),
        "cleared": sum(verdict.is_empty for verdict in new),
        "written": len(new),
        "unchanged": len(meant) - len(new) if picking.best is None else 0,
        "unmatched": file.unmatched if file else 0,
        "unmatched_examples": file.examples if file else [],
        "groups": len({one.group for one in meant}) if picking.best is not None else None,
        "warnings": where.warnings() if where else [],
        "exit_code": 3 if file and file.unmatched else 0,
    }


def _check(picking: Picking) -> None:
    if picking.where is None and picking.scores is None and picking.best is None:
        raise UsageError(
            "which images are meant?", hint="Say --where EXPR (such as 'pick is null'), --from FILE or --best N."
        )
    if picking.stars is not None and not 0 <= picking.stars <= 5:
        raise UsageError(f"--stars {picking.stars}: a number from 0 to 5")
    if picking.best is not None and picking.best < 1:
        raise UsageError(f"--best {picking.best}: a number from 1")
    if picking.rest not in {None, NO, CLEAR}:
        raise UsageError(f"--rest {picking.rest}: no or clear")
    says = picking.word is not None or picking.stars is not None or picking.tags
    if picking.best is not None:
        if picking.word in {NO, CLEAR}:
            raise UsageError(
                f"--best picks, and {picking.word} was given", hint="Leave it out; --rest no rejects others."
            )
    elif picking.rest is not None or picking.by is not None:
        raise UsageError("--rest and --by go with --best N", hint="Add --best 1.")
    elif picking.scores is None and not says:
        raise UsageError("what should be recorded for them?", hint="Add yes, no, clear, --stars N or --tag TEXT.")


def _where(text: str | None) -> Where | None:
    try:
        return None if text is None else Where(text)
    except WhereError as error:
        raise usage_error(text or "", error) from None


def _verdicts(picking: Picking, meant: Sequence[Viewed], file: Scores | None) -> Iterable[Verdict]:
    if picking.best is not None:
        yield from _best(picking, meant, file)
        return
    says = picking.word is not None or picking.stars is not None or picking.tags
    if file is not None and not says and not set(SAID) & set(file.columns):
        columns = ", ".join(file.columns) or "nothing"
        raise UsageError(
            f"{picking.scores} has no column pick, stars, tags or note (it has {columns})",
            hint="With a column of scores, add --best 1 --by COLUMN; or say yes, no or --stars N of all that it names.",
        )
    for one in meant:
        verdict = _before(one)
        if file is not None:
            row = file.rows[one.place]
            verdict = replace(verdict, **{name: row[name] for name in SAID if name in row})
        yield _with(verdict, picking)


def _best(picking: Picking, meant: Sequence[Viewed], file: Scores | None) -> Iterable[Verdict]:
    by = _column(picking, meant, file)
    value = _value_of(by, file)
    groups: dict[str, list[tuple[float, Viewed]]] = defaultdict(list)
    for one in meant:
        number = number_of(value(one))
        if number is not None:
            groups[one.group].append((number, one))
    if not groups:
        raise UsageError(f"--by {by}: no image has a number there", hint="Name a column of numbers.")
    for group in groups.values():
        ranked = sorted(group, key=lambda pair: -pair[0])
        for rank, (_, one) in enumerate(ranked):
            if rank < (picking.best or 0):
                yield _with(replace(_before(one), pick=YES), picking)
            elif picking.rest is not None:
                yield replace(_before(one), pick=None if picking.rest == CLEAR else picking.rest)


def _column(picking: Picking, meant: Sequence[Viewed], file: Scores | None) -> str:
    if picking.by is not None:
        names = {*(file.columns if file else ()), *(name for one in meant for name in one.names), "stars"}
        if picking.by not in names and not any(one.value(picking.by) is not None for one in meant):
            raise UsageError(
                f"--by {picking.by}: there is no such column", hint=f"There are {', '.join(sorted(names)[:20])}."
            )
        return picking.by
    numbers = [name for name in (file.columns if file else ()) if _is_numeric(name, file)]
    if len(numbers) == 1 or "score" in numbers:
        return "score" if "score" in numbers else numbers[0]
    there = f" (of numbers there are {', '.join(numbers)})" if numbers else ""
    raise UsageError(f"--best needs the column to go by{there}", hint="Add --by COLUMN.")


def _is_numeric(name: str, file: Scores | None) -> bool:
    values = [row.get(name) for row in (file.rows.values() if file else ())]
    return any(number_of(value) is not None for value in values)


def _value_of(by: str, file: Scores | None) -> Callable[[Viewed], Any]:
    if file is not None and by in file.columns:
        rows: Mapping[tuple[str, int], dict[str, Any]] = file.rows
        return lambda one: rows.get(one.place, {}).get(by)
    return lambda one: one.value(by)


def _before(one: Viewed) -> Verdict:
    """What is said of a picture now, to be changed; a stale verdict says nothing."""
    job, index = one.place
    before = one.verdict or Verdict(job=job, output_index=index)
    return replace(before, sha256=one.picture.sha256, at="", by="")


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
