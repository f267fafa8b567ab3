"""Jobs for each value of each axis, for ``plan``: by arithmetic where a prompt gives none of the inputs itself."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from batcher.manifest.sweep.axes import Axis, identity
from batcher.manifest.sweep.sweep import MOST_WALKED, Sweep

_MOST_SHOWN = 1_000  # values of one axis; of a longer one, the ends and the sum

Tally = dict[str, Counter[str]]


class AxisCounts:
    """``{axis: {value as text: jobs}}`` of one ``sweep``, counted prompt by prompt.

    Pinned values that are not on the axis are counted beside its own.
    """

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._tally: Tally = {name: Counter() for name in sweep.axes}
        self._unpinned = 0
        self._pinned: dict[Any, tuple[Mapping[str, Any], int]] = {}

    def add(self, pins: Mapping[str, Any], jobs: int, *, whole: bool) -> None:
        """Counts a prompt with these pins. jobs: the number that is made. whole: whether no limit cut that number."""
        if not self._tally or not jobs:
            return
        if not whole:
            _add(self._tally, _spread(self._sweep, pins, islice(self._sweep.combinations(pins), jobs)), 1)
        elif not pins:
            self._unpinned += 1
        else:
            key = tuple((name, identity(value)) for name, value in pins.items())
            self._pinned[key] = (pins, self._pinned.get(key, (pins, 0))[1] + 1)
            if len(self._pinned) > _MOST_SHOWN:
                self._settle()

    def _settle(self) -> None:
        for pins, prompts in self._pinned.values():
            _add(self._tally, _of_prompt(self._sweep, pins), prompts)
        self._pinned.clear()

    def result(self) -> Mapping[str, Mapping[str, int]]:
        """The counts so far."""
        self._settle()
        if self._unpinned:
            _add(self._tally, _of_prompt(self._sweep, {}), self._unpinned)
            self._unpinned = 0
        return self._tally


def merged(counts: Iterable[Mapping[str, Mapping[str, int]]]) -> Mapping[str, Mapping[str, int]]:
    """The counts of several groups as one. The jobs of a group without an axis do not count for that axis."""
    total: dict[str, Counter[str]] = {}
    for axes in counts:
        for name, values in axes.items():
            total.setdefault(name, Counter()).update(values)
    return total


def _add(tally: Tally, more: Tally, times: int) -> None:
    for name, values in more.items():
        for value, jobs in values.items():
            has_room = value in tally[name] or len(tally[name]) < 2 * _MOST_SHOWN
            tally[name][value if has_room else "other values"] += jobs * times


def _of_prompt(sweep: Sweep, pins: Mapping[str, Any]) -> Tally:
    jobs = sweep.count(pins)
    if not sweep.plain and jobs <= MOST_WALKED:
        return _spread(sweep, pins, sweep.combinations(pins))
    return {name: _evenly(axis, jobs, pins, name) for name, axis in sweep.axes.items()}


def _evenly(axis: Axis, jobs: int, pins: Mapping[str, Any], name: str) -> Counter[str]:
    if name in pins:
        return Counter({_text(pins[name], axis): jobs})
    if len(axis) > _MOST_SHOWN:
        return Counter({_span(axis): jobs})
    return Counter({_text(value, axis): jobs // len(axis) for value in axis})


def _spread(sweep: Sweep, pins: Mapping[str, Any], combinations: Iterable[Mapping[str, Any]]) -> Tally:
    tally: Tally = {name: Counter() for name in sweep.axes}
    for combination in combinations:
        for name, axis in sweep.axes.items():
            value = pins[name] if name in pins else combination.get(name, sweep.base.get(name))
            tally[name][_text(value, axis)] += 1
    return tally


def _text(value: Any, axis: Axis) -> str:
    if len(axis) > _MOST_SHOWN and value in axis:
        return _span(axis)
    return value if isinstance(value, str) else "(not given)" if value is None else json.dumps(value)


def _span(axis: Axis) -> str:
    return f"{axis.values[0]}..{axis.values[-1]}"
