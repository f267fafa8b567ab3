"""What a sheet is made of: which of a job's values stand down its side, along its top, and make a sheet of their own.

A name is an input of the model, ``meta.NAME``, what ``vars`` chose, or one of the job's own: ``prompt_id``, ``model``,
``copy``, and ``repeat``: the how-manieth of the jobs that differ in their seed alone. What is not asked for is found by
looking: the inputs that differ between jobs of one prompt are what the run sweeps over.
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
_LOOKED_AT = 5_000  # jobs, for what varies: a sweep shows itself in its first prompts
_MOST_NAMES = 300


def value_of(job: Job, name: str) -> Any:
    """None where the job has no such value."""
    if name in OF_THE_JOB:
        return getattr(job, name)
    if name.startswith("meta."):
        return job.meta.get(name.removeprefix("meta."))
    if name in job.inputs or not job.chosen:
        return job.inputs.get(name)
    return job.chosen.get(name.removeprefix("chosen."))


class Repeats:
    """Counts jobs that differ in their seed alone. Memory: an entry for each group."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def value_of(self, job: Job, names: Sequence[str | None]) -> list[Any]:
        """Of these names; to be called once for each job, in order."""
        number = 0
        if REPEAT in names and REPEAT not in job.inputs:
            group = group_key(job.model, job.inputs)
            self._counts[group] += 1
            number = self._counts[group]
        return [None if n is None else number if n == REPEAT and number else value_of(job, n) for n in names]


def prompt_key(job: Job) -> int:
    return hash(canonical_json(job.inputs.get("prompt")))


def label_of(value: Any) -> str:
    if value is None:
        return NOT_SET
    return one_line(value if isinstance(value, str) else canonical_json(value), 2_000) or "(empty)"


def in_order(values: Iterable[Any]) -> list[Any]:
    """Each value once: by number where all are numbers, else as the manifest had them; ``not set`` comes last."""
    each = list({canonical_json(value): value for value in values}.values())
    given = [value for value in each if value is not None]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in given):
        given.sort()
    return given + [value for value in each if value is None]


@dataclass(slots=True)
class Seen:
    """What the jobs of a selection have: all names, and what varies within a prompt, by the first few thousand.

    of_prompt: jobs of each prompt, by ``prompt_key``. chosen: the first values of what vars and templates chose.
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
        if self.jobs <= _LOOKED_AT:
            for name, value in (job.chosen or {}).items():
                self.chosen.setdefault(name, set()).add(canonical_json(value))
            prompt = self._values.setdefault(canonical_json(job.inputs.get("prompt")), {})
            for name in ("model", "copy", *job.inputs):
                prompt.setdefault(name, set()).add(canonical_json(value_of(job, name)))

    @property
    def prompts(self) -> int:
        return len(self._values)

    def varying(self) -> dict[str, int]:
        """Names with several values within one prompt, and how many at most; in the order of the inputs."""
        most: dict[str, int] = {}
        for prompt in self._values.values():
            for name, values in prompt.items():
                most[name] = max(most.get(name, 1), len(values))
        return {name: count for name, count in most.items() if count > 1}


@dataclass(frozen=True, slots=True)
class Plan:
    """rows, cols: the axes. With cols alone, the pictures flow in lines, each above its value. per: of each sheet.

    hidden: what varies within a cell, for nobody asked for it.
    """

    rows: str | None
    cols: str
    per: tuple[str, ...]
    hidden: tuple[str, ...] = ()


def choose(seen: Seen, rows: str | None, cols: str | None, per: tuple[str, ...]) -> Plan:
    """What was asked for, completed by what varies. Raises UsageError for a name that no job has."""
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
    cols = cols or _pick(free, "aspect_ratio", min)
    rows = rows or _pick(free, "prompt", max, "seed")
    if cols is None:  # one axis: the pictures flow
        cols = rows or "prompt"
        rows = None
    left = [name for name in free if name != "prompt"]
    if sheets == ("prompt_id",):
        left += [
            name for name, values in seen.chosen.items() if len(values) > 1 and name not in (*asked, *left, REPEAT)
        ]
    return Plan(rows, cols, sheets, tuple(left))


def _sheets(per: tuple[str, ...], asked: list[str], seen: Seen, sweeps: bool) -> tuple[str, ...]:
    """One sheet a prompt, unless prompts stand along a side, or there is nothing else to put there. Where what vars
    chose stands along a side, a prompt is all its texts.
    """
    if per:
        return tuple(name for name in per if name != NONE)
    if {*asked} & {name for name in seen.chosen if name != REPEAT}:
        return ("prompt_id",)
    if {"prompt", "prompt_id"} & set(asked) or not (asked or sweeps):
        return ()
    return ("prompt",)


def _pick(free: dict[str, int], first: str, rank: Any, second: str = "") -> str | None:
    """Takes the best name out of what is free."""
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
