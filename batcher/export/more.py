"""``batcher more``: adds jobs with new seeds to the groups of a run that have no picked image.

``plan_more`` gives the jobs and what they cost. ``add`` writes them to ``additions.jsonl``; the next run submits them.
Seeds are derived from a hash of the group, so that they are the same every time. Seeds that a group already has are
skipped.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batcher.core.errors import UsageError
from batcher.core.groups import group_key, seed_input, seed_of
from batcher.core.job import Job, State, job_key
from batcher.core.units import show_count, show_usd
from batcher.export.matching import JobFilter
from batcher.manifest.schema import bundled
from batcher.manifest.schema.inputs import ModelInputs
from batcher.manifest.sweep.draws import MOST, seeds
from batcher.runner.control import read_control
from batcher.runner.report import standing
from batcher.store import additions, connect_to_read, exporting, is_going, read_facts, reading
from batcher.store.facts import RunFacts
from batcher.store.picks import YES


@dataclass(slots=True)
class Group:
    """Jobs with the same model and inputs, except for the seed.

    first: the first job of it. seeds: all seeds in use. kept: number of picked images. matches: whether ``--where``
    matches one of its jobs.
    """

    first: Job
    seeds: set[Any] = field(default_factory=set)
    kept: int = 0
    matches: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class More:
    """Jobs that can be added to a run.

    jobs: the new jobs. seeds: wanted for each group. where: the expression, None for none.
    groups: number of groups that get jobs.
    kept: number of groups that get none, because they have a picked image or ``--where`` does not match them.
    without_seed: number of groups that get none, because their model takes no seed.
    earlier: number of jobs that were added before.
    cost_usd: cost of the new jobs in dollars; None if the price is unknown.
    left_usd: dollars left of the budget; None if there is no budget or the costs are unknown.
    resume: the command that continues the run; None if unknown.
    going: whether a run is going there, which does not make them.
    warnings: sentences about ``--where``.
    """

    jobs: tuple[Job, ...]
    seeds: int
    where: str | None
    groups: int
    kept: int
    without_seed: int
    earlier: int
    cost_usd: float | None
    left_usd: float | None
    resume: str | None
    going: bool = False
    warnings: tuple[str, ...] = ()

    def words(self, *, added: bool = False) -> list[str]:
        """Sentences on the jobs and what they cost or, if they were added, how many."""
        jobs, left = show_count(len(self.jobs), "job"), self.left_usd
        cost = "for an unknown price" if self.cost_usd is None else f"for about {show_usd(self.cost_usd)}"
        groups = show_count(self.groups, "group") + ("" if self.where else " without a keeper")
        lines = [f"{jobs} added." if added else f"{groups}, {show_count(self.seeds, 'new seed')} each: {jobs} {cost}."]
        if left is not None:
            is_little = self.cost_usd is not None and self.cost_usd > left
            little = ", which is too little for all of them: raise it with --budget" if is_little else ""
            lines.append(f"Of the budget {show_usd(max(0.0, left))} is left{little}.")
        if self.earlier:
            lines.append(f"{show_count(self.earlier, 'job was', 'jobs were')} added before; this adds to them.")
        if self.without_seed:
            groups = show_count(self.without_seed, "group is", "groups are")
            lines.append(f"{groups} left out: the model takes no seed.")
        return [*lines, *self.warnings]

    def as_json(self, run_dir: Path) -> dict[str, Any]:
        """The plan as JSON data, with ``added`` false."""
        return {
            "run": str(run_dir), "groups": self.groups, "jobs": len(self.jobs), "groups_with_a_keeper": self.kept,
            "groups_without_a_seed": self.without_seed, "added_before": self.earlier, "cost_usd": self.cost_usd,
            "budget_left_usd": self.left_usd, "added": False, "going": self.going,
            "resume": self.resume, "warnings": list(self.warnings),
        }  # fmt: skip


def plan_more(run_dir: Path, many: int, where: str | None = None) -> More:
    """Plan new seeds, for each group without a picked image or, with ``where``, each group with a job that it matches.

    many: seeds for each group. Changes nothing. Raises UsageError, DiskError.
    """
    if not 1 <= many <= MOST:
        raise UsageError(f"--seeds {many}: a number from 1 to {MOST:,}")
    with closing(connect_to_read(run_dir)) as connection, exporting.snapshot(connection):
        return _plan_more(run_dir, connection, many, where)


def add(run_dir: Path, more: More) -> None:
    """Add the jobs to the run. Raises DiskError."""
    additions.append(run_dir, more.jobs)


def _plan_more(run_dir: Path, connection: sqlite3.Connection, many: int, text: str | None) -> More:
    where = JobFilter(text, run_dir, connection)
    before = list(additions.jobs(run_dir))
    groups = _groups(connection, where)
    for job in before:
        group = groups.get(group_key(job.model, job.inputs))
        if group is not None:
            group.seeds.add(seed_of(job.inputs))
    chosen = [group for group in groups.values() if (group.matches if text else not group.kept)]
    if not chosen:
        what = "no group matches --where" if text else "every group has a keeper" if groups else "there are no jobs"
        raise UsageError(f"{run_dir}: {what}, so there is nothing to add", hint="Nothing was written.")
    jobs, without = [], 0
    for group in chosen:
        new = list(_new_jobs(group, many))
        without += not new
        jobs += new
    if not jobs:
        models = ", ".join(sorted({group.first.model for group in chosen}))
        raise UsageError(
            f"{models} takes no seed, so another job would be the same request", hint="Nothing was written."
        )
    facts = read_facts(connection)
    price = facts.price_usd
    images = sum(job.images for job in jobs)
    return More(
        jobs=tuple(jobs), seeds=many, where=text, groups=len(chosen) - without, kept=len(groups) - len(chosen),
        without_seed=without, earlier=len(before), cost_usd=None if price is None else round(images * price, 6),
        left_usd=_left(run_dir, connection, facts), resume=facts.command, going=is_going(connection, run_dir),
        warnings=tuple(where.warnings()),
    )  # fmt: skip


def _groups(connection: sqlite3.Connection, where: JobFilter) -> dict[str, Group]:
    """The groups by key, in the order first seen."""
    groups: dict[str, Group] = {}
    for entry in reading.entries(connection, list(State), listed_only=True):
        job = entry.job
        group = groups.setdefault(group_key(job.model, job.inputs), Group(job))
        group.seeds.add(seed_of(job.inputs))
        group.kept += sum(verdict.get("pick") == YES for verdict in where.verdicts.get(job.key, ()))
        group.matches = where.matches(entry) or group.matches
    where.check()
    return groups


def _new_jobs(group: Group, many: int) -> Iterator[Job]:
    """Copies of a job with ``many`` new seeds, or fewer if the model has no more; none if it takes no seed."""
    first = group.first
    schema = bundled(first.model)
    name = seed_input(first.inputs) or (seed_input(schema.inputs) if schema else None)
    if name is None:
        return
    among = ModelInputs(schema).of(name).drawn_from
    about = ["more", group_key(first.model, first.inputs)]
    left = many
    chosen = {what: value for what, value in (first.chosen or {}).items() if what != "repeat"} or None
    for seed in seeds(about, min(len(among), many + len(group.seeds)), among):
        if seed in group.seeds or not left:
            continue
        left -= 1
        inputs = {**first.inputs, name: seed}
        yield Job(
            key=job_key(first.model, inputs), model=first.model, inputs=inputs, copy=1, prompt_id=first.prompt_id,
            meta=first.meta, source=first.source, line=first.line, path=_path(first, name, seed), chosen=chosen,
        )  # fmt: skip


def _path(first: Job, name: str, seed: int) -> str:
    """The path of the first job, with its seed replaced if the path ends with it, else with the new one appended."""
    own = first.inputs.get(name)
    folder, slash, last = first.path.rpartition("/")
    for old in (f"_s{own}", f"s{own}", f"-{own}", f"_{own}"):
        if own is not None and last.endswith(old):
            return f"{folder}{slash}{last[: len(last) - len(str(own))]}{seed}"
    return f"{first.path}_s{seed}"


def _left(run_dir: Path, connection: sqlite3.Connection, facts: RunFacts) -> float | None:
    """Dollars left of the budget, which ``tune`` or the last run set; None if there is none, or costs are unknown."""
    tuned = read_control(run_dir).budget
    budget = facts.budget_usd if tuned is None else tuned
    spent = standing(connection, reading.counts(connection), facts.price_usd).cost_usd
    return None if budget is None or spent is None else round(budget - spent, 6)
