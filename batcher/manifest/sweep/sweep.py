"""The product of the axes, less ``exclude``, plus ``include``: which combinations one prompt gets, and how many.

GitHub Actions' words: the first axis is outermost, ``exclude`` matches in part, ``include`` adds. Axes that are zipped
(``zipped.py``) are one factor of the product, the innermost. ``exclude`` and ``include`` look at the
*effective* combination: an axis that a prompt pins has that one value for it, and an axis that an ``include``
leaves out has the default, or nothing. Each prompt gets each combination once.

Counting does not walk the product. Every value of an axis matches some set of the ``exclude`` entries; a
combination is excluded when one entry is matched by all its values. So values are grouped by the set they match (a
bit mask), and masks are combined axis by axis with their counts.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from batcher.manifest.sweep.axes import Axis, identity
from batcher.manifest.sweep.zipped import Zip

_ABSENT = ("absent",)
_MOST_KEPT = 5_000  # combinations of the unpinned sweep that are kept ready


class Sweep:
    """axes: name to Axis, outermost first; as an attribute, the zipped ones are among them. exclude: per entry, name to
    Axis of matching values. include: per entry, name to value. base: the inputs every job has unless something stronger
    says otherwise.
    """

    def __init__(
        self,
        axes: Mapping[str, Axis],
        exclude: Sequence[Mapping[str, Axis]],
        include: Sequence[Mapping[str, Any]],
        base: Mapping[str, Any],
        zipped: Zip | None = None,
    ) -> None:
        self._crossed = dict(axes)
        self._zip = zipped or Zip({})
        self.axes = self._crossed | self._zip.axes
        self.base = dict(base)
        self.keys = tuple(dict.fromkeys([*self.axes, *(key for entry in include for key in entry)]))
        self._names = frozenset(self.keys)
        self._exclude = list(exclude)
        self._include = list(include)
        self._all = (1 << len(self._exclude)) - 1
        self._masks = {name: self._masked(name, axis) for name, axis in self._crossed.items()}
        self.plain = not self._exclude and not self._include and not self._zip.axes
        self._has_product = bool(self.axes) or not self._include  # include alone is a list of what to make
        self._unpinned_count: int | None = None
        self._unpinned: list[dict[str, Any]] | None = None

    def pins(self, own: Mapping[str, Any]) -> Mapping[str, Any]:
        """The prompt's own values of swept names."""
        return {} if self._names.isdisjoint(own) else {name: own[name] for name in self.keys if name in own}

    def reach(self, name: str) -> tuple[Axis | None, list[Any]]:
        """Every value that a job may have here under a name that its prompt leaves open: an axis, and others; where it
        may be not given at all, a mark among them that is no value.
        """
        added = [entry[name] for entry in self._include if name in entry]
        if name not in self.axes or len(added) < len(self._include):
            added.append(self.base.get(name, _ABSENT))
        return self.axes.get(name), added

    def count(self, pins: Mapping[str, Any]) -> int:
        if not pins:
            if self._unpinned_count is None:
                self._unpinned_count = self._count(pins)
            return self._unpinned_count
        return self._count(pins)

    def _count(self, pins: Mapping[str, Any]) -> int:
        if self.plain:
            return prod(len(axis) for name, axis in self.axes.items() if name not in pins)
        return self._matched(pins)[0] * self._has_product + len(self.added(pins))

    def in_product(self, name: str, pins: Mapping[str, Any]) -> list[tuple[Any, int]]:
        """Each value of one axis, and how many combinations of the product, less those excluded, have it."""
        if not self._has_product:
            return []
        if name in self._zip.axes and name not in pins:
            return self._in_zip(name, pins)
        rest = self._matched(pins, without=name)
        values = [pins[name]] if name in pins else self.axes[name]
        by_mask: dict[int, int] = {}
        combinations = []
        for value in values:
            mask = self._mask(name, value)
            if mask not in by_mask:
                by_mask[mask] = sum(many for other, many in rest.items() if not other & mask)
            combinations.append((value, by_mask[mask]))
        return combinations

    def _in_zip(self, name: str, pins: Mapping[str, Any]) -> list[tuple[Any, int]]:
        """``in_product`` for a zipped axis: a value may stand in several rows."""
        rest = self._matched(pins, zipped=False)
        jobs: Counter[Any] = Counter()
        for row in self._zip.rows(pins):
            mask = self._row_mask({**row, **pins})
            jobs[identity(row[name])] += sum(many for other, many in rest.items() if not other & mask)
        return [(value, jobs[identity(value)]) for value in self.axes[name]]

    def product_count(self, pins: Mapping[str, Any]) -> int:
        """How many combinations of the product are not excluded."""
        return self._matched(pins)[0] * self._has_product

    def _matched(self, pins: Mapping[str, Any], without: str | None = None, *, zipped: bool = True) -> Counter[int]:
        """How many combinations of the axes (less one, or less the zipped) match which set of exclude entries."""
        masks: Counter[int] = Counter({self._all: 1})
        for name in self._crossed:
            if name != without:
                masks = _crossed(
                    masks, Counter({self._mask(name, pins[name]): 1}) if name in pins else self._masks[name]
                )
        if not zipped or not self._zip.axes:
            return masks
        without_pin = {name: value for name, value in pins.items() if name != without}
        return _crossed(masks, Counter(self._row_mask({**row, **without_pin}) for row in self._zip.rows(pins)))

    def _row_mask(self, row: Mapping[str, Any]) -> int:
        """Which exclude entries the zipped values among these match."""
        bits = self._all
        for name in self._zip.axes.keys() & row.keys():
            bits &= self._mask(name, row[name])
        return bits

    def _masked(self, name: str, axis: Axis) -> Counter[int]:
        """How many of the axis's values match which set of exclude entries."""
        named = {identity(v): v for entry in self._exclude if name in entry for v in entry[name] if v in axis}
        masks = Counter(self._mask(name, value) for value in named.values())
        masks[self._mask(name, _ABSENT)] += len(axis) - len(named)
        return +masks

    def _mask(self, name: str, value: Any) -> int:
        bits = 0
        for at, entry in enumerate(self._exclude):
            if name not in entry or (value is not _ABSENT and value in entry[name]):
                bits |= 1 << at
        return bits

    def combinations(self, pins: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The values of the swept names that the prompt does not pin, one dict a combination; lazy."""
        if pins:
            return self._combinations(pins)
        if self._unpinned is None and self.count({}) <= _MOST_KEPT:
            self._unpinned = list(self._combinations({}))
        return iter(self._unpinned) if self._unpinned is not None else self._combinations({})

    def _combinations(self, pins: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        open_axes = [(name, axis) for name, axis in self._crossed.items() if name not in pins]
        rows = self._zip.rows(pins)
        for combination in _product(open_axes, rows, {}) if self._has_product else ():
            if not self._exclude or not self._excluded({**combination, **pins}):
                yield combination
        yield from self.added(pins)

    def _excluded(self, effective: Mapping[str, Any]) -> bool:
        return any(all(effective[name] in axis for name, axis in entry.items()) for entry in self._exclude)

    def added(self, pins: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What ``include`` adds for a prompt with these pins: each once, and nothing the product has already."""
        added: dict[Any, dict[str, Any]] = {}
        for entry in self._include:
            effective = {name: self._effective(name, entry, pins) for name in self.keys}
            mark = tuple(identity(value) if value is not _ABSENT else _ABSENT for value in effective.values())
            if mark not in added and not self._in_product(effective, pins):
                added[mark] = {name: value for name, value in entry.items() if name not in pins}
        return list(added.values())

    def _effective(self, name: str, entry: Mapping[str, Any], pins: Mapping[str, Any]) -> Any:
        for values in (pins, entry, self.base):
            if name in values:
                return values[name]
        return _ABSENT

    def _in_product(self, effective: Mapping[str, Any], pins: Mapping[str, Any]) -> bool:
        for name, value in effective.items():
            if name in pins:
                continue
            if name in self.axes:
                if value is _ABSENT or value not in self.axes[name]:
                    return False
            elif value is not _ABSENT and (name not in self.base or identity(value) != identity(self.base[name])):
                return False
        if not self._zip.has(effective, pins):
            return False
        return self._has_product and not self._excluded(effective)


def _crossed(left: Counter[int], right: Counter[int]) -> Counter[int]:
    combined: Counter[int] = Counter()
    for mask, many in left.items():
        for other, more in right.items():
            combined[mask & other] += many * more
    return combined


def _product(
    axes: Sequence[tuple[str, Axis]], rows: Sequence[dict[str, Any]], chosen: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Like itertools.product, first axis outermost, the zipped rows innermost, but never turns a range into a list."""
    if not axes:
        for row in rows:
            yield {**chosen, **row}
        return
    (name, axis), *inner = axes
    for value in axis:
        yield from _product(inner, rows, {**chosen, name: value})
