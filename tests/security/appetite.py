"""How much memory something takes: a piece of Python in a process of its own, and a host that never stops sending."""

import json
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tests.security.ground import ROOT, environment

MOST = 500 * 2**20  # bytes at the peak; an interpreter with everything loaded has 50 MB

_PRELUDE = """
import asyncio, json, sys, time
from pathlib import Path
began = time.perf_counter()
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
def tell(**facts):
    print(json.dumps({**facts, "peak": peak(), "seconds": time.perf_counter() - began}))
"""

FETCH = """
from batcher.artifacts import Downloader, Limits, Trust
from batcher.errors import FileError
async def main():
    limits = Limits(**json.loads(sys.argv[3]))
    async with Downloader(Path(sys.argv[2]), trust=Trust(["127.0.0.1"]), limits=limits) as loader:
        try:
            saved = await loader.fetch(sys.argv[1], path="a", describe=lambda artifact: {})
            tell(kind="saved", bytes=saved.bytes)
        except FileError as error:
            tell(kind=error.cause.kind, message=error.cause.message)
asyncio.run(main())
"""

ASK = """
from batcher.api import Api
from batcher.errors import CallError
async def main():
    async with Api(sys.argv[1], "a-token-of-some-length") as api:
        try:
            answer = await api.look("r1")
            tell(kind="answered", urls=len(getattr(answer, "urls", ())))
        except CallError as error:
            tell(kind=error.cause.kind, message=error.cause.message)
asyncio.run(main())
"""


def measured(code: str, *arguments: str, stdin: Any = None) -> dict[str, Any]:
    """What the code told, with ``peak`` in bytes and ``seconds``."""
    command = [sys.executable, "-c", _PRELUDE + code, *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(None),
        stdin=stdin or subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


Sending = Callable[[], Iterator[bytes]]


@contextmanager
def sending(head: str, body: Sending) -> Iterator[str]:
    """A host that answers whatever it is asked with this head and as much of the body as the other side takes."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                while self.rfile.readline() not in {b"\r\n", b""}:
                    pass
                self.wfile.write(f"HTTP/1.1 200 OK\r\nConnection: close\r\n{head}\r\n\r\n".encode())
                for piece in body():
                    self.wfile.write(piece)

    class Host(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Host(("127.0.0.1", 0), Handler) as host:
        threading.Thread(target=host.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{host.server_address[1]}"
        finally:
            host.shutdown()


def endless(opening: bytes, filling: bytes = b" ") -> Sending:
    def pieces() -> Iterator[bytes]:
        yield opening
        while True:
            yield filling * 65_536

    return pieces
