"""A service whose every byte is the test's own, over real sockets."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Script = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Seen:
    """One request. target: path and query as they came. headers: names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class RudeServer:
    """answers: what each request gets, in order, the last one for ever: whole answers as bytes, or scripts."""

    answers: list[bytes | Script]
    seen: list[Seen] = field(default_factory=list)
    port: int = 0
    _serving: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                self.seen.append(await _request(reader))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if isinstance(answer, bytes):
                    writer.write(answer)
                    await writer.drain()
                else:
                    await answer(writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()
            self._serving.discard(task)

    async def stop(self) -> None:
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)


async def _request(reader: asyncio.StreamReader) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
    return Seen(method, target, headers, await reader.readexactly(int(headers.get("content-length", 0))))


@asynccontextmanager
async def serving(*answers: bytes | Script) -> AsyncIterator[RudeServer]:
    rude = RudeServer(list(answers))
    server = await asyncio.start_server(rude.serve, "127.0.0.1", 0)
    rude.port = server.sockets[0].getsockname()[1]
    try:
        yield rude
    finally:
        server.close()
        await rude.stop()
        await server.wait_closed()


def answer(body: Any = b"", status: int = 200, length: int | None = None, **headers: str) -> bytes:
    """length: what the header claims, when it is not the truth."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Content-Length": str(len(content) if length is None else length), "Connection": "close"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + content


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def never(writer: asyncio.StreamWriter) -> None:
    """Takes the request and says nothing."""
    await asyncio.Event().wait()


ACCEPTED = answer({"request_id": "r-1", "status": "in_queue"})
WAITING = answer({"request_id": "r-1", "status": "in_progress"})
DONE = answer({"status": "succeeded", "output": {"image": "https://files.runcomfy.net/a.png"}, "cost": 0.02})
