"""The API's error answers; the good ones are in ``views``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from math import ceil
from typing import Any

from batcher.simulator.faults import Fault

HTML = (
    "<!DOCTYPE html><html><head><title>{0}</title></head><body><center><h1>{0}</h1></center>"
    "<hr><center>gateway</center></body></html>"
)

NOT_READY = 400005

_CODES = {
    400001: "Invalid resource identifier",
    400002: "Insufficient resources",
    400004: "User account error",
    400005: "Request is not ready",
    403001: "Permission denied",
    404001: "Resource not found",
    500001: "Internal error",
}

_STATUS_WORDS = {524: "A timeout occurred"}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the service.

    status: of HTTP. body: JSON data, or text that is sent as HTML ("" for an empty body). headers: beside the usual
    ones.
    """

    status: int
    body: Mapping[str, Any] | str
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """The call is refused. answer: what is sent."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def coded(code: int, detail: str = "", *, status: int | None = None) -> Answer:
    """An error with a code of the service. status: of HTTP, by default the code's first three digits."""
    body = {"error_code": code, "error_message": _CODES[code]}
    return Answer(status or code // 1000, body | ({"detail": detail} if detail else {}))


def invalid(detail: list[dict[str, Any]]) -> Answer:
    """422. detail: one entry for each problem of the inputs."""
    return Answer(422, {"detail": detail})


def too_many(wait: float, mode: str, date: float) -> Answer:
    """429. wait: seconds. mode: of ``retry_after``. date: Unix seconds, now."""
    return Answer(429, {"message": "Too many requests"}, retry_after(wait, mode, date))


def retry_after(wait: float, mode: str, date: float) -> dict[str, str]:
    """The header ``Retry-After``, never shorter than ``wait`` seconds. mode: ``seconds``, ``date`` or ``none``."""
    if mode == "seconds":
        return {"Retry-After": str(max(1, ceil(wait)))}
    if mode == "date":
        return {"Retry-After": formatdate(ceil(date + wait), usegmt=True)}
    return {}


def error(rule: Fault, *, token: str, date: float) -> Answer:
    """The answer for a fault of ``faults.ERRORS``. token: is repeated by ``reflect_token``. date: Unix seconds, now."""
    kind = rule.kind
    number, _, form = kind.partition("_")
    if number == "429" or form == "seconds":
        words = "Too many requests" if number == "429" else "Service unavailable"
        return Answer(int(number), {"message": words}, retry_after(rule.seconds, form, date))
    if kind in _SPECIAL:
        return _SPECIAL[kind]
    if kind == "reflect_token":
        return Answer(400, {"message": f"bad header: Authorization: Bearer {token}"})
    status = int(number)
    if status in _CODES:
        return coded(status)
    words = _STATUS_WORDS.get(status) or HTTPStatus(status).phrase
    if form == "empty":
        return Answer(status, "")
    return Answer(status, HTML.format(f"{status} {words}") if form == "html" else {"message": words})


_SPECIAL = {
    "200_error": coded(500001, status=200),
    "422": invalid([{"type": "value_error", "loc": ["input", "prompt"], "msg": "Value error", "input": ""}]),
    "escape": Answer(
        400, {"error_code": 400001, "error_message": "\x1b]0;owned\x07\x1b[2J\x1b[31mall your\r\nterminal\x9b1m\u202e"}
    ),
}
