"""A file host that misbehaves to order: real sockets, and every byte of the answer is the test's own."""

import asyncio
import contextlib
import io
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from struct import pack
from typing import Any

from PIL import Image

from batcher.core.job import Artifact, utc
from batcher.images.check import CheckDepth, Limits
from batcher.images.fetch import Downloader
from batcher.images.trust import Trust

Script = Callable[[asyncio.StreamWriter], Awaitable[None]]
Route = bytes | Script


@dataclass
class FileHost:
    """routes: what each path answers, whole answers as bytes or scripts; requests: the heads that came in."""

    routes: dict[str, Route] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    port: int = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    _serving: set[asyncio.Task[Any]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            self._serving.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._answer(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.requests.append(head)
        route = self.routes.get(head.split(" ")[1], answer(status=404))
        if isinstance(route, bytes):
            writer.write(route)
            await writer.drain()
        else:
            await route(writer)

    async def stop(self) -> None:
        """End the scripts that are still running, and their connections."""
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)


@contextlib.asynccontextmanager
async def file_host(routes: Mapping[str, Route]) -> AsyncIterator[FileHost]:
    host = FileHost(dict(routes))
    server = await asyncio.start_server(host.serve, "127.0.0.1", 0)
    host.port = server.sockets[0].getsockname()[1]
    async with server:
        try:
            yield host
        finally:
            await host.stop()


def answer(
    body: bytes = b"", *, status: int = 200, length: int | None = -1, headers: Mapping[str, str] | None = None
) -> bytes:
    """A whole answer. length: announced; -1 for the truth, None for not at all."""
    lines = [f"HTTP/1.1 {status} Said", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if length is not None:
        lines.append(f"Content-Length: {len(body) if length < 0 else length}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def picture(
    width: int = 32, height: int = 32, *, form: str = "PNG", mode: str = "RGB", noise: float = 80, **options: Any
) -> bytes:
    """A picture with something in it."""
    held = io.BytesIO()
    Image.effect_noise((width, height), noise).convert(mode).save(held, form, **options)
    return held.getvalue()


def huge_png(width: int, height: int) -> bytes:
    """A few bytes that claim to be a picture of width x height, with all checksums right."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return pack(">I", len(content)) + name + content + pack(">I", zlib.crc32(name + content))

    header = pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"".join(
        [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(1000))), chunk(b"IEND", b"")]
    )


def describe(artifact: Artifact) -> dict[str, Any]:
    return {
        "job": "a" * 32,
        "file": artifact.file,
        "sha256": artifact.sha256,
        "downloaded_at": utc(artifact.downloaded_at),
    }


def fetch(
    run_dir: Path,
    route: Route,
    *,
    path: str = "x/picture",
    check: CheckDepth = "decode",
    limits: Limits | None = None,
    more: Mapping[str, Route] | None = None,
    **options: Any,
) -> Artifact:
    """What one fetch of ``/file`` gives, against a host that answers it with ``route``."""

    async def main() -> Artifact:
        async with (
            file_host({"/file": route, **(more or {})}) as host,
            Downloader(run_dir, trust=Trust(["127.0.0.1"]), check=check, limits=limits, wall=lambda: 1e9) as loader,
        ):
            return await loader.fetch(host.url("/file"), path=path, **{"describe": describe, **options})

    return asyncio.run(main())


def files(run_dir: Path) -> list[str]:
    """All files below the run directory, hidden ones too."""
    return sorted(path.relative_to(run_dir).as_posix() for path in run_dir.rglob("*") if not path.is_dir())
