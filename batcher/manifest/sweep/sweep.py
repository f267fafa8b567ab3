"""The product of the axes, less ``exclude``, plus ``include``: which combinations one prompt gets, and how many.

The words are those of GitHub Actions: the first axis is outermost, ``exclude`` matches in part, ``include`` adds.
Zipped axes are one factor of the product, the innermost. A prompt *pins* an axis by giving the input itself.
``exclude`` and ``include`` look at the *effective* combination: a pinned axis has the prompt's value, and an axis that
an ``include`` leaves out has the default, or nothing. Each prompt gets each combination once.

Counting is arithmetic, except with ``exclude``: then the product is walked, up to a million combinations. The count of
a larger one ignores ``exclude``: it is refused, or cut by ``--limit``, before the difference could matter.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from math import prod
from typing import Any

from batcher.manifest.sweep.axes import Axis, identity

_ABSENT = ("absent",)
_MOST_KEPT = 5_000  # combinations of the unpinned sweep that are kept ready
MOST_WALKED = 1_000_000


class Zip:
    """Axes that go together: the first values of all of them, then the second ones, as in Python's ``zip``.

    columns: by name its values, all of one length; a value may come more than once. A name that a prompt pins has the
    prompt's value in every row; the other names keep theirs. Rows that become equal by that are one row.
    """

    def __init__(self, columns: Mapping[str, Sequence[Any]]) -> None:
        self._columns = {name: tuple(values) for name, values in columns.items()}
        self._open: dict[frozenset[str], list[dict[str, Any]]] = {}
        self.axes = {name: Axis(values) for name, values in self._columns.items()}

    def rows(self, pins: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The different rows in order, without the pinned names; a single empty row when all are pinned."""
        pinned = frozenset(self._columns.keys() & pins.keys())
        if pinned not in self._open:
            names = [name for name in self._columns if name not in pinned]
            rows: dict[Any, dict[str, Any]] = {}
            for values in zip(*(self._columns[name] for name in names), strict=True):
                rows.setdefault(tuple(map(identity, values)), dict(zip(names, values, strict=True)))
            self._open[pinned] = list(rows.values()) if names else [{}]
        return self._open[pinned]

    def has(self, values: Mapping[str, Any], pins: Mapping[str, Any]) -> bool:
        """Whether a row has these values; pinned names do not count."""
        return any(all(identity(values[name]) == identity(row[name]) for name in row) for row in self.rows(pins))


class Sweep:
    """The combinations of one group.

    axes: by name, outermost first. exclude: for each entry, by name the Axis of matching values. include: for each
    entry, by name the value. base: the inputs of every job that the sweep and the prompt do not give. zipped: axes that
    go together.

    ``axes`` has the zipped ones, too. ``keys``: all names that the sweep may give. ``plain``: whether it is a product
    and nothing else.
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
        self._exclude, self._include = list(exclude), list(include)
        self.plain = not self._exclude and not self._include and not self._zip.axes
        self._has_product = bool(self.axes) or not self._include  # include alone is a list of what to make

    def pins(self, own: Mapping[str, Any]) -> Mapping[str, Any]:
        """The prompt's own values of swept names. own: its inputs."""
        return {} if self._names.isdisjoint(own) else {name: own[name] for name in self.keys if name in own}

    def count(self, pins: Mapping[str, Any]) -> int:
        """The number of combinations of a prompt with these pins."""
        return self._count(pins) if pins else self._unpinned_count

    @cached_property
    def _unpinned_count(self) -> int:
        return self._count({})

    def _count(self, pins: Mapping[str, Any]) -> int:
        product = prod(len(axis) for name, axis in self._crossed.items() if name not in pins)
        product *= len(self._zip.rows(pins)) * self._has_product
        if self._exclude and product <= MOST_WALKED:
            product = sum(1 for _ in self._of_product(pins))
        return product + len(self.added(pins))

    def combinations(self, pins: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The values of the swept names that the prompt does not pin, one dict for each combination; lazy."""
        is_kept = not pins and self._unpinned_count <= _MOST_KEPT
        return iter(self._unpinned if is_kept else chain(self._of_product(pins), self.added(pins)))

    @cached_property
    def _unpinned(self) -> list[dict[str, Any]]:
        return [*self._of_product({}), *self.added({})]

    def _of_product(self, pins: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The product less what ``exclude`` takes off."""
        open_axes = [(name, axis) for name, axis in self._crossed.items() if name not in pins]
        for combination in _product(open_axes, self._zip.rows(pins), {}) if self._has_product else ():
            if not self._exclude or not self._excluded({**combination, **pins}):
                yield combination

    def _excluded(self, effective: Mapping[str, Any]) -> bool:
        return any(all(effective[name] in axis for name, axis in entry.items()) for entry in self._exclude)

    def added(self, pins: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What ``include`` adds for a prompt with these pins: each combination once, and none of the product's."""
        added: dict[Any, dict[str, Any]] = {}
        for entry in self._include:
            effective = {name: self._effective(name, entry, pins) for name in self.keys}
            identities = tuple(identity(value) if value is not _ABSENT else _ABSENT for value in effective.values())
            if identities not in added and not self._in_product(effective, pins):
                added[identities] = {name: value for name, value in entry.items() if name not in pins}
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


def _product(
    axes: Sequence[tuple[str, Axis]], rows: Sequence[dict[str, Any]], chosen: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """As ``itertools.product``, the zipped rows innermost, but no range is turned into a list."""
    if not axes:
        for row in rows:
            yield {**chosen, **row}
        return
    (name, axis), *inner = axes
    for value in axis:
        yield from _product(inner, rows, {**chosen, name: value})
