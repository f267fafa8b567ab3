"""Checks links to input files before anything is paid for, as the service fetches them itself.

The check is a HEAD without token and cookies; if a host refuses that, a GET of the first byte (a pre-signed link is
valid for one method). A refusal or a web page is an error. What may pass (no answer, 5xx) and what the service only
advises against (over 50 MB for images, 100 MB for videos) are warnings.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urljoin

import aiohttp

from batcher.client.sessions import answered, session
from batcher.core.one_line import one_line
from batcher.manifest.schema.media import ADVISED, Wanted, media_problem

TIMEOUT = aiohttp.ClientTimeout(total=15.0, sock_connect=10.0)  # of one call
TOGETHER = 16
LONGEST = 60.0  # seconds, for all of them
_KINDS = frozenset({"image", "video", "audio", "text", "font"})  # first words of media types
_NO = frozenset({400, 401, 402, 403, 404, 410, 451})


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem with a link. url: as sent. reason: words that follow it. error: whether the service certainly can't
    fetch it.
    """

    url: str
    reason: str
    error: bool


async def check_links(urls: Mapping[str, Wanted], *, public_only: bool = True) -> dict[str, Finding]:
    """Problems by URL, for those that have one. urls: each with what its input takes. public_only: whether redirects
    may only lead to public https hosts.
    """
    places = asyncio.Semaphore(TOGETHER)
    findings: dict[str, Finding] = {}
    async with session(timeout=TIMEOUT) as calls:

        async def one(url: str) -> None:
            async with places:
                reason, error = await _checked(calls, url, urls[url], public_only=public_only)
            if reason:
                findings[url] = Finding(url, reason, error)

        with suppress(TimeoutError):  # links that were not checked by then are left to the service
            async with asyncio.timeout(LONGEST):
                await asyncio.gather(*(one(url) for url in urls))
    return findings


async def _checked(calls: aiohttp.ClientSession, url: str, wanted: Wanted, *, public_only: bool) -> tuple[str, bool]:
    try:
        answer = await _ask(calls, "HEAD", url, public_only=public_only)
        if not 200 <= answer.status < 300:
            answer = await _ask(calls, "GET", url, public_only=public_only)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        return f"can't be reached from here: {one_line(str(error), 150) or type(error).__name__}", False
    if answer.status in _NO:
        return f"answers HTTP {answer.status} without cookies and login, so the service can't fetch it", True
    if not 200 <= answer.status < 300:
        return f"answers HTTP {answer.status}", False
    if answer.kind in {"text/html", "application/xhtml+xml"}:
        return "is a web page, and not a file", True
    return _odd(answer, wanted), False


def _odd(answer: "_Answer", wanted: Wanted) -> str:
    """Why the input may not take a file that can be fetched; "" if nothing is wrong."""
    kind = answer.kind.partition("/")[0]
    if wanted.kind and kind in _KINDS and kind != wanted.kind:
        return f"is {answer.kind}, and the input takes {wanted.kind} files"
    most = min(ADVISED[kind], wanted.most) if kind in ADVISED else None
    if most is not None and answer.size is not None and answer.size > most:
        return f"has {answer.size / 1e6:,.0f} MB; the service advises at most {most / 1e6:.0f} MB"
    return ""


@dataclass(frozen=True, slots=True)
class _Answer:
    """status: of HTTP. kind: media type. size: in bytes, None if the host does not say."""

    status: int
    kind: str
    size: int | None


async def _ask(calls: aiohttp.ClientSession, method: str, url: str, *, public_only: bool) -> _Answer:
    def onward(url: str, location: str) -> str:
        url = urljoin(url, location)
        if public_only and (reason := media_problem(url)):
            raise ValueError(f"redirects to {one_line(url, 100)}, which {reason}")
        return url

    headers = {"Range": "bytes=0-0"} if method == "GET" else {}
    async with answered(calls, method, url, onward, headers=headers) as answer:
        whole = answer.headers.get("Content-Range", "").rpartition("/")[2]
        size = int(whole) if whole.isascii() and whole.isdigit() else answer.content_length
        return _Answer(answer.status, answer.content_type, None if size == 1 else size)
