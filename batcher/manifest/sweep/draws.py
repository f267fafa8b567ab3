"""Drawn seeds: the same everywhere and for ever, as a job is what it sends.

The n-th draw is a hash of what the draw is for and of n, brought into the range: no state, no library's generator, no
platform's. Draws that come again are passed over, so a longer list begins with the shorter one and a sweep can grow.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import count, islice
from typing import Any

from batcher.core.job import canonical_json

MOST = 100_000  # seeds of one draw: they are held


def seeds(about: Sequence[Any], many: int, among: range) -> list[int]:
    """``many`` different ones, which ``among`` must have. about: JSON data; other data is another draw."""
    return list(islice(_different(canonical_json(about).encode(errors="replace"), among), many))


def _different(about: bytes, among: range) -> Iterator[int]:
    seen: set[int] = set()
    for number in count():
        drawn = int.from_bytes(blake2b(b"%d:" % number + about, digest_size=16).digest(), "big")
        seed = among[drawn % len(among)]
        if seed not in seen:
            seen.add(seed)
            yield seed
