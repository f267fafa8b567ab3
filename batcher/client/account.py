"""Asks, free, whether the service works and accepts the token, and for the balance."""

import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import aiohttp

from batcher.client.api import READ, SIMULATOR_HEADER, checked_base
from batcher.client.protocol import Reply, read_json, read_status
from batcher.client.sessions import session
from batcher.core.errors import AccountError, CallError
from batcher.core.one_line import one_line

# No such request exists: the service answers "not found" to an accepted token, and refuses another.
NO_REQUEST = "00000000-0000-0000-0000-000000000000"
_BALANCE = "/prod/v2/balance"  # as RunComfy's own command line asks, but only of the origin that the token is for
_MOST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The state of the service.

    reachable: whether it answered.
    accepted: whether it accepts the token; None if the answer does not say.
    trouble: what is wrong, in words; "" for nothing.
    seconds: how long the answer took.
    skew: this machine's clock minus the service's, in seconds; None if the answer has no date.
    simulated: whether it is the simulator.
    balance: dollars, None if unknown.
    """

    reachable: bool
    accepted: bool | None
    trouble: str = ""
    seconds: float = 0.0
    skew: float | None = None
    simulated: bool = False
    balance: float | None = None


async def probe(base_url: str, token: str) -> Probe:
    """Ask for the status of a request that does not exist, and for the balance. Raises UsageError for a bad base URL.

    The token goes to the origin of ``base_url`` and nowhere else. RunComfy keeps balances at another origin, so the
    balance is unknown there.
    """
    root = checked_base(base_url)
    async with session(token) as calls:
        began = time.monotonic()
        try:
            reply, answer = await _get(calls, f"{root}/requests/{NO_REQUEST}/status")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            reason = one_line(str(error).replace(token, "[token]"), 200) or type(error).__name__
            return Probe(reachable=False, accepted=None, trouble=reason)
        seconds = time.monotonic() - began
        accepted, trouble = _acceptance(reply)
        balance = await _balance(calls, root) if accepted else None
    return Probe(
        reachable=True, accepted=accepted, trouble=trouble.replace(token, "[token]"), seconds=seconds,
        skew=_skew(answer.get("Date")), simulated=SIMULATOR_HEADER in answer, balance=balance,
    )  # fmt: skip


def _acceptance(reply: Reply) -> tuple[bool | None, str]:
    """``accepted`` and ``trouble`` of a Probe."""
    try:
        read_status(reply)
    except AccountError as error:
        return False, error.message
    except CallError as error:
        ill = reply.status >= 500 or 300 <= reply.status < 400 or error.cause.kind == "unreadable"
        return (None, f"HTTP {reply.status}: {error.cause.message}") if ill else (True, "")
    return True, ""


async def _balance(calls: aiohttp.ClientSession, root: str) -> float | None:
    """Dollars, None if unknown."""
    parts = urlsplit(root)
    try:
        reply, _ = await _get(calls, f"{parts.scheme}://{parts.netloc}{_BALANCE}")
        usd = read_json(reply).get("balance_usd")
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError, CallError, AccountError):
        return None
    return float(usd) if isinstance(usd, (int, float)) and not isinstance(usd, bool) else None


async def _get(calls: aiohttp.ClientSession, url: str) -> tuple[Reply, dict[str, str]]:
    async with calls.get(url, allow_redirects=False, timeout=aiohttp.ClientTimeout(total=READ)) as response:
        body = await response.content.read(_MOST_BYTES)
        return Reply(response.status, body), dict(response.headers)


def _skew(date: str | None) -> float | None:
    """``skew`` of a Probe, from a ``Date`` header."""
    try:
        return None if date is None else time.time() - parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
