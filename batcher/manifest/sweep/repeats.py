"""``repeat: n``: a prompt n times, each copy with a drawn seed.

The seeds depend only on the prompt's text and the number of the copy. So a prompt has the same seeds in every
combination of the sweep, keeps them wherever it stands in the manifest, and a larger n adds to them. They are inputs
like any other, and are stored before they are sent. A prompt with a ``seed`` of its own is made once: a ``repeat`` of
the defaults, the flags or its file does not count for it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from batcher.manifest.schema.inputs import ModelInputs
from batcher.manifest.sweep.axes import BadAxis
from batcher.manifest.sweep.draws import MOST, seeds


@dataclass(frozen=True, slots=True)
class Repeat:
    """How often a prompt is made. times: 1 or more. among: the seeds that may be drawn."""

    times: int
    among: range

    def seeds(self, inputs: Mapping[str, Any]) -> Iterator[int]:
        """A seed for each copy of the prompt with these inputs, vars filled in."""
        return seeds(["repeat", str(inputs.get("prompt"))], self.times, self.among)


@dataclass(frozen=True, slots=True)
class Repeats:
    """Reads ``repeat``. seed_is_taken: whether the sweep, the defaults or the flags give ``seed``. group: name of the
    group, None where there are no groups.

    model_inputs: say whether the model takes seeds, and which.
    """

    model_inputs: ModelInputs
    seed_is_taken: bool
    group: str | None = None

    def read(self, times: Any) -> Repeat:
        """``times``, from YAML data or a flag, as a Repeat. Raises BadAxis."""
        if not self.model_inputs.knows("seed") or not self.model_inputs.of("seed").takes_ranges:
            raise BadAxis("the model takes no seed, and copies would all be the same request", "remove it")
        if self.seed_is_taken:
            mend = "keep one of them (matrix, zip, include, defaults and --set can give seeds)"
            where = f" in the group `{self.group}`" if self.group else ""
            raise BadAxis(f"`repeat` draws seeds, and `seed` is already given{where}", mend)
        among = self.model_inputs.of("seed").drawn_from
        most = min(len(among), MOST)
        if type(times) is not int or not 1 <= times <= most:
            raise BadAxis("`repeat` is a number of copies", f"write a number from 1 to {most:,}")
        return Repeat(times, among)
