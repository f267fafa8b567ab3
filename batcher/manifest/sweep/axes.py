"""One axis of a sweep: its values from ``[a, b]``, ``7``, ``"1..20"``, ``{start, count, step}`` or ``{random, from}``.

``A..B`` has both ends in it. ``A-B`` is refused rather than guessed at: of the tools people come from, some count
the last one and some don't. A range stays a range, however long.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from batcher.core.job import canonical_json
from batcher.manifest.schema.inputs import ModelInputs
from batcher.manifest.schema.words import shown
from batcher.manifest.sweep.draws import MOST, seeds

_PYTHON = re.compile(r"\s*range\(\s*(?:([0-9]{1,19})\s*,)?\s*([0-9]{1,19})\s*\)\s*\Z")
_RANGE = re.compile(r"\s*([+-]?[0-9]{1,20})\s*\.\.\s*([+-]?[0-9]{1,20})\s*\Z")
_DASHED = re.compile(r"\s*([0-9]{1,20})\s*-\s*([0-9]{1,20})\s*\Z")
_RANDOM = re.compile(r"random:([0-9]{1,20}):([+-]?[0-9]{1,20})\Z")
_MOST_LISTED = 100_000  # values of a range that stands in a list with others
_MOST_CHECKED = 10_000  # values of a range that are checked one by one; of a longer one, the ends


class BadAxis(ValueError):
    """What is wrong with a spec, and how to mend it."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(f"{what}: {mend}")
        self.what = what
        self.mend = mend


class Axis:
    """Distinct values in order. ``in`` takes any value; 1 and true are different values."""

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
    """From YAML data; raises BadAxis. Values are in order and of the right type, not checked for more."""
    return Axis(values_of(name, spec, model_inputs))


def values_of(name: str, spec: Any, model_inputs: ModelInputs) -> Sequence[Any]:
    """The same with values that come again; raises BadAxis."""
    if isinstance(spec, dict):
        return _drawn(name, spec, model_inputs) if "random" in spec else _stepped(spec)
    if isinstance(spec, list):
        if not spec:
            raise BadAxis("an axis without values", "list at least one value, or remove the axis")
        return [value for part in spec for value in _listed(name, part, model_inputs)]
    if spec is None:
        raise BadAxis("an axis without values", "give a value, a list, A..B, {start, count} or {random, from}")
    return _values(name, spec, model_inputs)


def axis_of_flag(name: str, text: str, model_inputs: ModelInputs) -> Axis:
    """From ``--matrix NAME=TEXT``: a comma list whose parts may be ranges, or a JSON list; raises BadAxis."""
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
    """One part of a spec: a range for ``A..B``, else a single value."""
    if isinstance(spec, str) and model_inputs.takes_ranges(name):
        if match := _RANGE.match(spec):
            return _between(int(match[1]), int(match[2]))
        if match := _PYTHON.match(spec):
            start, end = int(match[1] or 0), int(match[2])
            raise BadAxis(
                f"{shown(spec)} is text here", f"write {start}..{end - 1}, or {start}..{end} with the last one"
            )
        if match := _DASHED.match(spec):
            raise BadAxis(f"{shown(spec)} is ambiguous", f"write {match[1]}..{match[2]} ({match[2]} included)")
        if flag and spec.startswith("random:"):
            return _drawn_by_flag(name, spec, model_inputs)
        if match := _RANDOM.match(spec):
            mend = f"write {{random: {match[1]}, from: {match[2]}}}"
            raise BadAxis(f"{shown(spec)} is the form of a draw for --matrix", mend)
    if flag:
        try:
            return [model_inputs.convert(name, spec)]
        except ValueError as error:
            raise BadAxis(str(error), "give values of the right type") from None
    return [model_inputs.normal(name, spec)]


def _between(first: int, last: int) -> range:
    if last < first:
        raise BadAxis(f"{first}..{last} counts down", f"write {last}..{first}")
    return range(first, last + 1)


def _listed(name: str, part: Any, model_inputs: ModelInputs) -> Sequence[Any]:
    return bounded(_values(name, part, model_inputs))


def bounded(values: Sequence[Any]) -> Sequence[Any]:
    if isinstance(values, range) and len(values) > _MOST_LISTED:
        raise BadAxis(f"a range of more than {_MOST_LISTED:,} values in a list", "make the range the whole axis")
    return values


def _drawn_by_flag(name: str, spec: str, model_inputs: ModelInputs) -> Sequence[int]:
    if match := _RANDOM.match(spec):
        return _drawn(name, {"random": int(match[1]), "from": int(match[2])}, model_inputs)
    raise BadAxis(f"{shown(spec)} is not a draw", "write random:20:7 for 20 seeds, with the same 7 the same ones")


def _drawn(name: str, spec: dict[str, Any], model_inputs: ModelInputs) -> Sequence[int]:
    unknown = next((key for key in spec if key not in {"random", "from"}), None)
    if unknown is not None:
        raise BadAxis(f"unknown key `{shown(unknown)[1:-1]}` in a draw", "a draw has random and from")
    many, start = spec["random"], spec.get("from")
    if type(many) is not int or type(start) is not int:
        what = "random and from must be integers" if "from" in spec else "a draw without `from` could not be repeated"
        raise BadAxis(what, "write {random: 20, from: 7}: 20 seeds, with the same `from` the same ones")
    if not model_inputs.takes_ranges(name):
        raise BadAxis("only integers can be drawn", "list the values")
    among = model_inputs.drawn_from(name)
    most = min(len(among), MOST)
    if not 1 <= many <= most:
        mend = f"draw 1 to {most:,} values" if most else "list the values: the model accepts none from 0 to 2^31 - 1"
        raise BadAxis(f"can't draw {many} different values", mend)
    return seeds(["axis", start], many, among)


def _stepped(spec: dict[str, Any]) -> range:
    unknown = next((key for key in spec if key not in {"start", "count", "step"}), None)
    if unknown is not None:
        raise BadAxis(f"unknown key `{shown(unknown)[1:-1]}` in a range", "a range has start, count and step")
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
