"""Random numbers by hash, so that they do not depend on the order of requests.

A number is a hash of its arguments: the profile's seed, what the number is for, and the inputs or the request that it
is about. Two runs with the same seed get the same numbers.
"""

import json
from hashlib import blake2b
from statistics import NormalDist
from typing import Any

_NORMAL = NormalDist()


def chance(*what: object) -> float:
    """A number in [0, 1) that depends on the arguments and on nothing else."""
    text = "\x1f".join(map(str, what))
    digest = blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def normal(*what: object) -> float:
    """A standard normal number, within about eight deviations."""
    return _NORMAL.inv_cdf(min(max(chance(*what), 1e-15), 1 - 1e-15))


def fingerprint(model: str, inputs: Any) -> str:
    """32 hex digits that identify a request body, whatever the order of its keys."""
    text = json.dumps([model, inputs], sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=16).hexdigest()
