"""Fuzz targets with a real socket in between: whole HTTP answers, head and body, read by the client and the downloader.

The host sends the input as it is and hangs up. What libraries log on the way would reach a person's terminal through
Python's handler of last resort, so a log record is a finding too.
"""

import asyncio
import contextlib
import gzip
import json
import logging
import zlib
from collections.abc import Sequence
from functools import cache
from random import Random

from batcher.client.api import Api
from batcher.core.errors import AccountError, CallError, FileError
from batcher.images.check import Limits
from batcher.images.fetch import Downloader
from batcher.images.trust import Trust
from tests.fuzz.answers import BODIES, can_be_kept
from tests.fuzz.manifests import readable, scratch
from tests.fuzz.mutation import as_json, mutated_tree
from tests.fuzz.pictures import TARGETS as PICTURES
from tests.fuzz.target import Target

TOKEN = "s3cret-token-0123456789"
_SMALL = Limits(max_bytes=4 << 20, max_image_bytes=2 << 20, read_timeout=20, total_timeout=40)


class Host:
    """A loop and a server that live as long as the process. answer: what the next connections get."""

    def __init__(self) -> None:
        self.answer = b""
        self.logged = _Logged()
        logging.getLogger().addHandler(self.logged)
        self.loop = asyncio.new_event_loop()
        self._server = self.loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        logging.getLogger().removeHandler(self.logged)
        self._server.close()
        self.loop.run_until_complete(self._server.wait_closed())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        host.cache_clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
            )
            await reader.readexactly(length)
            writer.write(self.answer)
            await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


class _Logged(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@cache
def host() -> Host:
    return Host()


def _quietly(served: Host) -> None:
    lines, served.logged.lines = served.logged.lines, []
    assert not lines, f"logged: {lines[0]!r}"


def _check_api(data: bytes) -> None:
    served = host()
    served.answer = data
    served.loop.run_until_complete(_call_all(served.port))
    _quietly(served)


async def _call_all(port: int) -> None:
    async with Api(f"http://127.0.0.1:{port}/v1", TOKEN) as api:
        for call in (
            api.submit("a/b", {"prompt": "a heron"}),
            api.poll("r1"),
            api.cancel("r1"),
            api.model("a/b"),
        ):
            try:
                answer = await call
                _without_token(repr(answer))
            except CallError as problem:
                can_be_kept(problem.cause)
                _without_token(str(problem))
            except AccountError as problem:
                readable(problem)
                _without_token(str(problem))


def _without_token(text: str) -> None:
    assert TOKEN not in text


def _check_file(data: bytes) -> None:
    served = host()
    served.answer = data
    served.loop.run_until_complete(_fetch(served.port))
    _quietly(served)


async def _fetch(port: int) -> None:
    folder = scratch() / "run"
    folder.mkdir(exist_ok=True)
    trust = Trust(["127.0.0.1"])
    async with Downloader(folder, trust=trust, limits=_SMALL, threads=1) as loader:
        try:
            saved = await loader.fetch(
                f"http://127.0.0.1:{port}/x", path="a/b", describe=lambda file: {"job": file.file}
            )
            (folder / saved.file).unlink()
            (folder / "images" / "a" / "b.json").unlink()
        except FileError as problem:
            can_be_kept(problem.cause)
    left = [path for path in folder.rglob("*") if path.is_file()]
    assert not left, left


def response(body: bytes, *lines: str, status: str = "200 OK") -> bytes:
    head = "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *lines))
    return head.encode("latin-1", "replace") + b"\r\n\r\n" + body


_LINES = (
    "Content-Type: application/json",
    "Content-Encoding: gzip",
    "Content-Encoding: br",
    "Content-Encoding: deflate",
    "Transfer-Encoding: chunked",
    "Set-Cookie: a\x1b[31m=b; Domain=x",
    "Set-Cookie: [x]=;;;\x7f",
    "Retry-After: 5",
    "Location: http://[::1",
    "Location: //[",
    "Location: http://127.0.0.1:99999/",
    "Location: http://a:b@c:d/",
    "Location: \\\\x",
    "X-Batcher-Simulator: 1",
    "Content-Type: a/b; charset=\x1b[2J",
    "Connection: upgrade",
    "Content-Length: 5",
    "Server: \xff",
    "Content-Range: bytes 0-5/10",
    "Trailer: x",
    "Link: <http://[>; rel=x",
)
_STATUS_LINES = (
    "200 OK",
    "200 OK",
    "200 \x1b[31mowned",
    "302 Found",
    "307 X",
    "404 X",
    "429 X",
    "500 X",
    "101 X",
    "100 X",
    "999 X",
)


def _answer(rng: Random, _corpus: Sequence[bytes]) -> bytes:
    body = as_json(mutated_tree(rng.choice(BODIES), rng), rng)
    body = rng.choice((body, body, gzip.compress(body), zlib.compress(body), body.replace(b"r1", TOKEN.encode())))
    return response(body, *rng.choices(_LINES, k=rng.randrange(4)), status=rng.choice(_STATUS_LINES))


def _file(rng: Random, _corpus: Sequence[bytes]) -> bytes:
    body = rng.choice(PICTURES[0].corpus())
    body = rng.choice((body, body, gzip.compress(body), zlib.compress(body + bytes(9_000_000))))
    return response(body, *rng.choices(_LINES, k=rng.randrange(4)), status=rng.choice(_STATUS_LINES))


_TOKENS = (
    *(line.encode("latin-1") + b"\r\n" for line in _LINES),
    b"HTTP/1.1 ",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"ffffffff\r\n",
)

TARGETS = (
    Target(
        "wire/answer",
        "HTTP answers over loopback, through the client",
        2,
        lambda: [response(json.dumps(body).encode()) for body in BODIES],
        _check_api,
        make=_answer,
        tokens=_TOKENS,
    ),
    Target(
        "wire/file",
        "HTTP answers over loopback, through the downloader",
        2,
        lambda: [response(body) for body in PICTURES[0].corpus()[:9]],
        _check_file,
        make=_file,
        tokens=_TOKENS,
    ),
)
