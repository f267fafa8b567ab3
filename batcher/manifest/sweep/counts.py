"""Jobs per value of each axis, for ``plan``: by arithmetic for the prompts that pin nothing, which are nearly all."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from batcher.manifest.readers.rows import Row
from batcher.manifest.sweep.axes import Axis
from batcher.manifest.sweep.sweep import Sweep
from batcher.manifest.templates import variables

_MOST_SHOWN = 1_000  # values of one axis; of a longer one, the ends and the sum

Tally = dict[str, Counter[str]]


def count_by_axis(sweep: Sweep, rows: Iterable[Row], total: int, *, limited: bool) -> Mapping[str, Mapping[str, int]]:
    """``{axis: {value as text: jobs}}``; pinned values that the axis does not have are counted beside the others."""
    tally: Tally = {name: Counter() for name in sweep.axes}
    unpinned, left = 0, total
    for row in rows:
        many = variables.count(row)
        pins = sweep.pins(row.inputs)
        each = sweep.count(pins)
        whole = min(many, left // each) if limited and each else many
        if pins:
            _add(tally, _of_prompt(sweep, pins), whole)
        else:
            unpinned += whole
        left -= whole * each
        if limited and whole < many:
            _add(tally, _walked(sweep, pins, left), 1)
            break
    if unpinned:
        _add(tally, _of_prompt(sweep, {}), unpinned)
    return tally


def count_evenly(sweep: Sweep, total: int) -> Mapping[str, Mapping[str, int]]:
    """The same where no prompt pins an axis, which needs no look at the prompts."""
    prompts, left = divmod(total, sweep.count({}))
    tally: Tally = {name: Counter() for name in sweep.axes}
    _add(tally, _of_prompt(sweep, {}), prompts)
    _add(tally, _walked(sweep, {}, left), 1)
    return tally


def merged(counts: Iterable[Mapping[str, Mapping[str, int]]]) -> Mapping[str, Mapping[str, int]]:
    """Those of several groups as one; an axis that a group does not have counts none of its jobs."""
    total: dict[str, Counter[str]] = {}
    for axes in counts:
        for name, values in axes.items():
            total.setdefault(name, Counter()).update(values)
    return total


def _add(tally: Tally, more: Tally, times: int) -> None:
    for name, values in more.items():
        for value, jobs in values.items():
            known = value in tally[name] or len(tally[name]) < 2 * _MOST_SHOWN
            tally[name][value if known else "other values"] += jobs * times


def _of_prompt(sweep: Sweep, pins: Mapping[str, Any]) -> Tally:
    if not sweep.plain:
        return _reckoned(sweep, pins)
    jobs = sweep.count(pins)
    return {name: _evenly(axis, jobs, pins, name) for name, axis in sweep.axes.items()}


def _evenly(axis: Axis, jobs: int, pins: Mapping[str, Any], name: str) -> Counter[str]:
    if name in pins:
        return Counter({_text(pins[name], axis): jobs})
    if len(axis) > _MOST_SHOWN:
        return Counter({_span(axis): jobs})
    return Counter({_text(value, axis): jobs // len(axis) for value in axis})


def _reckoned(sweep: Sweep, pins: Mapping[str, Any]) -> Tally:
    """With ``exclude`` and ``include``: the product by arithmetic, however large, and what is added one by one."""
    tally = _spread(sweep, pins, sweep.added(pins))
    for name, axis in sweep.axes.items():
        if name not in pins and len(axis) > _MOST_SHOWN:
            tally[name][_span(axis)] += sweep.product_count(pins)
        else:
            tally[name].update({_text(value, axis): jobs for value, jobs in sweep.in_product(name, pins)})
        tally[name] = +tally[name]
    return tally


def _walked(sweep: Sweep, pins: Mapping[str, Any], most: int) -> Tally:
    return _spread(sweep, pins, islice(sweep.combinations(pins), most))


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
