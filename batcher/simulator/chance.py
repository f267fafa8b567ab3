"""Every random number of the simulator, without a generator anybody shares.

A draw is a hash of what is asked: the profile's seed, what the number is for, and the inputs or the request it is
about. So it does not matter in which order requests arrive, and two runs with one seed agree to the last digit.
"""

import json
from hashlib import blake2b
from statistics import NormalDist
from typing import Any

_NORMAL = NormalDist()


def chance(*what: object) -> float:
    """A number in [0, 1) that depends on what is asked and on nothing else."""
    text = "\x1f".join(map(str, what))
    digest = blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def normal(*what: object) -> float:
    """A standard normal number; never beyond about eight deviations."""
    return _NORMAL.inv_cdf(min(max(chance(*what), 1e-15), 1 - 1e-15))


def fingerprint(model: str, inputs: Any) -> str:
    """32 hex digits that tell one request body from another, whatever the order of its keys."""
    text = json.dumps([model, inputs], sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=16).hexdigest()
