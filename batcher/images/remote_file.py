"""Fetches a whole file, such as a manifest, by https or from a bucket.

No token and no cookies are sent. Size and time are limited. A redirect may lead to another public https host, and never
to plain http or into a private network. The query of a link may be a signature, so it is in no message.
"""

import asyncio
import re
from contextlib import suppress
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import aiohttp

from batcher.client.sessions import answered, session
from batcher.core.errors import DiskError, ServiceError, UsageError
from batcher.core.one_line import one_line
from batcher.core.units import show_bytes
from batcher.images.media_contents import object_at
from batcher.manifest.schema.media import BUCKETS, media_problem
from batcher.manifest.schema.media_files import Unusable

SECONDS = 600.0  # for the whole file
SILENCE = 30.0  # seconds between two pieces
_TRIES = 3
_AGAIN = 2.0  # seconds before another try
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_SECRET = re.compile(r"sig|token|key|cred|secret|pass|auth|policy|expires|x-amz|x-goog", re.IGNORECASE)
_TIMES = aiohttp.ClientTimeout(total=SECONDS, sock_connect=10.0, sock_read=SILENCE)


def is_remote(name: str) -> bool:
    """Whether it is the URL of a file and no path."""
    return name.startswith(("http://", "https://", *BUCKETS))


def shown(url: str) -> str:
    """The URL for files and messages: without user and password, and without a query that may have a secret."""
    if "://" not in url:
        return url
    plain = re.sub(r"//[^/?#]*@", "//", url).partition("#")[0]
    head, _, query = plain.partition("?")
    return head if not query or _SECRET.search(query) else plain


async def fetch(url: str, path: Path, most: int) -> str:
    """Fetch a file to ``path``. Returns the media type that the host announces, "" for none. most: bytes.

    Raises UsageError for a URL that can't be used and a file that is too large, ServiceError if the host does not give
    it, DiskError.
    """
    if url.startswith(BUCKETS):
        await asyncio.to_thread(_fetch_object, url, path, most)
        return ""
    if reason := _refusal(url, url):
        raise UsageError(f"{one_line(shown(url), 200)} {reason}", hint="Give an https URL, or a path.")
    for tries_left in reversed(range(_TRIES)):
        try:
            return await _fetch_http(url, path, most)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if not tries_left:
                why = type(error).__name__ if isinstance(error, TimeoutError) else str(error)
                raise _missing(url, one_line(why.replace(url, shown(url)).partition("?")[0], 200)) from None
        await asyncio.sleep(_AGAIN)
    raise AssertionError


async def _fetch_http(url: str, path: Path, most: int) -> str:
    def onward(before: str, location: str) -> str:
        with suppress(ValueError):
            after = urljoin(before, location)
            if not (reason := _refusal(url, after)):
                return after
            raise _missing(url, f"it redirects to {one_line(shown(after), 150)}, which {reason}")
        raise _missing(url, "it redirects to something that is not a URL")

    async with session(timeout=_TIMES) as calls, answered(calls, "GET", url, onward) as answer:
        if answer.status >= 500 or answer.status == 429:
            raise aiohttp.ClientPayloadError(f"it answers HTTP {answer.status}")
        if answer.status != 200:
            raise _missing(url, f"it answers HTTP {answer.status}")
        await _keep(url, answer, path, most)
        return answer.content_type


async def _keep(asked: str, answer: aiohttp.ClientResponse, path: Path, most: int) -> None:
    size = 0
    with path.open("wb") as file:
        async for piece in answer.content.iter_chunked(1 << 18):
            size += len(piece)
            if size > most:
                raise _too_large(asked, most)
            file.write(piece)


def _fetch_object(url: str, path: Path, most: int) -> None:
    try:
        objects, key = object_at(url)
        with path.open("wb") as file:
            for piece in objects.pieces(key, most):
                file.write(piece)
    except Unusable as error:
        raise UsageError(f"{one_line(shown(url), 200)} {error}") from None
    except KeyError:
        raise _missing(url, "there is no such object") from None
    except OverflowError:
        raise _too_large(url, most) from None
    except DiskError as error:
        raise _missing(url, error.message) from None


def _refusal(asked: str, url: str) -> str | None:
    """Why a URL is not requested, in words that follow it.

    asked: the URL that the user gave, which need not be public.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme == "http" and parts.hostname in _LOOPBACK and urlsplit(asked).scheme == "http":
            return None
    except ValueError:
        return "is not a readable URL"
    if url == asked:
        return None if parts.scheme == "https" and parts.hostname else "is not an https URL"
    return media_problem(url)


def _missing(url: str, why: str) -> ServiceError:
    return ServiceError(
        f"{one_line(shown(url), 200)} can't be fetched: {why}",
        hint="Nothing was submitted. Check the URL and the network, or download the file and give its path.",
    )


def _too_large(url: str, most: int) -> UsageError:
    return UsageError(
        f"{one_line(shown(url), 200)} has more than {show_bytes(most)}, the most that is fetched",
        hint="Nothing was submitted. Download it and give its path.",
    )
