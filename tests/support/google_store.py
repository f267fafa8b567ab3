"""Google Cloud Storage on loopback, as far as obstore speaks with it: its XML API over objects in memory.

No emulator that a package registry has speaks that API, so this one follows Google's description of it: generations,
conditions on them, listings, copies, uploads in parts. It checks no credentials and no signatures.
"""

import contextlib
import hashlib
import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

LOT = 3  # names in one page of a listing: so few that every test of one has several pages


@dataclass
class _Object:
    content: bytes
    generation: int
    mime: str

    @property
    def headers(self) -> dict[str, str]:
        return {
            "ETag": f'"{hashlib.md5(self.content).hexdigest()}"', "x-goog-generation": str(self.generation),
            "Last-Modified": formatdate(self.generation, usegmt=True), "Content-Type": self.mime,
        }  # fmt: skip


class _Storage(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects: ClassVar[dict[str, _Object]] = {}  # by bucket/name
    parts: ClassVar[dict[str, dict[int, bytes]]] = {}  # by upload
    generations: ClassVar[Any] = count(1_800_000_000)
    lock: ClassVar[Any] = threading.Lock()

    def log_message(self, *_: object) -> None:
        pass

    def _any(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.lock:
            getattr(self, f"_{self.command.lower()}")(unquote(url.path).lstrip("/"), query, body)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = _any  # noqa: N815

    def _put(self, name: str, query: dict[str, str], body: bytes) -> None:
        if "uploadId" in query:
            self.parts[query["uploadId"]][int(query["partNumber"])] = body
            self._say(200, {"ETag": f'"{query["partNumber"]}"'})
            return
        if source := self.headers.get("x-goog-copy-source"):
            stored = self.objects.get(unquote(source).lstrip("/"))
            if stored is None:
                self._say(404)
                return
            body = stored.content
        self._keep(name, body)

    def _keep(self, name: str, content: bytes) -> None:
        there = self.objects.get(name)
        wanted = self.headers.get("x-goog-if-generation-match")
        if wanted is not None and int(wanted) != (there.generation if there else 0):
            self._say(412)
            return
        mime = self.headers.get("Content-Type", "application/octet-stream")
        made = self.objects[name] = _Object(content, next(self.generations), mime)
        self._say(200, made.headers, b"<CopyObjectResult><ETag>a</ETag></CopyObjectResult>")

    def _post(self, name: str, query: dict[str, str], _: bytes) -> None:
        if "uploads" in query:
            upload = f"upload{len(self.parts)}"
            self.parts[upload] = {}
            answer = f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            self._say(200, {}, answer.encode())
            return
        parts = self.parts.pop(query["uploadId"])
        content = b"".join(parts[number] for number in sorted(parts))
        made = self.objects[name] = _Object(content, next(self.generations), "application/octet-stream")
        answer = f"<CompleteMultipartUploadResult><ETag>{made.generation}</ETag></CompleteMultipartUploadResult>"
        self._say(200, made.headers, answer.encode())

    def _get(self, name: str, query: dict[str, str], _: bytes) -> None:
        if "list-type" in query:
            self._list(f"{name.rstrip('/')}/", query)
        elif (stored := self.objects.get(name)) is None:
            self._say(404)
        else:
            self._say(200, stored.headers, stored.content)

    _head = _get

    def _list(self, bucket: str, query: dict[str, str]) -> None:
        prefix, after = query.get("prefix", ""), query.get("continuation-token", "")
        names = sorted(name.removeprefix(bucket) for name in self.objects if name.startswith(bucket + prefix))
        left = [name for name in names if name > after]
        rows = "".join(
            f"<Contents><Key>{escape(name)}</Key><Size>{len(self.objects[bucket + name].content)}</Size>"
            f"<LastModified>2026-11-28T10:00:00.000Z</LastModified><ETag>a</ETag></Contents>"
            for name in left[:LOT]
        )
        more = f"<NextContinuationToken>{escape(left[LOT - 1])}</NextContinuationToken>" if len(left) > LOT else ""
        self._say(200, {}, f"<ListBucketResult>{rows}{more}</ListBucketResult>".encode())

    def _delete(self, name: str, _: dict[str, str], __: bytes) -> None:
        self._say(204 if self.objects.pop(name, None) else 404)

    def _say(self, status: int, headers: dict[str, str] | None = None, content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextlib.contextmanager
def google_store() -> Iterator[dict[str, str]]:
    """Gives the environment that a client needs."""
    key = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],  # of nobody, for links
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip

    class Here(_Storage):
        objects: ClassVar[dict[str, _Object]] = {}

    with ThreadingHTTPServer(("127.0.0.1", 0), Here) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        account = {
            "gcs_base_url": f"http://127.0.0.1:{listening.server_address[1]}",
            "client_email": "a@b.c", "private_key": key, "private_key_id": "1",
        }  # fmt: skip
        yield {"GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(account), "GOOGLE_ALLOW_HTTP": "true"}
        listening.shutdown()
