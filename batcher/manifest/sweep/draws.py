"""Drawn seeds: the same on every machine and in every version, because a job's key depends on its seed.

The n-th draw is a hash of the draw's purpose and of n, brought into the range. It depends on no random generator of a
library or a platform. A value that was drawn before is skipped, so a longer list begins with the shorter one, and a
sweep can grow.
"""

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import count
from typing import Any

from batcher.core.job import canonical_json

MOST = 100_000  # seeds of one draw: all of them are in memory


def seeds(about: Sequence[Any], many: int, among: range) -> Iterator[int]:
    """``many`` different seeds of ``among``, which must have so many. about: the purpose, as JSON data."""
    purpose = canonical_json(about).encode(errors="replace")
    drawn: set[int] = set()
    for number in count():
        if len(drawn) == many:
            return
        digest = blake2b(b"%d:" % number + purpose, digest_size=16).digest()
        seed = among[int.from_bytes(digest, "big") % len(among)]
        if seed not in drawn:
            drawn.add(seed)
            yield seed
