"""Receivers of messages on loopback, each of them bad in its own way."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Receiver:
    """requests: the bytes of each call, as far as they were read."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/secret-path"

    @property
    def bodies(self) -> list[bytes]:
        return [request.partition(b"\r\n\r\n")[2] for request in self.requests]


def _request(connection: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got:
        got += connection.recv(65536) or b"\r\n\r\n"
    head, _, body = got.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while lengths and len(body) < int(lengths[0]):
        body += connection.recv(65536) or b" " * int(lengths[0])
    return head + b"\r\n\r\n" + body


@contextmanager
def receiver(answer: Callable[[socket.socket], None]) -> Iterator[Receiver]:
    """answer: what is done with a connection once its request is read."""
    target = Receiver()
    with socket.create_server(("127.0.0.1", 0)) as server:
        target.port = server.getsockname()[1]

        def serve(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                target.requests.append(_request(connection))
                answer(connection)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield target
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)


def says(text: str) -> Callable[[socket.socket], None]:
    """Answers with these lines and closes."""
    return lambda connection: connection.sendall(text.replace("\n", "\r\n").encode())


OK = says("HTTP/1.1 204 No Content\nContent-Length: 0\n\n")
