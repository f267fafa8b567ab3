"""What the rows and columns of a sheet stand for, and which jobs get a sheet of their own.

An axis is named by an input of the model, ``meta.NAME``, a name of ``vars``, one of the job's own (``prompt_id``,
``model``, ``copy``), or ``repeat``: the number of the job among those that differ in their seed alone. Axes that the
user does not name are chosen: the inputs that differ between jobs of one prompt are what the run sweeps over.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from batcher.core.errors import UsageError
from batcher.core.groups import group_key, seed_input
from batcher.core.job import Job, canonical_json
from batcher.core.one_line import one_line
from batcher.core.suggest import nearest

OF_THE_JOB = ("prompt_id", "model", "copy")
REPEAT = "repeat"
NONE = "none"
NOT_SET = "not set"
_SURVEYED = 5_000  # jobs whose values are compared: a sweep shows in its first prompts
_MOST_NAMES = 300


def value_of(job: Job, name: str) -> Any:
    """The job's value on an axis, None where it has none."""
    if name in OF_THE_JOB:
        return getattr(job, name)
    if name.startswith("meta."):
        return job.meta.get(name.removeprefix("meta."))
    if name in job.inputs or not job.chosen:
        return job.inputs.get(name)
    return job.chosen.get(name.removeprefix("chosen."))


def values_of(job: Job, names: Sequence[str | None], counts: Counter[str]) -> list[Any]:
    """The job's values on these axes. Call it once for each job, in order.

    counts: the number of jobs so far in each group of those that differ in their seed alone; ``repeat`` is that number.
    """
    number = 0
    if REPEAT in names and REPEAT not in job.inputs:
        group = group_key(job.model, job.inputs)
        counts[group] += 1
        number = counts[group]
    return [None if n is None else number if n == REPEAT and number else value_of(job, n) for n in names]


def prompt_key(job: Job) -> int:
    """A number for the prompt of a job, the same for the same prompt in this process."""
    return hash(canonical_json(job.inputs.get("prompt")))


def label_of(value: Any) -> str:
    """A value as a label: one line of at most 2,000 characters."""
    if value is None:
        return NOT_SET
    return one_line(value if isinstance(value, str) else canonical_json(value), 2_000) or "(empty)"


def in_order(values: Iterable[Any]) -> list[Any]:
    """Each value once: numbers by size if all are numbers, else in the manifest's order; ``not set`` comes last."""
    each = list({canonical_json(value): value for value in values}.values())
    given = [value for value in each if value is not None]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in given):
        given.sort()
    return given + [value for value in each if value is None]


@dataclass(slots=True)
class Seen:
    """The values that the jobs of a selection have.

    jobs: their number.
    names: all names of axes.
    chosen: the values of each name of ``vars``, of the first few thousand jobs.
    of_prompt: the number of jobs of each prompt, by ``prompt_key``.
    """

    jobs: int = 0
    names: dict[str, None] = field(default_factory=lambda: dict.fromkeys(("prompt", *OF_THE_JOB, REPEAT)))
    chosen: dict[str, set[str]] = field(default_factory=dict)
    of_prompt: Counter[int] = field(default_factory=Counter)
    _values: dict[str, dict[str, set[str]]] = field(default_factory=dict)

    def see(self, job: Job) -> None:
        self.jobs += 1
        self.of_prompt[prompt_key(job)] += 1
        if len(self.names) < _MOST_NAMES:
            self.names.update(dict.fromkeys([*job.inputs, *(job.chosen or ()), *(f"meta.{name}" for name in job.meta)]))
        if self.jobs <= _SURVEYED:
            for name, value in (job.chosen or {}).items():
                self.chosen.setdefault(name, set()).add(canonical_json(value))
            prompt = self._values.setdefault(canonical_json(job.inputs.get("prompt")), {})
            for name in ("model", "copy", *job.inputs):
                prompt.setdefault(name, set()).add(canonical_json(value_of(job, name)))

    @property
    def prompts(self) -> int:
        return len(self._values)

    def varying(self) -> dict[str, int]:
        """Names with several values within one prompt, and the most values; in the order of the inputs."""
        most = Counter[str]()
        for prompt in self._values.values():
            most |= Counter({name: len(values) for name, values in prompt.items()})
        return {name: count for name, count in most.items() if count > 1}


@dataclass(frozen=True, slots=True)
class Plan:
    """The axes of a run's sheets.

    rows, cols: names. Without rows, the images flow in lines, each with its value of ``cols`` below it.
    per: each combination of values of these names is a sheet.
    hidden: names that vary within a cell.
    """

    rows: str | None
    cols: str
    per: tuple[str, ...]
    hidden: tuple[str, ...] = ()


def choose(seen: Seen, rows: str | None, cols: str | None, per: tuple[str, ...]) -> Plan:
    """The axes that the user named; others are chosen by what varies. Raises UsageError for a name that no job has."""
    for flag, name in [("--rows", rows), ("--cols", cols), *(("--per", name) for name in per)]:
        if name is not None and (flag, name) != ("--per", NONE):
            _check(flag, name, seen.names)
    if rows is not None and rows == cols:
        raise UsageError(f"--rows and --cols are both {rows!r}", hint="Give each of them its own input.")
    asked = [name for name in (rows, cols) if name is not None]
    free = {name: count for name, count in seen.varying().items() if name not in (*asked, *per)}
    if REPEAT in (*asked, *per) and (seed := seed_input(free)) is not None:
        del free[seed]
    sheets = _sheets(per, asked, seen, bool(free))
    if sheets == () and seen.prompts > 1 and not {"prompt", "prompt_id"} & {*asked, *per}:
        free["prompt"] = seen.prompts
    cols = cols or _take(free, "aspect_ratio", min)
    rows = rows or _take(free, "prompt", max, "seed")
    if cols is None:  # one axis: the images flow
        cols = rows or "prompt"
        rows = None
    hidden = [name for name in free if name != "prompt"]
    if sheets == ("prompt_id",):
        shown = {*asked, *per, *hidden, REPEAT}
        hidden += [name for name, values in seen.chosen.items() if len(values) > 1 and name not in shown]
    return Plan(rows, cols, sheets, tuple(hidden))


def _sheets(per: tuple[str, ...], asked: list[str], seen: Seen, sweeps: bool) -> tuple[str, ...]:
    """One sheet a prompt, unless prompts are an axis or nothing else could be one. With a name of ``vars`` as an axis,
    all texts of a prompt share a sheet.
    """
    if per:
        return tuple(name for name in per if name != NONE)
    if {*asked} & (seen.chosen.keys() - {REPEAT}):
        return ("prompt_id",)
    return () if {"prompt", "prompt_id"} & {*asked} or not (asked or sweeps) else ("prompt",)


def _take(free: dict[str, int], first: str, rank: Any, second: str = "") -> str | None:
    """Removes the best name from ``free`` and returns it: ``first``, ``second``, or the one ranked by its count."""
    if not free:
        return None
    best: str = next((name for name in (first, second) if name in free), "") or rank(free, key=free.__getitem__)
    del free[best]
    return best


def _check(flag: str, name: str, names: Mapping[str, None]) -> None:
    if name in names:
        return
    near = nearest(name, names)
    guess = f" Did you mean {near}?" if near else ""
    listed = ", ".join(one_line(listed, 60) for listed in names)
    raise UsageError(f"{flag} {one_line(name, 100)}: no job of this run has that.{guess}", hint=f"There is: {listed}.")
