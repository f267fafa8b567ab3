"""The connections to the API, and what is sent over them."""

from collections.abc import Callable

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from batcher.core.errors import DiskError
from batcher.core.version import __version__

IDLE = 4.0  # seconds: an older idle connection may be closing just as a submit leaves on it, which puts it in doubt


def open_session(token: str, connections: int) -> aiohttp.ClientSession:
    """connections: how many may be open at once. To be called inside the event loop."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=IDLE),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "User-Agent": f"batcher/{__version__}",
        },
        trust_env=False,  # a netrc or proxy must not see the token
    )


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
