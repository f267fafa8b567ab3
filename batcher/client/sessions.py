"""HTTP sessions: without cookies, and without what the machine says of proxies and passwords."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from batcher.core.version import __version__

IDLE = 4.0  # seconds: an older idle connection may be closing just as a submit leaves on it, which puts it in doubt

MOST_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Sessions:
    """A session for reads and one for submits, over the same connections.

    Only submits tell when their first byte goes out (``trace_request_ctx``, called without arguments): aiohttp's traces
    cost a tenth of a call, and a read does not need them.
    """

    def __init__(self, token: str, connections: int) -> None:
        """connections: how many may be open at once. To be made inside the event loop."""
        connector = aiohttp.TCPConnector(limit=connections, keepalive_timeout=IDLE)
        self.reads = session(token, connector=connector, connector_owner=False)
        self.submits = session(token, connector=connector, connector_owner=False, trace_configs=[_departures()])
        self._connector = connector

    async def close(self) -> None:
        await self.reads.close()
        await self.submits.close()
        await self._connector.close()


def session(token: str | None = None, **options: Any) -> aiohttp.ClientSession:
    """To be made inside the event loop. token: None for hosts that must never see it. options: of aiohttp's."""
    headers = {"User-Agent": f"batcher/{__version__}", "Accept": "*/*" if token is None else "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    headers |= options.pop("headers", {})
    return aiohttp.ClientSession(headers=headers, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, **options)


@asynccontextmanager
async def answered(
    calls: aiohttp.ClientSession, method: str, url: str, onward: Callable[[str, str], str], **options: Any
) -> AsyncIterator[aiohttp.ClientResponse]:
    """The last answer of a chain of redirects. onward: gives the next URL for a URL and its ``Location``, or raises.

    Raises what aiohttp raises, ClientError also for redirects without end.
    """
    for _ in range(MOST_REDIRECTS + 1):
        async with calls.request(method, url, allow_redirects=False, **options) as answer:
            location = answer.headers.get("Location")
            if answer.status not in REDIRECTS or not location:
                yield answer
                return
            url = onward(url, location)
    raise aiohttp.ClientError("it redirects without end")


def _departures() -> aiohttp.TraceConfig:
    """Tells a call that its head and body are about to be handed to the system, in this very turn of the event loop."""

    async def leave(_session: object, context: Any, _facts: object) -> None:
        context.trace_request_ctx()

    trace = aiohttp.TraceConfig()
    trace.on_request_chunk_sent.append(leave)  # "sent" is aiohttp's word: it is called before the chunk is written
    return trace
