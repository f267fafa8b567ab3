"""What an answer of the service means. Pure: takes an HTTP status and a body, returns a value or raises a CallError.

The result says whether the service has the job. A submit that was *refused* or *rejected* is not there and costs
nothing. One that was *accepted* is there. One whose answer is *unclear* may be there, so it is never repeated
automatically. Other calls are free, and are repeated after any unusable answer.

The rules follow RunComfy's documentation of its queue endpoints and error codes, and its official clients:

* An ``error_code`` in the body counts more than the HTTP status, even 200, except in an answer about a finished job.
* A refused token is code 400004 with HTTP status 400.
* ``completed`` from the status endpoint only means that the job has ended; it may have failed.
* A 403 without a code of RunComfy comes from a proxy before the service (a firewall, a bot check).
"""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from batcher.client.outputs import find_urls
from batcher.core.errors import (
    AccountError,
    BalanceGone,
    CallError,
    Cause,
    NotFound,
    NotSent,
    Refused,
    Rejected,
    Unclear,
)
from batcher.core.job import Accepted, Answer, CancelledThere, CancelOutcome, FailedThere, Succeeded, Waiting
from batcher.core.one_line import one_line

SUCCESS = frozenset({"succeeded", "completed", "success", "successful", "complete", "done", "finished", "ready", "ok"})
FAILURE = frozenset({"failed", "failure", "error", "errored"})
CANCELLED = frozenset({"cancelled", "canceled"})
RUNNING = frozenset({"in_queue", "in_progress", "queued", "pending", "waiting", "starting", "processing", "running"})
NO_MONEY = "no_money"  # kind of cause of a free call that was refused because the balance is gone
NOT_READY = "400005"  # code of a result that is asked for before the job has ended

_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_MODEL_ID = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")
_CONTENT_POLICY = re.compile(
    r"content.?polic|safety|moderat|nsfw|prohibit|sensitive|responsible ai|violat"
    r"|(content|prompt|image|input|generation)\b.{0,40}\b(not allowed|blocked)",
    re.IGNORECASE,
)
_INVALID = re.compile(r"invalid|validation|unsupported|unprocessable|must be|too long|required", re.IGNORECASE)

_NO_BALANCE = frozenset({"400002", "402", "10001"})
_BAD_TOKEN = re.compile(r"400004|40[13](\d{3})?")
_NO_ERROR = re.compile(
    r"0+|2\d\d|ok|success|none|null|false", re.IGNORECASE
)  # an error_code of an answer without error
_AMBIGUOUS_4XX = frozenset({408, 409, 425, 499})  # a proxy may answer these although the request went through
_ABOUT_THE_CALL = _AMBIGUOUS_4XX | {401, 402, 403, 404, 405, 429}  # 4xx about the call, never about the job


class Reply(msgspec.Struct, frozen=True):
    """One HTTP answer. status: HTTP status. body: whole, decompressed. retry_after: seconds, None without such a
    header.
    """

    status: int
    body: bytes
    retry_after: float | None = None


def is_request_id(text: object) -> bool:
    """Whether an id can be put into a URL path unchanged: the official nodes' rule, without ``/`` and ``.``."""
    return isinstance(text, str) and _REQUEST_ID.fullmatch(text) is not None


def is_model_id(text: str) -> bool:
    """Whether a model id can be put into a URL path: ``vendor/name/.../task``, without ``.`` and ``..`` as parts."""
    return _MODEL_ID.fullmatch(text) is not None and not {".", ".."} & set(text.split("/"))


def read_submit(reply: Reply) -> Accepted:
    """The request id of an accepted submit. Raises NotSent, Refused, Rejected, Unclear (in doubt) or AccountError."""
    body = read_json(reply, submit=True)
    for name in ("request_id", "requestId", "id"):
        if is_request_id(body.get(name)):
            return Accepted(request_id=body[name])
    raise Unclear(Cause(kind="unreadable", message="accepted without a usable request id", http_status=reply.status))


def read_result(reply: Reply, request_id: str | None = None) -> Answer:
    """The state of a request, with the URLs of its files once it has finished.

    Files under an unknown status are a success too, with the status in ``Succeeded.word``.

    request_id: the request that was asked about; an answer about another one is Unclear.

    Raises Refused, NotFound, Unclear (ask again), Rejected or AccountError.
    """
    body = _job(reply, request_id)
    status = _word(body)
    cost_usd = _amount(body.get("cost"))
    if status in FAILURE:
        return _failed(body, cost_usd)
    if status not in RUNNING and status not in CANCELLED:
        urls = find_urls(body.get("output"))
        if urls:
            odd = "" if status in SUCCESS or not status else one_line(status, 60)
            return Succeeded(urls=urls, cost_usd=cost_usd, finished_at=_moment(body.get("finished_at")), word=odd)
        if status in SUCCESS:
            if body.get("error"):
                return _failed(body, cost_usd)
            cause = Cause(kind="no_output", message=f"the result says {status} but holds no file")
            return FailedThere(cause=cause, final=False, cost_usd=cost_usd)
    return _unfinished(status, body)


def read_status(reply: Reply, request_id: str | None = None) -> Answer | None:
    """The answer of the status endpoint; None if the job has ended: only the result says how. Raises as read_result."""
    body = _job(reply, request_id)
    status = _word(body)
    if status in SUCCESS or status in FAILURE:
        return None
    return _unfinished(status, body)


def _job(reply: Reply, request_id: str | None) -> dict[str, Any]:
    """The body of an answer about a job. If the job has ended, an ``error_code`` beside it is a fact about the job."""
    parsed = _parse(reply.body)
    readable = isinstance(parsed, dict) and _is_about_the_job(reply.status, parsed)
    body: dict[str, Any] = parsed if readable else read_json(reply)
    other = body.get("request_id")
    if request_id is not None and isinstance(other, str) and other and other != request_id:
        raise Unclear(Cause(kind="foreign", message="the answer is about another request", http_status=reply.status))
    return body


def _is_about_the_job(http_status: int, body: dict[str, Any]) -> bool:
    """Whether the answer has no error, or one of a job that has ended."""
    word, code = _word(body), _code(body)
    if http_status // 100 == 2:
        if code is None:
            return True
        of_the_token = _BAD_TOKEN.fullmatch(code) is not None and word == "error"
        return (word in FAILURE and not of_the_token) or (word in SUCCESS and bool(find_urls(body.get("output"))))
    about_the_job = http_status // 100 == 4 and http_status not in _ABOUT_THE_CALL
    return about_the_job and word in FAILURE and is_request_id(body.get("request_id"))


def _failed(body: dict[str, Any], cost_usd: float | None) -> FailedThere:
    cause = failure_cause(body.get("error") or body.get("error_message") or body.get("detail") or body.get("message"))
    if cause.code is None and (code := _code(body)):
        cause = replace(cause, code=code)
    return FailedThere(cause=cause, final=cause.kind in {"content_policy", "invalid_input"}, cost_usd=cost_usd)


def read_cancel(reply: Reply) -> CancelOutcome:
    """What became of a cancellation: ``outcome``, else a status that begins with "cancel", as in the official CLI.

    Raises Refused, NotFound, Unclear or AccountError.
    """
    body = read_json(reply)
    outcome = str(body.get("outcome") or "").strip().lower()
    if outcome in CANCELLED or (not outcome and _word(body).startswith("cancel")):
        return CancelOutcome.CANCELLED
    return CancelOutcome.TOO_LATE if outcome == "not_cancellable" else CancelOutcome.UNKNOWN


def failure_cause(error: Any) -> Cause:
    """The cause of a failed job. error: the value of ``error`` in the result, of any JSON type."""
    code = None
    if isinstance(error, dict):
        raw = error.get("code", error.get("error_code"))
        code = None if raw is None else one_line(str(raw), 60)
    message = _message(error) or "the service gave no reason"
    return Cause(kind=_kind(message), message=message, code=code)


def read_json(reply: Reply, *, submit: bool = False) -> dict[str, Any]:
    """The body of an answer without error. Any other answer is raised, as in ``read_submit`` or ``read_result``."""
    body = _parse(reply.body)
    code = _code(body)
    if reply.status // 100 == 2 and code is None:
        if isinstance(body, dict):
            return body
        raise Unclear(Cause(kind="unreadable", message=_unreadable(reply), http_status=reply.status))
    if account := _account_problem(reply.status, code, _message(body), submit=submit):
        raise account
    raise _problem(reply, body, code, submit=submit)


def _problem(reply: Reply, body: Any, code: str | None, *, submit: bool) -> CallError:
    text = _message(body)
    status = reply.status
    cause = Cause(kind="refused", message=text or _unreadable(reply), http_status=status, code=code)
    coded = _status_in(code)
    if 429 in {status, coded} or (status == 503 and reply.retry_after is not None):
        return Refused(cause, retry_after=reply.retry_after)
    if not submit and 404 in {status, coded}:
        return NotFound(replace(cause, kind="not_found"))
    if status == 403 and code != "403001":  # from a proxy: a submit did not reach the service
        return (NotSent if submit else Unclear)(replace(cause, kind="blocked"), retry_after=reply.retry_after)
    server_side = max(status, coded) >= 500 or status // 100 == 3 or not _AMBIGUOUS_4XX.isdisjoint({status, coded})
    if _balance_is_gone(status, code):  # free calls need no balance, so they are repeated for a while
        return Unclear(replace(cause, kind=NO_MONEY), retry_after=reply.retry_after)
    if server_side:
        return Unclear(replace(cause, kind="service_error"), retry_after=reply.retry_after)
    return Rejected(replace(cause, kind=_rejection(status, code, text)))


def _rejection(status: int, code: str | None, text: str) -> str:
    """The kind of cause of a rejected call."""
    if code == NOT_READY:
        return "not_ready"
    kind = "rejected" if status in _ABOUT_THE_CALL else _kind(text, otherwise="rejected")
    return "invalid_input" if status == 422 and kind == "rejected" else kind


def _account_problem(status: int, code: str | None, text: str, *, submit: bool) -> AccountError | None:
    words = f": {text}" if text else ""
    if submit and _balance_is_gone(status, code):
        return BalanceGone(
            f"the balance is gone{words}",
            hint="Everything so far is kept. Top the account up and run the same command again.",
        )
    only_this_request = code == "403001" and not submit
    refused = code is not None and _BAD_TOKEN.fullmatch(code) is not None and not only_this_request
    if refused or status == 401:
        return AccountError(
            f"the service refused the token (HTTP {status}){words}",
            hint="Everything so far is kept. Give a valid token and run the same command again.",
        )
    return None


def _balance_is_gone(status: int, code: str | None) -> bool:
    return code in _NO_BALANCE or (status == 402 and (code is None or not _BAD_TOKEN.fullmatch(code)))


def _status_in(code: str | None) -> int:
    """The HTTP status in a code: its first three digits (429001, or just 429); 0 for other codes."""
    if code is None or len(code) not in {3, 6} or not (code.isascii() and code.isdigit()):
        return 0
    return int(code[:3])


def _unfinished(status: str, body: dict[str, Any]) -> Answer:
    if status in CANCELLED:
        return CancelledThere()
    position = body.get("queue_position")
    valid = isinstance(position, int) and not isinstance(position, bool) and position >= 0
    return Waiting(status=one_line(status, 60), queue_position=position if valid else None)


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _code(body: Any) -> str | None:
    """The ``error_code`` of a body; None if there is none, or one without error (empty, 0, 200)."""
    code = body.get("error_code") if isinstance(body, dict) else None
    if not code or isinstance(code, (dict, list)):
        return None
    text = one_line(str(code), 60)
    return None if not text or _NO_ERROR.fullmatch(text) else text


def _word(body: dict[str, Any]) -> str:
    """The ``status`` of a body, lower case; "" if there is none."""
    status = body.get("status")
    return status.strip().lower() if isinstance(status, str) else ""


def _message(body: Any, depth: int = 4) -> str:
    """The message in a body, from the first place that has one, in the order of the official clients."""
    if isinstance(body, str):
        return one_line(body)
    if isinstance(body, list):
        return one_line("; ".join(filter(None, (_validation_message(item, depth) for item in body[:20]))))
    if not isinstance(body, dict) or depth <= 0:
        return ""
    places = (body.get(name) for name in ("error_message", "message", "error", "detail", "reason"))
    return next(filter(None, (_message(place, depth - 1) for place in places)), "")


def _validation_message(item: Any, depth: int) -> str:
    """One element of a Pydantic-style ``detail``: ``input.seed: not a valid integer``."""
    if not isinstance(item, dict):
        return item if isinstance(item, str) else ""
    where = item.get("loc")
    place = ".".join(str(step) for step in where if isinstance(step, (str, int))) if isinstance(where, list) else ""
    text = item["msg"] if isinstance(item.get("msg"), str) else _message(item, depth - 1)
    return f"{place}: {text}" if place and text else text or place


def _kind(message: str, otherwise: str = "failed") -> str:
    if _CONTENT_POLICY.search(message):
        return "content_policy"
    return "invalid_input" if _INVALID.search(message) else otherwise


def _unreadable(reply: Reply) -> str:
    if not reply.body.strip():
        return f"HTTP {reply.status} with an empty body"
    page = "an HTML page" if reply.body.lstrip()[:1] == b"<" else "an unreadable body"
    return f"HTTP {reply.status} with {page}"


def _amount(value: Any) -> float | None:
    """A number of dollars, from 0; None for any other value."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e9:
        return float(value)
    return None


def _moment(value: Any) -> float | None:
    """Unix seconds from an ISO 8601 text or a number, as the format is not documented; None for other values."""
    seconds: float
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = value
    else:
        return None
    return float(seconds) if 0 < seconds < 1e11 else None
