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
import asyncio, json, sys
from pathlib import Path
from tests.support.effort import Effort
effort = Effort()
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
def tell(**facts):
    print(json.dumps({**facts, "peak": peak()}))
"""

FETCH = """
from batcher.images.check import Limits
from batcher.images.fetch import Downloader
from batcher.images.trust import Trust
from batcher.core.errors import FileError
async def main():
    limits = Limits(**json.loads(sys.argv[4]))
    outcomes = []
    async with Downloader(Path(sys.argv[3]), trust=Trust(["127.0.0.1"]), limits=limits) as loader:
        for number in range(int(sys.argv[2])):
            try:
                await loader.fetch(f"{sys.argv[1]}/{number}", path=str(number), describe=lambda artifact: {})
                outcome = {"kind": "saved"}
            except FileError as error:
                outcome = {"kind": error.cause.kind, "message": error.cause.message}
            outcomes.append({**outcome, "units": effort.units()})
    tell(outcomes=outcomes)
asyncio.run(main())
"""

ASK = """
from batcher.client.api import Api
from batcher.core.errors import CallError
async def main():
    outcomes = []
    async with Api(f"{sys.argv[1]}/v1", "a-token-of-some-length") as api:
        for number in range(int(sys.argv[2])):
            try:
                answer = await api.poll(str(number))
                outcome = {"kind": "answered", "urls": len(getattr(answer, "urls", ()))}
            except CallError as error:
                outcome = {"kind": error.cause.kind, "message": error.cause.message}
            outcomes.append({**outcome, "units": effort.units()})
    tell(outcomes=outcomes)
asyncio.run(main())
"""


def measured(code: str, *arguments: str, stdin: Any = None) -> dict[str, Any]:
    """What the code passed to `tell`, with ``peak`` in bytes. It has ``effort``, see tests/effort.py."""
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
    outcome: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return outcome


Body = bytes | Callable[[], Iterator[bytes]]


@contextmanager
def sending(*answers: tuple[str, Body]) -> Iterator[str]:
    """A host that answers the call with number n in its path by the n-th head, and as much of the n-th body as the
    other side takes. A body of bytes has its length announced.
    """

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                path = self.rfile.readline().split()[1].partition(b"?")[0]
                while self.rfile.readline() not in {b"\r\n", b""}:
                    pass
                number = next(int(part) for part in path.split(b"/") if part.isdigit())
                self._answer(*answers[number])

        def _answer(self, head: str, body: Body) -> None:
            lines = ["HTTP/1.1 200 OK", "Connection: close", head]
            if isinstance(body, bytes):
                lines.append(f"Content-Length: {len(body)}")
            self.wfile.write(("\r\n".join(filter(None, lines)) + "\r\n\r\n").encode())
            for piece in [body] if isinstance(body, bytes) else body():
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


def endless(opening: bytes, filling: bytes = b" ") -> Body:
    def pieces() -> Iterator[bytes]:
        yield opening
        while True:
            yield filling * 65_536

    return pieces
