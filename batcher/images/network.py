"""The answer of a file host: what it announces, its body, and errors on the way."""

from urllib.parse import urljoin

import aiohttp
from aiohttp.http_exceptions import PayloadEncodingError

from batcher.core.errors import Cause, FileRefused, FileUnavailable
from batcher.core.one_line import one_line
from batcher.images.body import Body
from batcher.images.check import Limits, too_big
from batcher.images.kinds import Announced


def onward(url: str, location: str) -> str:
    """The URL that a redirect leads to. Raises FileRefused."""
    try:
        return urljoin(url, location)
    except ValueError:  # an unclosed bracket, say
        raise FileRefused(
            Cause(kind="redirects", message="the file host redirects to something that is not a link")
        ) from None


def announced_size(response: aiohttp.ClientResponse, limits: Limits) -> int | None:
    """Size of the body in bytes; None if it is unknown or the body is compressed. Raises FileRefused over the limit."""
    expected = response.content_length
    if expected is not None and expected > limits.max_bytes:
        raise too_big(expected, limits.max_bytes)
    return None if response.headers.get("Content-Encoding") else expected


def announced_kind(response: aiohttp.ClientResponse) -> Announced:
    """The media type, and the extension in the URL after all redirects."""
    mime = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return Announced(mime, response.url.suffix[1:].lower())


async def receive(response: aiohttp.ClientResponse, body: Body) -> None:
    """Read the body into ``body``, in pieces of bounded size, also if it is compressed."""
    if response.headers.get("Content-Encoding"):
        try:
            async for piece in response.content.iter_any():
                await body.add(piece)
        except (aiohttp.ClientPayloadError, PayloadEncodingError) as error:
            raise _bad_compression(error) from None
        return
    expected = response.content_length
    body.expect(expected)
    async for piece in response.content.iter_any():
        await body.add(piece)
    whole(body.size, expected)


def _bad_compression(error: Exception) -> FileUnavailable:
    """The error for a body whose compression can't be undone.

    Object stores send files compressed without being asked.
    """
    message = one_line(f"the file came in a compression that was not asked for and can't be undone: {error}", 200)
    return FileUnavailable(Cause(kind="encoding", message=message))


def whole(received: int, expected: int | None) -> int:
    """``received``, a number of bytes. Raises FileUnavailable if another number was announced."""
    if expected is not None and received != expected:
        raise FileUnavailable(Cause(kind="short_body", message=f"{received:,} of {expected:,} bytes arrived"))
    return received


class _Network:
    """A context in which every network error becomes FileUnavailable: it may pass."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, TimeoutError):
            raise FileUnavailable(Cause(kind="timeout", message="the file host did not answer in time")) from None
        if isinstance(error, aiohttp.ClientPayloadError):
            cause = Cause(kind="short_body", message="the file ended before its announced end")
            raise FileUnavailable(cause) from None
        if isinstance(error, aiohttp.ClientResponseError):  # its text quotes bytes of the answer
            raise FileUnavailable(Cause(kind="connection", message="the file host's answer is not HTTP")) from None
        if isinstance(error, aiohttp.ClientError | OSError):
            message = one_line(f"{type(error).__name__}: {error}")
            raise FileUnavailable(Cause(kind="connection", message=message)) from None


NETWORK = _Network()
