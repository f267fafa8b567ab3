"""``--split train=0.9,test=0.1``: a hash of its job or its prompt decides which split an image is in.

So the split of an image does not change as a run grows, and is the same on every machine. The shares are kept only on
average.
"""

import math
import re
from bisect import bisect_right
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate

from batcher.core.errors import UsageError

WHOLE = "train"  # readers call a dataset without splits so
_PART = re.compile(r"\s*([a-z][a-z0-9_]{0,30})\s*=\s*([0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*(%?)\s*")


@dataclass(frozen=True, slots=True)
class Splits:
    """The splits of an export. names: in order. ends: for each, the end (exclusive) of its range of 64-bit hashes."""

    names: tuple[str, ...]
    ends: tuple[int, ...]

    def of(self, key: str) -> str:
        """The name of the split that a key, such as a prompt, is in."""
        if len(self.names) == 1:
            return self.names[0]
        digest = blake2b(key.encode(errors="replace"), digest_size=8, person=b"batcher-split").digest()
        return self.names[bisect_right(self.ends, int.from_bytes(digest, "big"))]


ONE = Splits((WHOLE,), (2**64,))


def parse_splits(text: str) -> Splits:
    """Parse ``train=0.9,test=0.1`` or ``train=90%,test=10%``. Raises UsageError."""
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
