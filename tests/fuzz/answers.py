"""Fuzz targets: answers read by ``protocol``, catalog entries by ``catalog`` and ``models``, links by ``Trust``."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from random import Random
from typing import Any

from batcher.client.catalogue import ask
from batcher.client.protocol import Reply, is_request_id, read_cancel, read_json, read_result, read_status, read_submit
from batcher.core.errors import (
    AccountError,
    CallError,
    Cause,
    FileRefused,
    ManifestError,
    Rejected,
    ServiceError,
    UsageError,
)
from batcher.core.job import Accepted, FailedThere, Succeeded, Waiting
from batcher.core.retry import MOST_PATIENCE, parse_retry_after
from batcher.images.trust import Trust
from batcher.manifest.schema import ModelSchema
from tests.fuzz.manifests import readable, short
from tests.fuzz.mutation import as_json, mutated, mutated_tree
from tests.fuzz.target import Target
from tests.support.terminal import harmless

NOW = 1.8e9
_URL = "https://playgrounds-storage-public.runcomfy.net/a%3D%3D/b%3D%3D/output/1_output.png"
BODIES: tuple[Any, ...] = (
    {"request_id": "0d6e0c2e-5b1f-4f0e-9a34-0f5a5f2f7a11", "status_url": "https://x/status"},
    {"request_id": "r1", "status": "in_queue", "queue_position": 3},
    {
        "request_id": "r1",
        "status": "succeeded",
        "output": {"image": _URL},
        "finished_at": "2026-09-20T10:00:09Z",
        "cost": 0.02,
    },
    {
        "status": "completed",
        "output": {"images": [_URL, {"url": _URL + "?2"}], "video": _URL},
        "finished_at": 1789898409,
    },
    {"status": "succeeded", "output": [_URL]},
    {
        "status": "failed",
        "error": {"code": 500001, "message": "upstream error", "detail": [{"loc": ["a", 1], "msg": "b"}]},
    },
    {"status": "failed", "error": "content policy violation", "cost": 0},
    {"status": "completed", "outcome": "not_cancellable"},
    {"error_code": 400004, "error_message": "UserAccountError"},
    {"error_code": "429001", "message": "slow"},
    {"detail": [{"type": "value_error", "loc": ["input", "seed"], "msg": "Value error", "input": ""}]},
)
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["prompt"],
    "properties": {
        "prompt": {"type": "string", "default": "a cat", "maxLength": 2000, "pattern": "^.*$"},
        "aspect_ratio": {"type": "string", "enum": ["16:9", "1:1"], "default": "16:9"},
        "seed": {"type": "integer", "minimum": 0, "maximum": 4294967295},
        "strength": {"type": "float", "validations": [{"validation_rule": "max", "validation_value": 1}]},
        "images": {"type": "array", "items": {"type": "string", "format": "image_uri"}, "maxItems": 10},
        "mode": {"anyOf": [{"type": "string"}, {"type": "null"}, {"$ref": "#/$defs/m"}]},
    },
    "$defs": {"m": {"type": "object", "patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": False}},
}
ENTRY = {
    "model_id": "a/b",
    "kind": "model",
    "base_price_usd": 0.02,
    "price_unit": "output",
    "pricing_note": "",
    "input_schema": _SCHEMA,
}
_STATUSES = (200, 200, 200, 202, 204, 301, 400, 401, 402, 403, 404, 408, 422, 429, 500, 502, 503, 504, 524, 999)
_HOSTILE_SCHEMAS: tuple[Any, ...] = (
    "^(a+)+$",
    "(?=a)\\1",
    "(",
    ["string", "null"],
    {"$ref": "#"},
    {"$ref": "https://evil.example/schema"},
    {"$ref": "#/$defs/m"},
    {"allOf": [{"$ref": "#"}]},
    ["a"] * 3000,
    [[["a"]]],
    {"anyOf": 5},
    {"type": 7},
    {"enum": [{"a": [1]}, None, 10**30]},
    {"items": [1]},
    {"oneOf": {"a": 1}},
    {"default": {"a": []}},
    "float",
)
_VALUES: tuple[Any, ...] = (
    "a cat",
    "a" * 30 + "!",
    7,
    -1,
    1.0,
    2.5,
    True,
    None,
    10**30,
    [],
    ["https://e.example/x"],
    {"x": 1},
)


def _packed(status: int, header: str, body: bytes) -> bytes:
    return f"{status}\n{header}\n".encode() + body


def unpacked(data: bytes) -> tuple[int, str, bytes]:
    first, _, rest = data.partition(b"\n")
    header, _, body = rest.partition(b"\n")
    return (int(first) if first.isdigit() and len(first) < 4 else 200), header.decode("latin-1"), body


def _check(data: bytes) -> None:
    status, header, body = unpacked(data)
    wait = parse_retry_after(header, NOW)
    assert wait is None or 0 <= wait <= MOST_PATIENCE, wait
    reply = Reply(status, body, wait)
    readers: tuple[Callable[[Reply], Any], ...] = (read_submit, read_result, read_status, read_cancel, read_json)
    for read in readers:
        try:
            _sane(read(reply))
        except CallError as problem:
            can_be_kept(problem.cause)
        except AccountError as problem:
            readable(problem)


def can_be_kept(cause: Cause) -> None:
    json.dumps(asdict(cause), ensure_ascii=False).encode()
    for text in (cause.kind, cause.message, cause.code or ""):
        assert harmless(text), repr(text)
        assert len(text) <= 500


def _sane(answer: Any) -> None:
    if isinstance(answer, Accepted):
        assert is_request_id(answer.request_id)
    elif isinstance(answer, Succeeded):
        assert answer.urls
        assert answer.cost_usd is None or 0 <= answer.cost_usd < 1e9
        assert answer.finished_at is None or 0 < answer.finished_at < 1e11
        for url in answer.urls:
            url.encode("ascii")
            follow(url)
    elif isinstance(answer, FailedThere):
        can_be_kept(answer.cause)
    elif isinstance(answer, Waiting):
        assert harmless(answer.status)


def follow(url: str) -> None:
    try:
        checked = Trust().check(url)
    except FileRefused as refused:
        can_be_kept(refused.cause)
        return
    assert checked.scheme == "https"
    assert checked.port == 443
    assert f".{checked.host}".endswith((".runcomfy.net", ".runcomfy.com"))


def _answer(rng: Random, _corpus: Sequence[bytes]) -> bytes:
    headers = ("", "", "1", "-5", "99999999999999", "Wed, 21 Oct 2099 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 -9999")
    body = as_json(mutated_tree(rng.choice(BODIES), rng), rng)
    return _packed(rng.choice(_STATUSES), rng.choice(headers), body)


class _Catalog:
    """Stands where the client stands, with this entry for every model."""

    base_url = "https://service.example/v1"

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def model(self, _model: str) -> dict[str, Any]:
        return read_json(Reply(200, self._body))


def _check_catalog(data: bytes) -> None:
    story = ask(_Catalog(data), "a/b", None, patient=False)  # type: ignore[arg-type]  # all of Api that it uses
    try:
        story.send(None)
    except StopIteration as ended:
        offer = ended.value
    except (AccountError, ManifestError, ServiceError) as error:
        readable(error)
        return
    for warning in offer.warnings:
        assert len(warning) < 1_000
    assert offer.price is None or 0 <= offer.price < float("inf")
    if offer.schema is not None:
        _use(offer.schema)


def _use(schema: ModelSchema) -> None:
    schema.fingerprint()
    for name in list(schema.inputs)[:10]:
        for value in _VALUES:
            problem = schema.input(name).check(value)
            short(problem or "")
        for text in ("7", "a cat", "[1]", ""):
            try:
                schema.input(name).check(schema.input(name).convert(text))
            except ValueError as error:
                short(str(error))


def _entry(rng: Random, _corpus: Sequence[bytes]) -> bytes:
    return as_json(mutated_tree(ENTRY, rng, _HOSTILE_SCHEMAS * 4), rng)


def _check_trust(data: bytes) -> None:
    follow(data.decode("utf-8", "surrogateescape"))
    try:
        Trust([data.decode("utf-8", "surrogateescape")])
    except UsageError as error:
        readable(error)


def _hostile_link(rng: Random, corpus: Sequence[bytes]) -> bytes:
    return b"https://" + mutated(rng.choice(corpus)[8:], rng, corpus, _HOSTS)


_HOSTS = (
    b"runcomfy.net",
    b".runcomfy.com",
    b"evil.example",
    b"@",
    b"\\",
    b"#",
    b"?",
    b"%2e",
    b"%00",
    b"[::1]",
    b"127.1",
    b"2130706433",
    b"0x7f.1",
    b"\xe3\x80\x82",
    b"\xef\xbc\x8e",
    b"xn--",
    b":443",
    b":80",
    b"//",
    b"file:",
    b"\t",
    b";",
)

TARGETS = (
    Target(
        "answer/read",
        "status, Retry-After and body, through protocol",
        14,
        lambda: [_packed(200, "", json.dumps(body).encode()) for body in BODIES],
        _check,
        make=_answer,
        tokens=(
            b'"status"',
            b'"output"',
            b'"error"',
            b'"error_code":',
            b'"cost":',
            b"https://a.runcomfy.net/x",
            b"1e999",
        ),
    ),
    Target(
        "answer/catalog",
        "catalog entries: price and JSON Schema",
        5,
        lambda: [json.dumps(ENTRY).encode()],
        _check_catalog,
        make=_entry,
        tokens=(b'"$ref":', b'"enum":', b'"type":', b'"pattern":', b'"anyOf":'),
    ),
    Target(
        "answer/link",
        "links to files",
        5,
        lambda: [_URL.encode(), b"https://a.runcomfy.com:443/x?y=%2F#z"],
        _check_trust,
        make=_hostile_link,
        tokens=_HOSTS,
    ),
)

__all__ = ["BODIES", "TARGETS", "Rejected", "can_be_kept"]
