"""``batcher more``: new drawn seeds for the groups of a run that have no keeper.

``plan_more`` says which jobs that would be and what they cost, ``add`` writes them to ``additions.jsonl``; the next run
makes them. Seeds are drawn from a hash of the group, so nobody's clock decides; those that a group has are passed over.
"""

import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from batcher.core.errors import UsageError
from batcher.core.groups import group_key, seed_input, seed_of
from batcher.core.job import Job, State, job_key
from batcher.export.viewed import JobFilter
from batcher.manifest.schema import bundled
from batcher.manifest.schema.inputs import ModelInputs
from batcher.manifest.sweep.draws import MOST, seeds
from batcher.runner.control import read_control
from batcher.runner.report import standing
from batcher.store import additions, connect_to_read, exporting, read_facts, reading
from batcher.store.picks import YES


@dataclass(slots=True)
class Group:
    """first: a job of it. seeds: all that it has. kept: how many of its pictures are picked. meant: by ``--where``."""

    first: Job
    seeds: set[Any] = field(default_factory=set)
    kept: int = 0
    meant: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class More:
    """jobs: to be added. groups: that get some. kept: groups that have a keeper and get none. without_seed: groups
    whose model takes no seed. earlier: jobs that were added before. cost_usd, left_usd: dollars, None where unknown;
    left is of the budget.
    """

    jobs: tuple[Job, ...]
    groups: int
    kept: int
    without_seed: int
    earlier: int
    cost_usd: float | None
    left_usd: float | None
    resume: str | None
    warnings: tuple[str, ...] = ()

    def as_json(self, run_dir: Path) -> dict[str, Any]:
        """Before anything is added."""
        return {
            "run": str(run_dir), "groups": self.groups, "jobs": len(self.jobs), "groups_with_a_keeper": self.kept,
            "groups_without_a_seed": self.without_seed, "added_before": self.earlier, "cost_usd": self.cost_usd,
            "budget_left_usd": self.left_usd, "added": False, "resume": self.resume, "warnings": list(self.warnings),
        }  # fmt: skip


def plan_more(run_dir: Path, many: int, where: str | None = None) -> More:
    """``many`` new seeds for each group without a keeper, or that has a job which ``where`` means. Changes nothing.

    Raises UsageError, DiskError.
    """
    if not 1 <= many <= MOST:
        raise UsageError(f"--seeds {many}: a number from 1 to {MOST:,}")
    with closing(connect_to_read(run_dir)) as connection, exporting.snapshot(connection):
        return _plan_more(run_dir, connection, many, where)


def add(run_dir: Path, more: More) -> None:
    """Raises DiskError."""
    additions.append(run_dir, more.jobs)


def _plan_more(run_dir: Path, connection: sqlite3.Connection, many: int, text: str | None) -> More:
    where = JobFilter(text, run_dir, connection)
    before = list(additions.jobs(run_dir))
    groups = _groups(connection, where)
    for job in before:
        group = groups.get(group_key(job.model, job.inputs))
        if group is not None:
            group.seeds.add(seed_of(job.inputs))
    chosen = [group for group in groups.values() if (group.meant if text else not group.kept)]
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
        jobs=tuple(jobs), groups=len(chosen) - without, kept=len(groups) - len(chosen), without_seed=without,
        earlier=len(before), cost_usd=None if price is None else round(images * price, 6),
        left_usd=_left(run_dir, connection, price), resume=facts.command,
        warnings=tuple(where.warnings()),
    )  # fmt: skip


def _groups(connection: sqlite3.Connection, where: JobFilter) -> dict[str, Group]:
    """By key, in the order first seen."""
    groups: dict[str, Group] = {}
    for entry in reading.entries(connection, list(State), listed_only=True):
        job = entry.job
        group = groups.setdefault(group_key(job.model, job.inputs), Group(job))
        group.seeds.add(seed_of(job.inputs))
        group.kept += sum(verdict.get("pick") == YES for verdict in where.verdicts.get(job.key, ()))
        group.meant = where.means(entry) or group.meant
    where.check()
    return groups


def _new_jobs(group: Group, many: int) -> Iterator[Job]:
    """None where the model takes no seed."""
    first = group.first
    schema = bundled(first.model)
    name = seed_input(first.inputs) or (seed_input(schema.inputs) if schema else None)
    if name is None:
        return
    among = ModelInputs(schema).drawn_from(name)
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
    """The path of the first job with the new seed in the place of its own; behind it where it has none there."""
    own = first.inputs.get(name)
    folder, slash, last = first.path.rpartition("/")
    for old in (f"_s{own}", f"s{own}", f"-{own}", f"_{own}"):
        if own is not None and last.endswith(old):
            return f"{folder}{slash}{last[: len(last) - len(str(own))]}{seed}"
    return f"{first.path}_s{seed}"


def _left(run_dir: Path, connection: sqlite3.Connection, price: float | None) -> float | None:
    """What is left of the budget that the last run had, or ``tune`` gave since."""
    budget = read_control(run_dir).budget
    if budget is None:
        words = shlex.split(read_facts(connection).command or "")
        given = [after for word, after in pairwise(words) if word == "--budget"]
        given += [word.partition("=")[2] for word in words if word.startswith("--budget=")]
        try:
            budget = float(given[-1].strip("$")) if given else None
        except ValueError:
            budget = None
    spent = standing(connection, reading.counts(connection), price)["cost_usd"]
    return None if budget is None or spent is None else round(budget - spent, 6)
