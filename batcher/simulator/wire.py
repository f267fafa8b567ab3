"""Answers on the wire, whole and broken. Every one says that it comes from a simulator."""

import asyncio
import json
from collections.abc import Mapping

from aiohttp import web

from batcher.simulator.answers import Answer

MARK = {"X-Batcher-Simulator": "1"}
_PIECE = b" " * 65536


def reply(answer: Answer) -> web.Response:
    body, kind = encoded(answer)
    return web.Response(status=answer.status, body=body, content_type=kind, headers={**MARK, **answer.headers})


def encoded(answer: Answer) -> tuple[bytes, str]:
    if isinstance(answer.body, str):
        return answer.body.encode(), "text/html"
    return json.dumps(answer.body).encode(), "application/json"


def raw(body: bytes, *, kind: str, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=body, content_type=kind, headers={**MARK, **(headers or {})})


def drop(request: web.BaseRequest) -> web.StreamResponse:
    """Close the connection without a word."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()  # has nowhere to go


async def late(body: bytes, *, kind: str, seconds: float) -> web.StreamResponse:
    await asyncio.sleep(seconds)
    return raw(body, kind=kind)


async def cut(request: web.BaseRequest, body: bytes, *, kind: str) -> web.StreamResponse:
    """Announce all of the body, send half of it, hang up."""
    response = web.StreamResponse(headers={**MARK, "Content-Type": kind, "Content-Length": str(len(body))})
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    drop(request)
    return response


async def unmeasured(request: web.BaseRequest, body: bytes, *, kind: str) -> web.StreamResponse:
    """The body in chunks, without Content-Length."""
    response = web.StreamResponse(headers={**MARK, "Content-Type": kind})
    response.enable_chunked_encoding()
    await response.prepare(request)
    await response.write(body)
    await response.write_eof()
    return response


async def trickle(request: web.BaseRequest, body: bytes, *, kind: str, seconds: float) -> web.StreamResponse:
    """The body in twenty pieces with pauses between them."""
    response = web.StreamResponse(headers={**MARK, "Content-Type": kind, "Content-Length": str(len(body))})
    await response.prepare(request)
    step = max(1, -(-len(body) // 20))
    for start in range(0, len(body), step):
        await asyncio.sleep(seconds / 20)
        await response.write(body[start : start + step])
    await response.write_eof()
    return response


async def flood(request: web.BaseRequest, *, kind: str, opening: bytes, size: int | None) -> web.StreamResponse:
    """``size`` bytes, or, without one, bytes for as long as the client takes them."""
    response = web.StreamResponse(headers={**MARK, "Content-Type": kind})
    if size is not None:
        response.content_length = size
    await response.prepare(request)
    await response.write(opening[:size])
    left = size - len(opening) if size is not None else None
    while left is None or left > 0:
        if request.transport is None or request.transport.is_closing():
            break
        piece = _PIECE if left is None else _PIECE[:left]
        await response.write(piece)
        await asyncio.sleep(0)
        left = None if left is None else left - len(piece)
    return response
