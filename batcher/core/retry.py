"""When to try again, as data and arithmetic. Pure: the random draw and the time are arguments.

A wait is drawn from ``[cap * (1 - jitter), cap]`` with ``cap = min(wait_max, wait_initial * 2 ** n)``. So waits
differ even at the maximum, and a thousand jobs don't retry at the same instant. A ``Retry-After`` replaces
the formula; jitter is added to it, never subtracted.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from hashlib import blake2b

from batcher.core.job import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When to try again.

    attempts: tries in all, the first included; None for no limit. wait_initial, wait_max: seconds before the second
    try, and at most. jitter: share of a wait, 0 to 1, that the draw may take off.
    """

    attempts: int | None
    wait_initial: float
    wait_max: float
    jitter: float = 0.5


READS = RetryPolicy(attempts=None, wait_initial=0.5, wait_max=30.0)  # status and result: free, bounded by the deadline
REFUSALS = RetryPolicy(attempts=None, wait_initial=1.0, wait_max=60.0)  # submits refused or not sent: free
FILES = RetryPolicy(attempts=8, wait_initial=0.5, wait_max=30.0)  # a damaged download: retries are free, but must end
FILE_HOST = RetryPolicy(attempts=100, wait_initial=0.5, wait_max=60.0)  # a host that is down: an hour and more
EARLY = RetryPolicy(attempts=8, wait_initial=0.5, wait_max=8.0)  # "no such request" for an id that the service returned
FINISHED = RetryPolicy(attempts=2, wait_initial=0.5, wait_max=0.5)  # the same for a job that finished long ago
CANCELS = RetryPolicy(attempts=4, wait_initial=0.5, wait_max=5.0)

MOST_PATIENCE = 3600.0  # seconds: a longer Retry-After is cut to this, so that a broken one can't stop a run


def decide(policy: RetryPolicy, failures: int, draw: float, *, asked: float | None = None) -> float | None:
    """Seconds to wait after ``failures`` failed tries (1 after the first); None if the attempts are used up.

    draw: uniform in [0, 1). asked: seconds the service asked for, if it did.
    """
    if policy.attempts is not None and failures >= policy.attempts:
        return None
    exponent = min(failures - 1, 64)  # beyond this every float is at the cap anyway
    cap = min(policy.wait_max, policy.wait_initial * 2.0**exponent)
    wait = cap * (1.0 - policy.jitter * draw)
    if asked is not None:
        wait = min(asked, MOST_PATIENCE) + policy.jitter * draw * min(cap, 1.0)
    return wait


def draw(entry: Entry, count: int) -> float:
    """Uniform in [0, 1), from a hash of job, attempt and count, so that the order of tasks does not matter."""
    digest = blake2b(f"{entry.job.key}/{entry.attempts}/{count}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait, from the headers of an answer. A date is compared with the answer's own ``Date``, so that a
    clock difference does not matter; ``now`` (Unix seconds) is used if there is no ``Date``.
    """
    if "Retry-After" not in headers:
        return None
    with suppress(ValueError, OverflowError):
        sent = parsedate_to_datetime(headers.get("Date", ""))
        now = now if sent.tzinfo is None else sent.timestamp()
    return parse_retry_after(headers["Retry-After"], now)


def parse_retry_after(value: str, now: float) -> float | None:
    """Seconds to wait from a ``Retry-After`` header (RFC 9110 10.2.3): whole seconds or an HTTP-date.

    now: Unix seconds. None for an unreadable one; a date in the past is 0, and nothing is over
    ``MOST_PATIENCE``.
    """
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), MOST_PATIENCE) if len(text) < 10 else MOST_PATIENCE
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a time zone of a million years overflows
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)  # "-0000": UTC by RFC 5322
    return min(max(0.0, moment.timestamp() - now), MOST_PATIENCE)
