"""A file host's answer as it arrives, and what can go wrong on the way."""

from urllib.parse import urljoin

import aiohttp

from batcher.core.errors import Cause, FileRefused, FileUnavailable
from batcher.core.one_line import one_line
from batcher.images.body import Body
from batcher.images.check import Limits, too_big
from batcher.images.unpack import Unpacker


def onward(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:  # an unclosed bracket, say
        raise FileRefused(Cause(kind="redirects", message="the file host redirects to what is not a link")) from None


def announced(response: aiohttp.ClientResponse, limits: Limits) -> int | None:
    """Bytes that the body will have, where the host says so and sends it as it is. Raises FileRefused over the cap."""
    expected = response.content_length
    if expected is not None and expected > limits.max_bytes:
        raise too_big(expected, limits.max_bytes)
    return None if response.headers.get("Content-Encoding") else expected


async def receive(response: aiohttp.ClientResponse, body: Body) -> None:
    expected = response.content_length
    encoding = response.headers.get("Content-Encoding", "")
    unpacker = Unpacker(encoding)
    if not encoding:
        body.expect(expected)
    received = 0
    async for arrived in response.content.iter_any():
        received += len(arrived)
        for piece in unpacker.feed(arrived):
            await body.add(piece)
    whole(received, expected)
    unpacker.finish()


def whole(received: int, expected: int | None) -> int:
    if expected is not None and received != expected:
        raise FileUnavailable(Cause(kind="short_body", message=f"{received:,} of {expected:,} bytes arrived"))
    return received


class _Network:
    """What can go wrong between here and the file host may pass, all of it."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, TimeoutError):
            raise FileUnavailable(Cause(kind="timeout", message="the file host did not answer in time")) from None
        if isinstance(error, aiohttp.ClientPayloadError):
            cause = Cause(kind="short_body", message="the file ended before its announced end")
            raise FileUnavailable(cause) from None
        if isinstance(error, aiohttp.ClientResponseError):  # its text quotes the answer, binary and all
            raise FileUnavailable(Cause(kind="connection", message="the file host's answer is not HTTP")) from None
        if isinstance(error, aiohttp.ClientError | OSError):
            message = one_line(f"{type(error).__name__}: {error}")
            raise FileUnavailable(Cause(kind="connection", message=message)) from None


NETWORK = _Network()
