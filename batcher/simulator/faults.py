"""Faults: their names, and the rules by which they happen.

A rule has a place, a kind and a probability. Whether it fires is drawn from the profile's seed, the rule's number and
what the call is about (the n-th submit of the same inputs, the n-th read of one request). So a run meets the same
faults whatever the order and the speed of its calls. ``count`` and ``skip`` are different: they count the calls of a
place in the order they come.
"""

from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated

import msgspec

from batcher.simulator.chance import chance

PLACES = ("submit", "status", "result", "cancel", "catalog", "file")

ERRORS = {
    "400001": "HTTP 400, error_code 400001: malformed identifier",
    "400002": "HTTP 400, error_code 400002: no balance left",
    "400004": "HTTP 400, error_code 400004: token missing, expired or revoked",
    "401": "HTTP 401",
    "402": "HTTP 402",
    "403001": "HTTP 403, error_code 403001: another owner",
    "404001": "HTTP 404, error_code 404001: unknown or expired",
    "408": "HTTP 408",
    "422": "HTTP 422 with a detail list",
    "429": "HTTP 429 without Retry-After",
    "429_seconds": "HTTP 429, Retry-After in seconds",
    "429_date": "HTTP 429, Retry-After as a date",
    "503_seconds": "HTTP 503, Retry-After in seconds",
    "200_error": "HTTP 200 with an error_code and no request_id",
    "escape": "HTTP 400 whose text holds terminal escape sequences",
    "reflect_token": "HTTP 400 whose text repeats the Authorization header",
} | {
    f"{status}{suffix}": f"HTTP {status}, {words}"
    for status in (500, 502, 503, 504, 524)
    for suffix, words in (("", "JSON body"), ("_html", "HTML page"), ("_empty", "empty body"))
}

TRANSPORT = {
    "drop": "connection closed before anything happened (on submit: no job)",
    "drop_after": "connection closed after it happened (on submit: the job exists, the answer is lost)",
    "slow": "the right answer, `seconds` late",
    "cut": "the right answer, announced whole and cut short",
    "html_200": "HTTP 200 with an HTML page",
    "empty_200": "HTTP 200 with no body",
    "redirect": "HTTP 307 to another host",
    "huge": "HTTP 200 and `size` bytes of JSON",
    "endless": "HTTP 200 and JSON that never ends",
    "unknown_word": "the right answer with a status nobody has heard of",
}

OUTCOMES = {
    "failed": "the job fails; error is text",
    "failed_object": "the job fails; error is an object",
    "failed_bare": "the job fails; no error is given",
    "content_policy": "the job fails; its prompt was refused",
    "canceled": "the service cancels the job; spelt canceled",
    "cancelled": "the service cancels the job; spelt cancelled",
    "no_url": "success with nothing to fetch",
    "url_untrusted": "success with a link to another host",
    "url_userinfo": "a link with the right host as user name",
    "url_backslash": "a link with a backslash before @",
    "url_data": "a data: link",
    "url_file": "a file: link",
    "url_ip": "a link to an IPv6 literal",
    "url_number": "a link to an IP address written as one number",
}

FILES = {
    "403": "HTTP 403",
    "404": "HTTP 404",
    "410": "HTTP 410",
    "429": "HTTP 429 without Retry-After",
    "429_seconds": "HTTP 429, Retry-After in seconds",
    "500": "HTTP 500",
    "502": "HTTP 502",
    "503": "HTTP 503",
    "503_seconds": "HTTP 503, Retry-After in seconds",
    "drop": "connection closed before the answer",
    "slow": "the right file, `seconds` late",
    "trickle": "the right file, in small pieces over `seconds`",
    "wrong_type": "the right file as text/html",
    "no_type": "the right file as application/octet-stream",
    "no_length": "the right file without Content-Length",
    "truncated": "Content-Length is right, half of the file comes",
    "empty": "HTTP 200 with no bytes",
    "html_200": "HTTP 200 with an HTML page",
    "redirect_same": "HTTP 302 to the same host",
    "redirect_other": "HTTP 302 to another host",
    "corrupt": "one bit of the image's data is wrong",
    "short": "half of the image, with a Content-Length that agrees",
    "wrong_ratio": "an image of another shape",
    "black": "an all-black image",
    "placeholder": "the same image for everybody",
    "bomb": "a small image that unpacks to gigabytes",
    "huge": "`size` bytes that are no image",
    "endless": "bytes that never end",
}

_CREATES = frozenset({"drop_after", "slow", "cut", "html_200", "empty_200", "unknown_word", "huge", "endless"})


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule.

    where: one of PLACES. kind: a key of ERRORS or TRANSPORT; for files, of FILES; for results, also of OUTCOMES, which
    are drawn once for each job, when it is accepted.
    probability: of firing, for each call. count: fires at most so many times. first: only on the first N calls about
    the same inputs (submit), request (status, result, cancel), file or model. skip: not on the first N calls at this
    place. seconds: of slow answers and of Retry-After. size: bytes of ``huge``. to: host that a redirect or an
    untrusted link leads to, by default this server by another name, so that it counts the calls.
    created: whether a submit makes a job in spite of the fault; None for what is usual for the kind.
    """

    where: str
    kind: str
    probability: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    count: int | None = None
    first: int | None = None
    skip: int = 0
    seconds: float = 1.0
    size: int = 64 * 2**20
    to: str | None = None
    created: bool | None = None

    def __post_init__(self) -> None:
        if self.where not in PLACES:
            raise ValueError(f"no such place for a fault: {self.where!r}; there are {', '.join(PLACES)}")
        kinds_there = kinds(self.where)
        if self.kind not in kinds_there:
            near = get_close_matches(str(self.kind), kinds_there, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(kinds_there)}"
            raise ValueError(f"no such fault at {self.where}: {self.kind!r}; {hint}")

    @property
    def creates(self) -> bool:
        """Whether the call does its work (a submit makes a job) before it goes wrong."""
        return self.kind in _CREATES if self.created is None else self.created

    @property
    def is_outcome(self) -> bool:
        return self.where == "result" and self.kind in OUTCOMES


def kinds(where: str) -> dict[str, str]:
    """The faults of a place: by kind, what each does."""
    if where == "file":
        return FILES
    return ERRORS | TRANSPORT | (OUTCOMES if where == "result" else {})


class FaultBook:
    """Draws faults from rules, and counts how often each place was called and each rule fired.

    seed: of the profile. rules: the first one that fires counts.
    """

    def __init__(self, seed: int, rules: Sequence[Fault]) -> None:
        self._seed = seed
        self._calls: dict[str, list[tuple[int, Fault]]] = {place: [] for place in PLACES}
        self._outcomes: list[tuple[int, Fault]] = []
        for number, rule in enumerate(rules):
            (self._outcomes if rule.is_outcome else self._calls[rule.where]).append((number, rule))
        self._asked: Counter[tuple[str, str]] = Counter()
        self._passed: Counter[int] = Counter()
        self._fired: Counter[int] = Counter()

    def draw(self, where: str, subject: str, times: int | None = None) -> Fault | None:
        """The fault of this call, if any. times: which call about the subject it is, from 1; None to count here."""
        rules = self._calls[where]
        if not rules:
            return None
        if times is None:
            self._asked[where, subject] += 1
            times = self._asked[where, subject]
        return self._pick(rules, where, subject, times)

    def outcome(self, subject: str, times: int) -> Fault | None:
        """How a job will end, None for success.

        subject: fingerprint of its inputs. times: which of these jobs it is.
        """
        return self._pick(self._outcomes, "outcome", subject, times) if self._outcomes else None

    def _pick(self, rules: list[tuple[int, Fault]], where: str, subject: str, times: int) -> Fault | None:
        for number, rule in rules:
            self._passed[number] += 1
            if self._passed[number] <= rule.skip or (rule.first is not None and times > rule.first):
                continue
            if rule.count is not None and self._fired[number] >= rule.count:
                continue
            if rule.probability < 1 and chance(self._seed, number, where, subject, times) >= rule.probability:
                continue
            self._fired[number] += 1
            return rule
        return None
