"""JSON encoders for millions of values; ``json.dumps`` would create an encoder at each call."""

import json
from typing import Any

import msgspec

as_json = json.JSONEncoder(ensure_ascii=False).encode
as_compact_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def json_line(value: Any) -> bytes:
    """A line of JSON in UTF-8. Half of a surrogate pair becomes its escape."""
    try:
        return msgspec.json.encode(value) + b"\n"
    except UnicodeEncodeError:
        return as_compact_json(msgspec.to_builtins(value)).encode(errors="backslashreplace") + b"\n"
