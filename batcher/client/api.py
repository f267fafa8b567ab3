"""The calls of the Model API over HTTP: submit, poll, cancel, and the catalogue.

The token is sent to the origin of the base URL and nowhere else. Every URL is built here from the base URL and a
checked id, URLs in answers are not called, and redirects are not followed. The token is removed from every answer
before anything of it is shown or stored.

A poll is one call: the result endpoint reports the state of an unfinished job too. If a service answers it with an
error instead, later polls ask the status endpoint first.

A call counts as not sent only if that is certain: there was no connection, or it was closed before the first byte of
the request was written.
"""

import asyncio
import errno
import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, Self
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
import yarl

from batcher.client.awake import AwakeTimeouts
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
from batcher.client.sessions import IDLE, JsonBody, session
from batcher.core.errors import CallError, Cause, NotFound, NotSent, Rejected, Unclear, UsageError
from batcher.core.job import Accepted, Answer, CancelOutcome, Succeeded, Waiting, canonical_json
from batcher.core.one_line import one_line
from batcher.core.retry import retry_after
from batcher.store.machine import machine_problem

MOST_BYTES = 4 * 1024 * 1024  # in one answer; most have a few hundred
MOST_RESULT_BYTES = 16 * 1024 * 1024  # in a result, which may hold its images as data: URIs
CONNECTIONS = 128  # open at once, at most
CONNECT = 10.0  # seconds to connect, as in the official nodes
SUBMIT, READ = 100.0, 30.0  # seconds for a whole call
NO_TOTAL = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT)  # AwakeTimeouts times the whole call
QUIET = 0.5  # seconds without a call after which idle connections may have been closed by the service
SHORTEST_SECRET = 8  # characters: removing a shorter "token" ("id", "any") would only garble answers
SIMULATOR_HEADER = "X-Batcher-Simulator"
ODD_POLLS = 2  # polls before files under an unknown status count as the result


def checked_base(base_url: str) -> str:
    """The base URL without a slash at its end. Raises UsageError if it is not one, or could leak the token."""
    text = base_url.strip()
    if "@" in text.partition("://")[2].partition("/")[0]:
        raise UsageError("--base-url must not hold a user name or password", hint="Give the token separately.")
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
    """The client, an async context manager. A call is sent once and never repeated here.

    base_url: root of the API (``https://host/v1``); plain http only for this machine. Raises UsageError.
    token: sent as bearer token with every call.
    wall: gives the time in Unix seconds, for ``Retry-After`` dates.

    Attributes: ``simulated``, whether the last answer came from the simulator, None until the first one; ``calls``,
    number of calls so far.
    """

    def __init__(self, base_url: str, token: str, *, wall: Callable[[], float] = time.time) -> None:
        self.base_url = checked_base(base_url)
        self.simulated: bool | None = None
        self.calls = 0
        self._token = token
        self._secret = token if len(token) >= SHORTEST_SECRET else None
        self.wall = wall
        self._result_waits = False  # the result endpoint has answered for an unfinished job
        self._status_first = False  # ask the status endpoint first
        self._session: aiohttp.ClientSession | None = None
        self._timeouts = AwakeTimeouts()
        self._closing: set[asyncio.Task[None]] = set()
        self._called_at = 0.0
        self._links: list[re.Pattern[bytes]] = []  # match signed links; their queries are secrets
        self._odd: dict[str, int] = {}  # polls that found files under an unknown status, by request id

    async def __aenter__(self) -> Self:
        self._session = self._new_session()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._timeouts.close()
        for task in list(self._closing):
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def __repr__(self) -> str:
        return f"<Api {self.base_url}, calls: {self.calls}>"

    def hide_queries(self, base: str) -> None:
        """Remove the query of every link that begins with ``base`` from answers: it is a signature."""
        path, query = rb"[^\s\"'<>?\\]*", rb"(?:[^\s\"'<>\\]|\\[^\"])*"  # JSON may write & as an escape
        self._links.append(re.compile(rb"(" + re.escape(base.encode()) + path + rb")\?" + query))

    async def submit(
        self, model: str, inputs: Mapping[str, Any], leaving: Callable[[], None] | None = None
    ) -> Accepted:
        """Submit one job. It may cost money if this returns or raises Unclear.

        leaving: called right before the first byte is sent. If it raises DiskError, nothing is sent and the error is
        raised here.

        Raises NotSent, Refused, Rejected, Unclear (it is unknown whether the service has the job), AccountError.
        """
        body = JsonBody(canonical_json(inputs).encode(), leaving)
        return read_submit(await self._call("POST", f"/models/{_model_path(model)}", wait=SUBMIT, body=body))

    async def poll(self, request_id: str) -> Answer:
        """The state of a request, with the URLs of its files once it has finished. Free.

        Raises NotSent, Refused, Unclear (poll again), NotFound (too early, or expired), Rejected, AccountError.
        """
        if self._status_first:
            waiting = await self._status(request_id)
            if waiting is not None:
                return waiting
        try:
            answer = await self._result(request_id)
        except (Rejected, NotFound, Unclear) as problem:
            return await self._too_early(request_id, problem)
        if isinstance(answer, Waiting):
            self._result_waits, self._status_first = True, False
        return self._believed(request_id, answer)

    async def _too_early(self, request_id: str, problem: CallError) -> Answer:
        """After an error of the result endpoint: Waiting if the status endpoint says so, else raise the error."""
        if problem.cause.http_status is None or (self._result_waits and isinstance(problem, Unclear)):
            raise problem
        waiting = await self._status(request_id)
        if waiting is not None:
            self._status_first = not self._result_waits
            return waiting
        if problem.cause.kind == "not_ready":
            return Waiting(status="in_progress")
        raise problem

    def _believed(self, request_id: str, answer: Answer) -> Answer:
        """The answer; Waiting at first for files under an unknown status, which may be previews."""
        if not isinstance(answer, Succeeded) or not answer.word:
            return answer
        times = self._odd[request_id] = self._odd.get(request_id, 0) + 1
        if times <= ODD_POLLS:
            return Waiting(status=answer.word)
        del self._odd[request_id]
        return answer

    async def cancel(self, request_id: str) -> CancelOutcome:
        """Cancel a request. Free. Raises NotSent, Refused, Unclear, NotFound, AccountError."""
        return read_cancel(await self._call("POST", self._request_path(request_id, "cancel"), wait=READ))

    async def model(self, model: str) -> dict[str, Any]:
        """The catalogue's entry of a model: ``input_schema``, ``base_price_usd``, ... Free. Raises as ``poll`` does."""
        return read_json(await self._call("GET", f"/models/{_model_path(model)}", wait=READ))

    async def models(self, query: Mapping[str, str]) -> dict[str, Any]:
        """One page of the catalogue: ``models``, and often ``total``. Free. Raises as ``poll`` does."""
        return read_json(await self._call("GET", f"/models?{urlencode(query)}", wait=READ, most=MOST_RESULT_BYTES))

    async def _result(self, request_id: str) -> Answer:
        path = self._request_path(request_id, "result") + "?include_cost=true"
        return read_result(await self._call("GET", path, wait=READ, most=MOST_RESULT_BYTES), request_id)

    async def _status(self, request_id: str) -> Answer | None:
        return read_status(await self._call("GET", self._request_path(request_id, "status"), wait=READ), request_id)

    def _request_path(self, request_id: str, verb: str) -> str:
        if not is_request_id(request_id):
            raise Rejected(Cause(kind="bad_request_id", message="the recorded request id can't stand in a URL"))
        return f"/requests/{request_id}/{verb}"

    async def _call(
        self, method: str, path: str, *, wait: float, body: JsonBody | None = None, most: int = MOST_BYTES
    ) -> Reply:
        """Send one call. path: below the base URL. wait: seconds for all of it. most: bytes of the answer."""
        calls = await self._awake_session()
        self.calls += 1
        url = yarl.URL(self.base_url + path, encoded=True)  # nothing in it needs quoting
        try:
            async with (
                self._timeouts.within(wait),
                calls.request(method, url, data=body, allow_redirects=False, timeout=NO_TOTAL) as response,
            ):
                self.simulated = SIMULATOR_HEADER in response.headers
                content = self._without_secrets(await _read_capped(response, most))
                return Reply(response.status, content, retry_after(response.headers, self.wall()))
        # "from None": the message of the error may quote the token from the answer.
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            kind = "too_many_files" if error.errno in {errno.EMFILE, errno.ENFILE} else "unreachable"
            raise NotSent(Cause(kind=kind, message=self._words(error))) from None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            if body is not None and body.held_back is not None:
                raise body.held_back from None
            if _never_left(error):
                raise NotSent(Cause(kind="connection", message="the connection was closed before the call")) from None
            kind = "timeout" if isinstance(error, TimeoutError) else "connection"
            raise Unclear(Cause(kind=kind, message=self._words(error))) from None
        except (MemoryError, RuntimeError) as error:
            if (problem := machine_problem(error)) is None:
                raise
            raise (Unclear if body is not None and body.left else NotSent)(
                Cause(kind="no_room", message=problem.message)
            ) from error

    async def _awake_session(self) -> aiohttp.ClientSession:
        """The session, without connections that were closed while no call was open.

        The event loop has to run to notice those that the service has closed. After the machine has slept all of them
        may be dead, so a new session replaces the old one.
        """
        assert self._session is not None
        now = asyncio.get_running_loop().time()
        if now - self._called_at > QUIET:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        self._called_at = now
        if self._timeouts.woke_up():
            old, self._session = self._session, self._new_session()
            task = asyncio.create_task(_close_later(old), name="connections from before the sleep")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        return self._session

    def _new_session(self) -> aiohttp.ClientSession:
        return session(self._token, connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=IDLE))

    def _without_secrets(self, content: bytes) -> bytes:
        """An answer without the token and the queries of signed links, also if JSON escapes hide them."""
        if self._secret is None and not self._links:
            return content
        content = self._cut(content, self._secret or "")
        if b"\\" in content:
            try:
                plain = json.dumps(json.loads(content), ensure_ascii=False)
            except (ValueError, RecursionError):
                return content
            content = self._cut(plain.encode("utf-8", "surrogatepass"), json.dumps(self._secret or "")[1:-1])
        return content

    def _cut(self, content: bytes, secret: str) -> bytes:
        content = content.replace(secret.encode(), b"[token]") if secret else content
        for link in self._links:
            content = link.sub(rb"\1", content)
        return content

    def _words(self, error: Exception) -> str:
        """The message of an error, without the token."""
        text = str(error) if self._secret is None else str(error).replace(self._secret, "[token]")
        return one_line(text, 300) or type(error).__name__


def _never_left(error: BaseException) -> bool:
    """Whether the connection was closed before anything of the call was written to it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, aiohttp.ClientConnectionResetError) and str(cause).startswith("Cannot write"):
            return True
        cause = cause.__cause__
    return False


async def _close_later(old: aiohttp.ClientSession) -> None:
    """Close a session once its open calls have had time to be answered."""
    try:
        await asyncio.sleep(SUBMIT + CONNECT)
    finally:
        await old.close()


async def _read_capped(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body of an answer. Raises ValueError if it has more than ``most`` bytes."""
    announced = response.content_length
    if announced is not None and announced <= most and "Content-Encoding" not in response.headers:
        return await response.read()
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > most:
            response.close()
            raise ValueError(f"an answer of over {most:,} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _model_path(model: str) -> str:
    if not is_model_id(model):
        raise Rejected(Cause(kind="bad_model_id", message=f"{one_line(model, 200)!r} is not a model id"))
    return quote(model, safe="/")
