"""Fetches input files that have links to this machine, as the real service fetches public ones.

The recorded link has no query: it may be a signature, which is a secret, and another one with every submit.
"""

from collections.abc import Mapping
from typing import Any

import aiohttp
import yarl

from batcher.simulator import catalog
from batcher.simulator.answers import Refusal, invalid

MOST = 100_000_000  # bytes
_TIMEOUT = aiohttp.ClientTimeout(total=60.0)


async def fetched(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Fetches every file.

    Returns the inputs, with links as they are recorded. Raises Refusal if a file can't be had.
    """
    files: dict[str, Any] = {}
    for name, value in inputs.items():
        for url in filter(catalog.is_here, value if isinstance(value, list) else [value]):
            if why := await _wrong(str(url)):
                raise Refusal(invalid([catalog.unreachable(name, str(url), why)]))
        files[name] = [_kept(one) for one in value] if isinstance(value, list) else _kept(value)
    return files


async def _wrong(url: str) -> str:
    """Why a file can't be had, "" if it can."""
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=False) as session,
            session.get(yarl.URL(url, encoded=True), allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                return f"HTTP {answer.status}"
            size = 0
            async for piece in answer.content.iter_any():
                size += len(piece)
                if size > MOST:
                    return "it is too large"
            return "" if size else "it is empty"
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        return type(error).__name__


def _kept(value: Any) -> Any:
    return str(value).partition("?")[0] if catalog.is_here(value) else value
