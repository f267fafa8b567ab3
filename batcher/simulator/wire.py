"""Sends answers, whole or broken. A header of each says that it comes from a simulator."""

import asyncio
import json
from collections.abc import Iterable
from itertools import chain, repeat

from aiohttp import web

from batcher.simulator.answers import HTML, Answer
from batcher.simulator.faults import Fault

HEADER = {"X-Batcher-Simulator": "1"}
_PIECE = b" " * 65536
_PAGES = {"html_200": HTML.format("Just a moment..."), "empty_200": "", "empty": ""}


def reply(answer: Answer) -> web.Response:
    """An answer as aiohttp sends it, with the mark of the simulator."""
    body, kind = encoded(answer)
    return web.Response(status=answer.status, body=body, content_type=kind, headers={**HEADER, **answer.headers})


def encoded(answer: Answer) -> tuple[bytes, str]:
    """The body and its media type."""
    if isinstance(answer.body, str):
        return answer.body.encode(), "text/html"
    return json.dumps(answer.body).encode(), "application/json"


def raw(body: bytes, *, kind: str) -> web.Response:
    """kind: media type."""
    return web.Response(body=body, content_type=kind, headers=HEADER)


def drop(request: web.BaseRequest) -> web.StreamResponse:
    """Close the connection without an answer."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()  # aiohttp wants one; it is not sent


async def stream(
    request: web.BaseRequest, pieces: Iterable[bytes], *, kind: str, length: int | None = None, pause: float = 0.0
) -> web.StreamResponse:
    """Send pieces for as long as the client takes them.

    kind: media type. length: Content-Length, None for none; if the pieces are shorter, the connection is closed.
    pause: seconds before each piece.
    """
    response = web.StreamResponse(headers={**HEADER, "Content-Type": kind})
    response.content_length = length
    await response.prepare(request)
    left = length
    for piece in pieces:
        await asyncio.sleep(pause)
        if request.transport is None or request.transport.is_closing():
            break
        await response.write(piece if left is None else piece[:left])
        left = None if left is None else left - len(piece)
        if left is not None and left <= 0:
            break
    if left is not None and left > 0:
        drop(request)
    return response


async def spoilt(
    rule: Fault, request: web.BaseRequest, body: bytes, *, kind: str, opening: bytes = b""
) -> web.StreamResponse | None:
    """The response that a rule makes of a good answer; None if the rule does not break the transport.

    body, kind: of the good answer. opening: first bytes of a body that is huge or never ends.
    """
    if rule.kind in _PAGES:
        return reply(Answer(200, _PAGES[rule.kind]))
    if rule.kind in {"drop", "drop_after"}:
        return drop(request)
    if rule.kind == "slow":
        await asyncio.sleep(rule.seconds)
        return raw(body, kind=kind)
    step = max(1, -(-len(body) // 20))
    flood, half = chain([opening], repeat(_PIECE)), [body[: len(body) // 2]]
    ways: dict[str, tuple[Iterable[bytes], int | None]] = {
        "trickle": ((body[start : start + step] for start in range(0, len(body), step)), len(body)),
        "no_length": ([body], None),
        "cut": (half, len(body)),
        "truncated": (half, len(body)),
        "huge": (flood, rule.size),
        "endless": (flood, None),
    }
    if rule.kind not in ways:
        return None
    pieces, length = ways[rule.kind]
    pause = rule.seconds / 20 if rule.kind == "trickle" else 0.0
    return await stream(request, pieces, kind=kind, length=length, pause=pause)
