"""Packs rows of the state file for the page: one list for each column, and each text once, so 100,000 take 5 MB.

An item is an image, or a job without one. Its number is ``job id * 1000 + output index`` and never changes. Prompts,
groups and causes, which repeat, are in tables that only grow. A message holds what was added to them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from batcher.core.groups import seed_input
from batcher.core.job import Job
from batcher.export.sheets.axes import OF_THE_JOB, Plan, Seen, choose, label_of
from batcher.images.flags import asked_ratio
from batcher.store.prompts import Prompts
from batcher.store.rows import seconds
from batcher.store.viewing import JobRow

OUTPUTS = 1000  # no job has more images
CODES = {
    "pending": "p", "submitting": "q", "running": "q", "ready": "r", "done": "d", "failed": "f", "cancelled": "c",
    "in_doubt": "x",
}  # fmt: skip
_WORDS = {"p": "waiting", "q": "at the service", "r": "to download", "f": "failed", "c": "cancelled", "x": "in doubt"}
_MISSING = "missing or damaged", "batcher verify --repair fetches it again, free"
_SURVEYED = 5_000  # most rows that the axes are chosen from
_LABEL = 200  # most characters of a label
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(order="sorted").encode


def inputs_of(row: JobRow) -> dict[str, Any]:
    """The inputs of the row's job."""
    inputs = _decode(row.inputs)
    return inputs if isinstance(inputs, dict) else {}


def took(row: JobRow) -> float | None:
    """Seconds from submit to end; None if there was no end."""
    began, ended = seconds(row.submitted_at), seconds(row.finished_at)
    return None if began is None or ended is None else round(max(0.0, ended - began), 1)


def why(row: JobRow) -> str:
    """The cause of a failure in words; "" for none."""
    return ": ".join(filter(None, (row.cause and row.cause.replace("_", " "), row.message)))


def carried(row: JobRow) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The inputs of the row's job, its meta, and what ``vars`` and ``repeat`` chose."""
    return inputs_of(row), _decode(row.meta) if row.meta else {}, _decode(row.chosen) if row.chosen else {}


def survey(rows: Iterable[JobRow], prompts: Prompts) -> tuple[Plan, tuple[str, ...]]:
    """The axes of the grid, as ``batcher grid`` chooses them, and the inputs that differ between groups of a prompt."""
    seen = Seen()
    for number, row in enumerate(rows):
        if number >= _SURVEYED:
            break
        seen.see(
            Job(
                key=row.key, model=row.model, inputs=prompts.inputs(row.id, inputs_of(row)), copy=row.copy,
                prompt_id=row.prompt_id, meta={}, source=row.source, line=row.line, path="",
            )
        )  # fmt: skip
    varying = [name for name in seen.varying() if name != "copy"]
    seed = seed_input(varying)
    return choose(seen, None, None, ()), tuple(name for name in varying if name != seed)


class Columns:
    """The tables of one run. prompts: of its jobs. plan: the axes of the grid. naming: the inputs whose values make the
    label of a group.
    """

    def __init__(self, prompts: Prompts, plan: Plan, naming: tuple[str, ...]) -> None:
        self._prompts_of = prompts
        self.plan = plan
        self._naming = naming
        self._prompts: dict[str, int] = {}
        self._groups: dict[Any, int] = {}
        self._seeds: dict[tuple[str, ...], str | None] = {}
        self._labels: dict[str, str] = {}
        self._troubles: dict[tuple[str, str], int] = {}
        self._tables: dict[str, list[Any]] = {"prompts": [], "groups": [], "troubles": []}

    def ends(self) -> dict[str, int]:
        """The lengths of the tables, by name."""
        return {name: len(rows) for name, rows in self._tables.items()}

    def tables(self, ends: Mapping[str, int]) -> dict[str, Any]:
        """What was added to the tables since their lengths were ``ends``: by name, the old length and the new rows."""
        return {name: [ends.get(name, 0), rows[ends.get(name, 0) :]] for name, rows in self._tables.items()}

    def columns(self, rows: Iterable[JobRow]) -> dict[str, list[Any]]:
        """The items of these rows, as columns of equal length.

        n: number. k: job key. s: state, one letter of CODES. g: number of the group.
        r, c: values on the axes of the grid, rows and columns. w, h: size in pixels, else the requested shape.
        v: first 8 digits of the SHA-256; "" for none. t: when the job ended, in Unix seconds; 0 if it did not.
        d: seconds from submit to end; 0 if unknown. e: number in ``troubles`` of why there is no image; -1 if there is.
        o: place in the order of the run. q: seed; None for none.
        """
        columns: dict[str, list[Any]] = {name: [] for name in "nksgrcwhvtdeoq"}
        lists = tuple(columns.values())
        for row in rows:  # not zip(*items): the garbage collector would scan 100,000 tuples again and again
            for column, value in zip(lists, self._item(row), strict=True):
                column.append(value)
        return columns

    def _item(self, row: JobRow) -> tuple[Any, ...]:
        inputs = self._prompts_of.inputs(row.id, inputs_of(row))
        width, height = row.width, row.height
        if not width or not height:
            width, height = round(1000 * min(max(asked_ratio(inputs) or 1.0, 0.1), 10)), 1000
        seed = self._seed_input(inputs)
        ended, sha = seconds(row.finished_at), row.sha256
        return (
            row.id * OUTPUTS + (row.output_index or 0), row.key, CODES[row.state], self._group(row, inputs, seed),
            self._value(row, inputs, self.plan.rows), self._value(row, inputs, self.plan.cols), width, height,
            sha[:8] if sha else "", int(ended) if ended else 0, took(row) or 0,
            -1 if row.state == "done" and sha else self._trouble(row), row.position or 0,
            inputs[seed] if seed else None,
        )  # fmt: skip

    def _value(self, row: JobRow, inputs: Mapping[str, Any], name: str | None) -> Any:
        """The value on an axis: a number, or the label of another value. name: of the axis; None if there is none."""
        if name is None:
            return None
        value = getattr(row, name) if name in OF_THE_JOB else inputs.get(name)
        if type(value) is int or type(value) is float:
            return value
        return self._label(value)

    def _label(self, value: Any) -> str:
        """The label of a value, as in ``batcher grid``. Labels of texts are cached."""
        if not isinstance(value, str):
            return label_of(value)[:_LABEL]
        label = self._labels.get(value)
        if label is None:
            label = self._labels[value] = label_of(value)[:_LABEL]
        return label

    def _seed_input(self, inputs: Mapping[str, Any]) -> str | None:
        names = tuple(inputs)
        if names not in self._seeds:
            self._seeds[names] = seed_input(names)
        return self._seeds[names]

    def _group(self, row: JobRow, inputs: Mapping[str, Any], seed: str | None) -> int:
        rest = {**inputs, seed: None} if seed else inputs
        try:
            key: Any = (row.model, *rest.items())
            hash(key)
        except TypeError:  # lists
            key = row.model, _encode(rest)
        number = self._groups.get(key)
        if number is None:
            number = self._groups[key] = len(self._groups)
            values = (row.model if name == "model" else inputs.get(name) for name in self._naming)
            self._tables["groups"].append([self._prompt(row, inputs), " · ".join(map(self._label, values))])
        return number

    def _prompt(self, row: JobRow, inputs: Mapping[str, Any]) -> int:
        text = inputs.get("prompt")
        if not isinstance(text, str):
            text = max((value for value in inputs.values() if isinstance(value, str)), key=len, default=row.prompt_id)
        number = self._prompts.get(text)
        if number is None:
            number = self._prompts[text] = len(self._prompts)
            self._tables["prompts"].append([text, row.prompt_id])
        return number

    def _trouble(self, row: JobRow) -> int:
        """The number of the row's entry in ``troubles``: what to show instead of an image, and why."""
        code = CODES[row.state]
        key = _MISSING if code == "d" else (_WORDS[code], why(row)[:600] if code in "fcx" else "")
        number = self._troubles.get(key)
        if number is None:
            number = self._troubles[key] = len(self._troubles)
            self._tables["troubles"].append(list(key))
        return number
