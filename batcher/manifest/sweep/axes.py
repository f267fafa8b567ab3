"""One axis of a sweep: its values from ``[a, b]``, ``7``, ``"1..20"``, ``{start, count, step}`` or ``{random, from}``.

``A..B`` includes both ends. ``A-B`` is refused: some other tools include the last value, and some do not. A range stays
a range, however long.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from batcher.core.errors import Mistake
from batcher.core.job import canonical_json
from batcher.core.suggest import quoted
from batcher.manifest.schema.inputs import ModelInputs
from batcher.manifest.schema.words import shown
from batcher.manifest.sweep.draws import MOST, seeds

_PYTHON = re.compile(r"\s*range\(\s*(?:([0-9]{1,19})\s*,)?\s*([0-9]{1,19})\s*\)\s*\Z")
_RANGE = re.compile(r"\s*([+-]?[0-9]{1,20})\s*\.\.\s*([+-]?[0-9]{1,20})\s*\Z")
_DASHED = re.compile(r"\s*([0-9]{1,20})\s*-\s*([0-9]{1,20})\s*\Z")
_RANDOM = re.compile(r"random:([0-9]{1,20}):([+-]?[0-9]{1,20})\Z")
_MOST_LISTED = 100_000  # values of a range that stands in a list with others
_MOST_CHECKED = 10_000  # values of a range that are checked one by one; of a longer one, the ends


class BadAxis(Mistake):
    """A spec of an axis, or a number of copies, that can't be used.

    what: the error. mend: what to write instead. It has no column: the caller knows the place.
    """

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(0, what, mend)


class Axis:
    """Distinct values in order. ``in`` takes any value; 1 and true are different values. values: may repeat."""

    def __init__(self, values: Iterable[Any]) -> None:
        self.values: Sequence[Any]
        if isinstance(values, range):
            self.values, self._marks = values, frozenset[Any]()
        else:
            by_identity = {identity(value): value for value in values}
            self.values, self._marks = tuple(by_identity.values()), frozenset(by_identity)

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)

    def __contains__(self, value: Any) -> bool:
        if isinstance(self.values, range):
            return type(value) is int and value in self.values
        return identity(value) in self._marks


def identity(value: Any) -> Any:
    """Hashable, equal for values that are the same JSON, and only for those."""
    kind = type(value)
    return value if kind is str else (kind.__name__, value) if kind in {int, bool} else canonical_json([value])


def axis_of(name: str, spec: Any, model_inputs: ModelInputs) -> Axis:
    """The axis of an input from YAML data: ``"1..3"`` has 1, 2 and 3. The schema's bounds are not checked.

    Raises BadAxis.
    """
    return Axis(values_of(name, spec, model_inputs))


def values_of(name: str, spec: Any, model_inputs: ModelInputs) -> Sequence[Any]:
    """The values of ``axis_of``, which may repeat here. Raises BadAxis."""
    if isinstance(spec, dict):
        return _drawn(name, spec, model_inputs) if "random" in spec else _stepped(spec)
    if isinstance(spec, list):
        if not spec:
            raise BadAxis("an axis without values", "list at least one value, or remove the axis")
        return [value for part in spec for value in bounded(_values(name, part, model_inputs))]
    if spec is None:
        raise BadAxis("an axis without values", "give a value, a list, A..B, {start, count} or {random, from}")
    return _values(name, spec, model_inputs)


def axis_of_flag(name: str, text: str, model_inputs: ModelInputs) -> Axis:
    """From ``--matrix NAME=TEXT``: a comma list whose parts may be ranges, or a JSON list. Raises BadAxis."""
    if text.lstrip().startswith("["):
        try:
            return axis_of(name, json.loads(text), model_inputs)
        except (json.JSONDecodeError, RecursionError):
            raise BadAxis("not a JSON list", 'write a,b,c or ["a", "b"]') from None
    parts = [part.strip() for part in text.split(",")]
    if "" in parts:
        raise BadAxis("an empty value", "put one comma between each two values")
    values = [_values(name, part, model_inputs, flag=True) for part in parts]
    return Axis(values[0] if len(values) == 1 else (value for part in values for value in bounded(part)))


def _values(name: str, spec: Any, model_inputs: ModelInputs, *, flag: bool = False) -> Sequence[Any]:
    """One part of a spec: a range for ``A..B``, a draw for ``random:MANY:FROM`` of a flag, else a single value."""
    if isinstance(spec, str) and model_inputs.of(name).takes_ranges:
        if flag and (match := _RANDOM.match(spec)):
            return _drawn(name, {"random": int(match[1]), "from": int(match[2])}, model_inputs)
        if (values := _range(spec, flag=flag)) is not None:
            return values
    if flag:
        try:
            return [model_inputs.of(name).convert(spec)]
        except ValueError as error:
            raise BadAxis(str(error), "give values of the right type") from None
    return [model_inputs.of(name).normal(spec)]


def _range(spec: str, *, flag: bool) -> range | None:
    """``A..B``; None for a single value. Raises BadAxis for what looks like a range or a draw and is none here."""
    if match := _RANGE.match(spec):
        first, last = int(match[1]), int(match[2])
        if last < first:
            raise BadAxis(f"{first}..{last} counts down", f"write {last}..{first}")
        return range(first, last + 1)
    if match := _PYTHON.match(spec):
        start, end = int(match[1] or 0), int(match[2])
        raise BadAxis(f"{shown(spec)} is text here", f"write {start}..{end - 1}, or {start}..{end} with the last one")
    if match := _DASHED.match(spec):
        raise BadAxis(f"{shown(spec)} is ambiguous", f"write {match[1]}..{match[2]} ({match[2]} included)")
    if flag and spec.startswith("random:"):
        raise BadAxis(f"{shown(spec)} is not a draw", "write random:20:7 for 20 seeds, with the same 7 the same ones")
    if match := _RANDOM.match(spec):
        mend = f"write {{random: {match[1]}, from: {match[2]}}}"
        raise BadAxis(f"{shown(spec)} is the form of a draw for --matrix", mend)
    return None


def bounded(values: Sequence[Any]) -> Sequence[Any]:
    """The values, as a part of a list. Raises BadAxis for a range that is too long for one."""
    if isinstance(values, range) and len(values) > _MOST_LISTED:
        raise BadAxis(f"a range of more than {_MOST_LISTED:,} values in a list", "make the range the whole axis")
    return values


def _refuse_unknown(spec: dict[str, Any], keys: set[str], what: str, mend: str) -> None:
    unknown = next((key for key in spec if key not in keys), None)
    if unknown is not None:
        raise BadAxis(f"unknown key {quoted(unknown)} in {what}", mend)


def _drawn(name: str, spec: dict[str, Any], model_inputs: ModelInputs) -> Sequence[int]:
    _refuse_unknown(spec, {"random", "from"}, "a draw", "a draw has random and from")
    many, start = spec["random"], spec.get("from")
    if type(many) is not int or type(start) is not int:
        what = "random and from must be integers" if "from" in spec else "a draw without `from` could not be repeated"
        raise BadAxis(what, "write {random: 20, from: 7}: 20 seeds, with the same `from` the same ones")
    if not model_inputs.of(name).takes_ranges:
        raise BadAxis("only integers can be drawn", "list the values")
    among = model_inputs.of(name).drawn_from
    most = min(len(among), MOST)
    if not 1 <= many <= most:
        mend = f"draw 1 to {most:,} values" if most else "list the values: the model accepts none from 0 to 2^31 - 1"
        raise BadAxis(f"can't draw {many} different values", mend)
    return list(seeds(["axis", start], many, among))


def _stepped(spec: dict[str, Any]) -> range:
    _refuse_unknown(spec, {"start", "count", "step"}, "a range", "a range has start, count and step")
    start, count, step = spec.get("start"), spec.get("count"), spec.get("step", 1)
    if type(start) is not int or type(count) is not int or type(step) is not int:
        raise BadAxis("start, count and step must be integers", "write {start: 1, count: 20}")
    if not 1 <= count <= 2**62 or step == 0:
        raise BadAxis("a range without values", "count must be 1 or more, and step not 0")
    return range(start, start + count * step, step)


def wrong_values(name: str, axis: Axis, model_inputs: ModelInputs) -> Iterator[tuple[Any, str]]:
    """The values of an axis that do not fit the model, each with the reason."""
    values = axis.values
    if isinstance(values, range) and len(values) > _MOST_CHECKED:
        values = (values[0], values[-1])
    for value in values:
        if reason := model_inputs.wrong(name, value):
            yield value, reason
