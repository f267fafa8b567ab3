"""The service as four verbs over HTTP: submit, look, cancel, and the catalog. Owns the token and the connections.

The token is sent to the origin of the base URL and nowhere else: every URL is built here from that base and a
validated id, the URLs in answers are ignored, redirects are not followed, and the token is cut out of anything the
service says before it is shown or stored.

Waiting costs one call a look: the result endpoint answers with the state while a job runs. Where a service answers
the result of an unfinished job with an error instead, that is noticed once, and from then on the status endpoint is
asked first.
"""

import errno
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Self
from urllib.parse import quote, urlsplit

import aiohttp
import yarl

from batcher.client.protocol import (
    Reply,
    is_model_id,
    is_request_id,
    read_cancel,
    read_json,
    read_result,
    read_status,
    read_submit,
)
from batcher.core.errors import Cause, NotFound, NotSent, Rejected, Unclear, UsageError
from batcher.core.job import Accepted, Answer, CancelOutcome, Waiting
from batcher.core.one_line import one_line
from batcher.core.retry import retry_after
from batcher.core.version import __version__

MOST_BYTES = 4 * 1024 * 1024  # of one answer; a result is a few hundred bytes
CONNECT = 10.0  # seconds, as the official nodes wait
SUBMIT = aiohttp.ClientTimeout(total=100.0, sock_connect=CONNECT)
READ = aiohttp.ClientTimeout(total=30.0, sock_connect=CONNECT)
IDLE = 10.0  # seconds: an older idle connection may be closing just as a submit leaves on it, which puts it in doubt
SHORTEST_SECRET = 8  # characters: cutting a shorter "token" out of an answer would only garble it ("id", "any")
_JSON = {"Content-Type": "application/json"}
SIMULATOR_HEADER = "X-Batcher-Simulator"


def checked_base(base_url: str) -> str:
    """The API root without its last slash. Raises UsageError for what could leak the token or isn't a root."""
    text = base_url.strip()
    if "@" in text.partition("://")[2].partition("/")[0]:
        raise UsageError("--base-url must not hold a user name or password", hint="The token is given apart from it.")
    try:
        parts = urlsplit(text)
        readable = parts.port != 0 and yarl.URL(text).host == parts.hostname
    except ValueError:
        readable = False
    odd = not readable or not text.isascii() or not text.isprintable() or set(text) & set(" \\?#")
    if odd or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise UsageError(f"--base-url {one_line(base_url, 200)!r} is not an API root", hint="Like https://host/v1")
    if parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "::1", "localhost"}:
        raise UsageError(
            f"--base-url {one_line(base_url, 200)!r} would send the token unencrypted",
            hint="Use https; plain http is for a simulator on this machine.",
        )
    return text.rstrip("/")


class Api:
    """Use as an async context manager. ``simulated`` is None until the first answer, then known."""

    def __init__(
        self, base_url: str, token: str, *, connections: int = 128, wall: Callable[[], float] = time.time
    ) -> None:
        self.base_url = checked_base(base_url)
        self.simulated: bool | None = None
        self.calls = 0
        self._token = token
        self._secret = token if len(token) >= SHORTEST_SECRET else None
        self.wall = wall
        self._connections = connections
        self._result_waits = False  # the result endpoint was seen to answer for an unfinished job
        self._status_first = False
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=IDLE),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={
                "Authorization": f"Bearer {self._token}",
                "Accept": "application/json",
                "User-Agent": f"batcher/{__version__}",
            },
            trust_env=False,  # a netrc or proxy must not see the token
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def submit(self, model: str, inputs: Mapping[str, Any]) -> Accepted:
        """Asks for one job. May cost money once it returns or raises Unclear.

        Raises NotSent, Refused, Rejected, Unclear (nobody knows), AccountError.
        """
        body = json.dumps(inputs, ensure_ascii=False).encode()
        reply = await self._call("POST", f"/models/{_model_path(model)}", wait=SUBMIT, body=body)
        return read_submit(reply)

    async def look(self, request_id: str) -> Answer:
        """Where a request stands, and its files once it is finished. Free.

        Raises NotSent, Refused, Unclear (ask again), NotFound (too early or expired), Rejected, AccountError.
        """
        if self._status_first:
            waiting = await self._status(request_id)
            if waiting is not None:
                return waiting
        try:
            answer = await self._result(request_id)
        except (Rejected, NotFound, Unclear) as problem:
            if self._result_waits or problem.cause.http_status is None:
                raise
            waiting = await self._status(request_id)
            if waiting is None:
                raise
            self._status_first = True
            return waiting
        if isinstance(answer, Waiting):
            self._result_waits, self._status_first = True, False
        return answer

    async def cancel(self, request_id: str) -> CancelOutcome:
        """Raises NotSent, Refused, Unclear, NotFound, AccountError."""
        return read_cancel(await self._call("POST", self._request_path(request_id, "cancel"), wait=READ))

    async def model(self, model: str) -> dict[str, Any]:
        """The catalog entry: ``input_schema``, ``base_price_usd``, ... Free. Raises as look does."""
        return read_json(await self._call("GET", f"/models/{_model_path(model)}", wait=READ))

    async def _result(self, request_id: str) -> Answer:
        path = self._request_path(request_id, "result") + "?include_cost=true"
        return read_result(await self._call("GET", path, wait=READ))

    async def _status(self, request_id: str) -> Answer | None:
        return read_status(await self._call("GET", self._request_path(request_id, "status"), wait=READ))

    def _request_path(self, request_id: str, verb: str) -> str:
        if not is_request_id(request_id):
            raise Rejected(Cause(kind="bad_request_id", message="the recorded request id can't stand in a URL"))
        return f"/requests/{request_id}/{verb}"

    async def _call(
        self,
        method: str,
        path: str,
        *,
        wait: aiohttp.ClientTimeout,
        body: bytes | None = None,
    ) -> Reply:
        assert self._session is not None
        self.calls += 1
        try:
            async with self._session.request(
                method,
                yarl.URL(self.base_url + path, encoded=True),  # nothing in it needs quoting
                data=body,
                headers=None if body is None else _JSON,
                allow_redirects=False,
                timeout=wait,
            ) as response:
                self.simulated = SIMULATOR_HEADER in response.headers
                content = self._without_token(await _read_capped(response))
                return Reply(response.status, content, retry_after(response.headers, self.wall()))
        # "from None": what an answer was found wrong for may be the token it repeats.
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            kind = "too_many_files" if error.errno in {errno.EMFILE, errno.ENFILE} else "unreachable"
            raise NotSent(Cause(kind=kind, message=self._said(error))) from None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            kind = "timeout" if isinstance(error, TimeoutError) else "connection"
            raise Unclear(Cause(kind=kind, message=self._said(error))) from None

    def _without_token(self, content: bytes) -> bytes:
        """A service that repeats the token must not get it into a message or the state file, escaped or not."""
        if self._secret is None:
            return content
        content = content.replace(self._secret.encode(), b"[token]")
        if b"\\" in content:
            try:
                plain = json.dumps(json.loads(content), ensure_ascii=False)
            except (ValueError, RecursionError):
                return content
            content = plain.replace(json.dumps(self._secret)[1:-1], "[token]").encode("utf-8", "surrogatepass")
        return content

    def _said(self, error: Exception) -> str:
        text = str(error) if self._secret is None else str(error).replace(self._secret, "[token]")
        return one_line(text, 300) or type(error).__name__


async def _read_capped(response: aiohttp.ClientResponse) -> bytes:
    """The whole body, at most MOST_BYTES of it: an endless answer is an unreadable one."""
    announced = response.content_length
    if announced is not None and announced <= MOST_BYTES and "Content-Encoding" not in response.headers:
        return await response.read()
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MOST_BYTES:
            response.close()
            raise ValueError(f"an answer of over {MOST_BYTES:,} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _model_path(model: str) -> str:
    if not is_model_id(model):
        raise Rejected(Cause(kind="bad_model_id", message=f"{one_line(model, 200)!r} is not a model id"))
    return quote(model, safe="/")
