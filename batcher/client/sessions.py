"""HTTP sessions, without cookies and what the machine says of proxies and passwords; and what is sent on them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from batcher.core.errors import DiskError
from batcher.core.version import __version__

IDLE = 4.0  # seconds: an older idle connection may be closing just as a submit leaves on it, which puts it in doubt
MOST_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})


def open_session(token: str, connections: int) -> aiohttp.ClientSession:
    """Of the API. connections: how many may be open at once. To be called inside the event loop."""
    return session(token, connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=IDLE))


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


class JsonBody(aiohttp.BytesPayload):
    """A body that knows when it leaves. leaving: called when head and body are about to be handed to the system, in
    this very turn of the event loop; they are not where it raises DiskError, which is then ``held_back``.
    """

    def __init__(self, content: bytes, leaving: Callable[[], None] | None) -> None:
        super().__init__(content, content_type="application/json")
        self._leaving = leaving
        self.left = False
        self.held_back: DiskError | None = None

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        if self._leaving is not None:
            try:
                self._leaving()
            except DiskError as problem:
                self.held_back = problem
                raise
        self.left = True
        await super().write_with_length(writer, content_length)
