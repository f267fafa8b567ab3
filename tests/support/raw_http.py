"""HTTP as bytes on a socket: nothing is added, nothing is left out."""

import json
import socket
from dataclasses import dataclass
from typing import Any

from tests.support.browser import Served

PATIENCE = 20.0  # seconds


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(server: Served, path: str, *, method: str = "GET", body: Any = None, **headers: str) -> Answer:
    """headers: with ``_`` for ``-``; the Host is the server's own unless given, None leaves it out."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = {"Host": f"127.0.0.1:{server.port}", "Connection": "close"}
    if body is not None:
        lines |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(f"{method} {path} HTTP/1.1\r\n{text}\r\n".encode() + content)
        received = b""
        while part := connection.recv(65536):
            received += part
    head, _, rest = received.partition(b"\r\n\r\n")
    first, *others = head.decode("latin-1").split("\r\n")
    return Answer(
        int(first.split()[1]), {name.lower(): value for name, _, value in (one.partition(": ") for one in others)}, rest
    )


def page_headers(server: Served, **more: str) -> dict[str, str]:
    """Headers of the page itself: its token, and what a change needs."""
    return {"Authorization": f"Bearer {server.token}", "X_Batcher_Page": "1", **more}
