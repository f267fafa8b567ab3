"""The product of the axes, less ``exclude``, plus ``include``: which combinations one prompt gets, and how many.

GitHub Actions' words: the first axis is outermost, ``exclude`` matches in part, ``include`` adds. Axes that are zipped
are one factor of the product, the innermost. ``exclude`` and ``include`` look at the
*effective* combination: an axis that a prompt pins has that one value for it, and an axis that an ``include``
leaves out has the default, or nothing. Each prompt gets each combination once.

Counting is arithmetic, but for ``exclude``: then the product is walked, up to a million combinations. Of a larger one
nothing is taken off: it is refused, or cut by ``--limit``, long before that could be seen.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from batcher.manifest.sweep.axes import Axis, identity

_ABSENT = ("absent",)
_MOST_KEPT = 5_000  # combinations of the unpinned sweep that are kept ready
MOST_WALKED = 1_000_000


class Zip:
    """Axes that go together: the first values of all of them, then the second ones, as in Python's ``zip``.

    columns: name to its values, all of one length; a value may come more than once. A name that a prompt pins has the
    prompt's value in every row; the other names keep theirs. Rows that this makes the same are one row.
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
        """Whether some row, less what is pinned, has these values."""
        return any(all(identity(values[name]) == identity(row[name]) for name in row) for row in self.rows(pins))


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
        self.plain = not self._exclude and not self._include and not self._zip.axes
        self._has_product = bool(self.axes) or not self._include  # include alone is a list of what to make
        self._unpinned_count: int | None = None
        self._unpinned: list[dict[str, Any]] | None = None

    def pins(self, own: Mapping[str, Any]) -> Mapping[str, Any]:
        """The prompt's own values of swept names."""
        return {} if self._names.isdisjoint(own) else {name: own[name] for name in self.keys if name in own}

    def count(self, pins: Mapping[str, Any]) -> int:
        if not pins:
            if self._unpinned_count is None:
                self._unpinned_count = self._count(pins)
            return self._unpinned_count
        return self._count(pins)

    def _count(self, pins: Mapping[str, Any]) -> int:
        product = prod(len(axis) for name, axis in self._crossed.items() if name not in pins)
        product *= len(self._zip.rows(pins)) * self._has_product
        if self._exclude and product <= MOST_WALKED:
            product = sum(1 for _ in self._of_product(pins))
        return product + len(self.added(pins))

    def combinations(self, pins: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The values of the swept names that the prompt does not pin, one dict a combination; lazy."""
        if pins:
            return self._combinations(pins)
        if self._unpinned is None and self.count({}) <= _MOST_KEPT:
            self._unpinned = list(self._combinations({}))
        return iter(self._unpinned) if self._unpinned is not None else self._combinations({})

    def _combinations(self, pins: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        yield from self._of_product(pins)
        yield from self.added(pins)

    def _of_product(self, pins: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The product less what ``exclude`` takes off."""
        open_axes = [(name, axis) for name, axis in self._crossed.items() if name not in pins]
        for combination in _product(open_axes, self._zip.rows(pins), {}) if self._has_product else ():
            if not self._exclude or not self._excluded({**combination, **pins}):
                yield combination

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
