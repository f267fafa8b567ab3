"""What the security tests stand on: ``batcher`` processes, a simulator process, and eyes for what must not be seen."""

import base64
import contextlib
import http.server
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import category
from unittest import mock
from urllib.parse import quote
from urllib.request import Request, urlopen

from tests.support.simulator_process import service

ROOT = Path(__file__).parents[2]
TOKEN = "rc-tok-7f3a/9Q+z=KEEP.me~secret"
_TURNERS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True)
class Service:
    """A simulator in a process of its own."""

    origin: str

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    def stats(self) -> dict[str, Any]:
        with urlopen(f"{self.origin}/_simulator/stats", timeout=10) as answer:
            counts: dict[str, Any] = json.load(answer)
            return counts

    def change(self, **settings: Any) -> None:
        """Another profile from now on."""
        body = json.dumps(settings).encode()
        with urlopen(Request(f"{self.origin}/_simulator/profile", data=body, method="POST"), timeout=10) as answer:
            answer.read()


@contextmanager
def simulator(folder: Path, **profile: Any) -> Iterator[Service]:
    with service(folder, json.dumps({"latency": 0.05, **profile})) as origin:
        yield Service(origin)


@contextmanager
def recorder() -> Iterator[tuple[str, list[str]]]:
    """A web server in a thread that answers everything with an empty schema, and the heads of what it was asked."""
    heads: list[str] = []

    class Recorder(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heads.append(f"{self.requestline}\n{self.headers}")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        do_POST = do_CONNECT = do_GET  # noqa: N815  the names http.server looks for

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", heads
        finally:
            server.shutdown()


def environment(token: str | None = TOKEN, **more: str) -> dict[str, str]:
    """Ours, without what would decide for the test; a home without a token file of the machine's owner."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RUNCOMFY", "XDG_"))}
    given = {} if token is None else {"RUNCOMFY_TOKEN": token}
    return {**kept, "HOME": "/nonexistent", **given, **more}


def batcher(
    *arguments: str | bytes | Path,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    umask: int = -1,
    cwd: Path = ROOT,
) -> subprocess.CompletedProcess[bytes]:
    """One command line, its output as bytes."""
    return subprocess.run(
        [sys.executable, "-m", "batcher", *map(_argument, arguments)],
        cwd=cwd,
        env={**(environment() if env is None else env), "PYTHONPATH": str(ROOT)},
        input=b"" if stdin is None else stdin,
        capture_output=True,
        timeout=90,
        check=False,
        umask=umask,
    )


def ran(*arguments: str | Path, token: str | None = TOKEN) -> subprocess.CompletedProcess[bytes]:
    """The same in this process: a second quicker, for tests of which the process itself is no part."""
    from batcher.__main__ import main  # noqa: PLC0415  not needed by those who start processes

    kept = [io.BytesIO(), io.BytesIO()]
    out, complained = (io.TextIOWrapper(held, "utf-8", write_through=True) for held in kept)
    with (
        mock.patch.dict(os.environ, environment(token), clear=True),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(complained),
    ):
        code = main([str(argument) for argument in arguments])
    outputs = [held.getvalue() for held in kept]
    return subprocess.CompletedProcess(list(map(str, arguments)), code, *outputs)


def _argument(given: str | bytes | Path) -> bytes:
    return given if isinstance(given, bytes) else os.fsencode(given)


def to(service: Service) -> tuple[str, ...]:
    """The flags that send a run to a simulator, quickly."""
    return ("--base-url", service.base_url, "--trust-host", "127.0.0.1", "--rate", "100/s")


def hazards(output: bytes) -> list[str]:
    """What of some output a terminal would obey or a reader be fooled by; a line's own end is fine."""
    text = output.decode("utf-8", "surrogateescape")
    return [repr(one) for one in text if one != "\n" and (category(one) in {"Cc", "Cs", "Zl", "Zp"} or one in _TURNERS)]


def traces(token: str) -> list[bytes]:
    """The token as it may stand somewhere: itself, encoded, escaped, and its two halves."""
    raw = token.encode()
    half = len(raw) // 2
    return [
        raw,
        raw[:half],
        raw[half:],
        base64.b64encode(raw),
        base64.b64encode(b"Bearer " + raw),
        quote(token, safe="").encode(),
        json.dumps(token).encode(),
        json.dumps(token).replace("/", "\\/").encode(),
        raw.hex().encode(),
        raw[::-1],
        "".join(f"\\u{ord(one):04x}" for one in token).encode(),
        token.encode("utf-16-le"),
    ]


def found_in(content: bytes, token: str = TOKEN) -> list[bytes]:
    return [trace for trace in traces(token) if trace in content]


def files_with(folder: Path, token: str = TOKEN) -> dict[str, list[bytes]]:
    """Every file below a folder (pictures, sidecars, state file, hidden ones) in which a trace of the token stands."""
    everything = [path for path in folder.rglob("*") if path.is_file()]
    assert everything, "there is nothing to look through"
    places = {}
    for path in everything:
        with contextlib.suppress(FileNotFoundError):  # a temp file of a going run
            places[str(path)] = found_in(path.read_bytes(), token)
    return {path: seen for path, seen in places.items() if seen}


def command_lines(of: Sequence[int]) -> bytes:
    """What any user of the machine can see of these processes and their children."""
    seen = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (int(entry.name) in of or _parent(entry) in of):
                seen += [(entry / "cmdline").read_bytes(), (entry / "comm").read_bytes()]
        except OSError:
            continue  # it ended meanwhile
    return b"\n".join(seen)


def _parent(entry: Path) -> int:
    return int((entry / "stat").read_text().rpartition(")")[2].split()[1])


def stop(process: "subprocess.Popen[bytes]") -> tuple[bytes, bytes]:
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=30)
