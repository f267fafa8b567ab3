"""Groups: jobs that differ only in seed and copy number.

A group is one prompt at one ratio, say, with all its seeds: a person picks one of its images. ``more`` adds
seeds to groups, ``pick --best`` and ``export --to pairs`` choose within them, the page shows them side by side.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

from batcher.core.job import canonical_json

SEEDS = ("seed", "noise_seed", "random_seed", "rand_seed", "generator_seed")
"""Names under which models of the catalogue take a seed, the usual one first."""


def seed_input(inputs: Iterable[str]) -> str | None:
    """The name of the input that holds the seed, or None."""
    by_plain = {name.lower().replace("-", "_"): name for name in inputs}
    return next((by_plain[name] for name in SEEDS if name in by_plain), None)


def seed_of(inputs: Mapping[str, Any]) -> Any:
    """The seed as sent, or None."""
    name = seed_input(inputs)
    return None if name is None else inputs[name]


def group_key(model: str, inputs: Mapping[str, Any]) -> str:
    """The key of a job's group, 32 hex digits."""
    seed = seed_input(inputs)
    rest = {name: value for name, value in inputs.items() if name != seed}
    return blake2b(canonical_json([model, rest]).encode(errors="replace"), digest_size=16, person=b"group").hexdigest()
