"""The connections to the API, and what sends calls over them."""

from typing import Any

import aiohttp

from batcher.core.version import __version__

IDLE = 4.0  # seconds: an older idle connection may be closing just as a submit leaves on it, which puts it in doubt


class Sessions:
    """A session for reads and one for submits, over the same connections.

    Only submits tell when their first byte goes out (``trace_request_ctx``, called without arguments): aiohttp's traces
    cost a tenth of a call, and a read does not need them.
    """

    def __init__(self, token: str, connections: int) -> None:
        """connections: how many may be open at once. To be made inside the event loop."""
        connector = aiohttp.TCPConnector(limit=connections, keepalive_timeout=IDLE)
        self.reads = _session(connector, token, [])
        self.submits = _session(connector, token, [_departures()])
        self._connector = connector

    async def close(self) -> None:
        await self.reads.close()
        await self.submits.close()
        await self._connector.close()


def _session(connector: aiohttp.TCPConnector, token: str, traces: list[aiohttp.TraceConfig]) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        connector_owner=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "User-Agent": f"batcher/{__version__}",
        },
        trust_env=False,  # a netrc or proxy must not see the token
        trace_configs=traces,
    )


def _departures() -> aiohttp.TraceConfig:
    """Tells a call that its head and body are about to be handed to the system, in this very turn of the event loop."""

    async def leave(_session: object, context: Any, _facts: object) -> None:
        context.trace_request_ctx()

    trace = aiohttp.TraceConfig()
    trace.on_request_chunk_sent.append(leave)  # "sent" is aiohttp's word: it is called before the chunk is written
    return trace
