"""HTTP sessions without cookies, and without proxies and passwords from the environment; redirects; JSON bodies."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from batcher.core.errors import DiskError
from batcher.core.version import __version__

IDLE = 4.0  # seconds an idle connection is kept: the service may close an older one just as a submit is sent on it
MOST_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})


def session(token: str | None = None, **options: Any) -> aiohttp.ClientSession:
    """A new session; call it in a running event loop.

    token: sent with every request; None for hosts that must not see it. options: of ``aiohttp.ClientSession``.
    """
    headers = {"User-Agent": f"batcher/{__version__}", "Accept": "*/*" if token is None else "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    headers |= options.pop("headers", {})
    return aiohttp.ClientSession(headers=headers, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False, **options)


@asynccontextmanager
async def answered(
    calls: aiohttp.ClientSession, method: str, url: str, onward: Callable[[str, str], str], **options: Any
) -> AsyncIterator[aiohttp.ClientResponse]:
    """The answer after all redirects, as an async context manager.

    onward: gives the next URL from a URL and the ``Location`` of its answer, or raises. options: of
    ``ClientSession.request``. Raises aiohttp.ClientError, also for more than MOST_REDIRECTS redirects, TimeoutError.
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
    """A JSON body that reports when it is sent.

    content: UTF-8 JSON.
    leaving: called right before the request is handed to the system. If it raises DiskError, nothing is sent.

    Attributes: ``left``, whether the request was handed over; ``held_back``, the DiskError of ``leaving``.
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
