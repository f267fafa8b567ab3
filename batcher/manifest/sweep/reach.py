"""Which of several sweeps can make the same request: needed where groups share prompts, as most do.

Two jobs are the same request only if they have the same value under every name that any group sweeps. So for each such
name the groups are put into classes: groups whose values for it meet are of one class, and so are those that meet a
third one. A value that some prompt has itself belongs to the class that has it among its values, else to a class of its
own. Requests that differ in the class of any name differ; the other way round nothing is claimed. A sweep over wide
pictures and one over portraits are told apart by their ratios, without a look at a single job.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from batcher.manifest.sweep.axes import Axis, identity
from batcher.manifest.sweep.sweep import Sweep

_Reach = tuple[Axis | None, list[Any]]


class Classes:
    """Of the sweeps of one manifest, which go by their numbers."""

    def __init__(self, sweeps: Sequence[Sweep]) -> None:
        names = sorted({name for sweep in sweeps for name in sweep.keys}) if len(sweeps) > 1 else []
        self._reaches = {name: [sweep.reach(name) for sweep in sweeps] for name in names}
        self._classes = {name: _classes(reaches) for name, reaches in self._reaches.items()}
        self._usual = [tuple(self._classes[name][at] for name in names) for at in range(len(sweeps))]

    def of(self, sweep: int, inputs: Mapping[str, Any]) -> Hashable:
        """The same for two prompts, of the same sweep or of two, if they can have the same request in their jobs."""
        if self._reaches.keys().isdisjoint(inputs):
            return self._usual[sweep]
        return tuple(
            self._of_value(name, inputs[name]) if name in inputs else self._classes[name][sweep]
            for name in self._reaches
        )

    def _of_value(self, name: str, value: Any) -> Hashable:
        for number, reach in zip(self._classes[name], self._reaches[name], strict=True):
            if _has(reach, value):
                return number
        return identity(value), "no group's"


def _classes(reaches: Sequence[_Reach]) -> list[int]:
    """The class of each, by the number of its first member."""
    found: list[int] = []
    for at, reach in enumerate(reaches):
        met = {found[other] for other in range(at) if _meet(reach, reaches[other])}
        first = min(met, default=at)
        found = [first if number in met else number for number in found]
        found.append(first)
    return found


def _meet(one: _Reach, other: _Reach) -> bool:
    loose = any(_has(other, value) for value in one[1]) or any(_has(one, value) for value in other[1])
    return loose or (one[0] is not None and other[0] is not None and _axes_meet(one[0].values, other[0].values))


def _has(reach: _Reach, value: Any) -> bool:
    axis, others = reach
    return (axis is not None and value in axis) or any(identity(value) == identity(other) for other in others)


def _axes_meet(one: Sequence[Any], other: Sequence[Any]) -> bool:
    if isinstance(one, range) and isinstance(other, range):  # their steps are not looked at: at worst more is watched
        return max(min(one[0], one[-1]), min(other[0], other[-1])) <= min(
            max(one[0], one[-1]), max(other[0], other[-1])
        )
    short, axis = (one, Axis(other)) if not isinstance(one, range) else (other, Axis(one))
    return any(value in axis for value in short)
