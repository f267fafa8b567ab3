"""``--split train=0.9,test=0.1``: where a picture goes is settled by a hash of its job or its prompt alone.

So it never changes as a run grows, and no two machines disagree. The price: the shares are kept on the average only.
"""

import math
import re
from bisect import bisect_right
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate

from batcher.core.errors import UsageError

WHOLE = "train"  # what readers call a dataset that is not split
_PART = re.compile(r"\s*([a-z][a-z0-9_]{0,30})\s*=\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*(%?)\s*")


@dataclass(frozen=True, slots=True)
class Splits:
    """names, and the hash (of 2^64) below which each ends."""

    names: tuple[str, ...]
    ends: tuple[int, ...]

    def of(self, key: str) -> str:
        if len(self.names) == 1:
            return self.names[0]
        digest = blake2b(key.encode(errors="replace"), digest_size=8, person=b"batcher-split").digest()
        return self.names[bisect_right(self.ends, int.from_bytes(digest, "big"))]


ONE = Splits((WHOLE,), (2**64,))


def parse_splits(text: str) -> Splits:
    """Raises UsageError."""
    shares: dict[str, float] = {}
    for part in text.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise _wrong(text, f"{part.strip()!r} is not NAME=SHARE with a lower-case name")
        if match[1] in shares:
            raise _wrong(text, f"{match[1]} appears twice")
        shares[match[1]] = float(match[2]) / (100 if match[3] else 1)
    total = sum(shares.values())
    if not math.isclose(total, 1, abs_tol=1e-6) or min(shares.values()) <= 0:
        raise _wrong(text, f"the shares must be above 0 and add up to 1, but they add up to {total:g}")
    ends = [round(2**64 * share) for share in accumulate(shares.values())]
    return Splits(tuple(shares), (*ends[:-1], 2**64))


def _wrong(text: str, what: str) -> UsageError:
    return UsageError(
        f"--split {text!r}: {what}", hint="Write --split train=0.9,test=0.1 or --split train=90%,test=10%."
    )
