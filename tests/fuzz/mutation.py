"""How inputs are spoilt: bytes by hand-sized accidents, JSON trees by values that programs are not ready for.

No knowledge of batcher is in here. Everything is drawn from the ``Random`` that is passed in, so a seed is a campaign.
"""

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

LONGEST = 200_000  # bytes of one input: what hangs on more than this is for the tests of caps

ODD_BYTES: tuple[bytes, ...] = (
    b"",
    b"\0",
    b"\xff",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n",
    b"\r\n",
    b"\t",
    b"\x1b[31m",
    b"\x9b1m",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xe2\x80\xae",
    b"\xe2\x80\xa8",
    b"'",
    b'"',
    b'""',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b"{{",
    b":",
    b": ",
    b",",
    b";",
    b"- ",
    b"#",
    b"&a ",
    b"*a",
    b"<<: ",
    b"!!python/object ",
    b"|",
    b">-",
    b"---\n",
    b"...",
    b"0",
    b"-1",
    b"1e999",
    b"NaN",
    b"Infinity",
    b"16:9",
    b"1..20",
    b"1..99999999999999999999",
    b"9" * 400,
    b"9" * 5000,
    b"null",
    b"true",
    b"no",
    b"2024-01-01",
    b"\\ud800",
    b"\\u0000",
    b"../",
    b"/etc/passwd",
    b"%2e%2e",
    b"a" * 300,
    b"[" * 200,
    b'{"a":' * 200,
    b"(" * 50,
    b"prompt",
    b"Prompt",
    b"id",
    b"{time}",
    b"$ref",
    b"=",
)

ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    1e308,
    -0.0,
    2**31,
    2**53 + 1,
    2**63,
    2**64,
    10**40,
    10**400,
    10**4200,
    float("nan"),
    float("inf"),
    "",
    " ",
    "\0",
    "\x1b]0;owned\x07\x1b[2J",
    "\u202eabc",
    "\ud800",
    "a\nb\r\nc",
    "x" * 10_000,
    "../../etc/passwd",
    "https://x.runcomfy.net/a.png",
    "http://127.0.0.1/",
    "https://runcomfy.net\\@evil.example/",
    "data:image/png;base64,AA",
    "file:///etc/passwd",
    "16:9",
    "1..20",
    "1..999999999999",
    "{time}",
    "{seed:04d}",
    "{meta.x!r}",
    [],
    {},
    [[]],
    {"": ""},
    [None],
    ["https://a.runcomfy.net/1", 7],
    {"$ref": "https://evil.example/"},
    {"prompt": "a"},
    {"a": {"a": {"a": [1, {"a": []}]}}},
    {"start": 1, "count": 10**12},
)


def mutated(data: bytes, rng: Random, others: Sequence[bytes], tokens: Sequence[bytes] = ()) -> bytes:
    """``data`` after one to eight accidents. others: inputs to splice with; tokens: the format's own words."""
    spoilt = bytearray(data)
    for _ in range(1 << rng.randrange(4)):
        rng.choice(_ACCIDENTS)(spoilt, rng, others, [*ODD_BYTES, *tokens])
    return bytes(spoilt[:LONGEST])


def _flip(data: bytearray, rng: Random, _others: Sequence[bytes], _tokens: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _overwrite(data: bytearray, rng: Random, _others: Sequence[bytes], _tokens: Sequence[bytes]) -> None:
    if data:
        at = rng.randrange(len(data))
        size = rng.choice((1, 1, 2, 4, 4, 8))
        data[at : at + size] = rng.choice((bytes(size), b"\xff" * size, rng.randbytes(size)))


def _insert(data: bytearray, rng: Random, _others: Sequence[bytes], tokens: Sequence[bytes]) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.choice(tokens)


def _replace(data: bytearray, rng: Random, _others: Sequence[bytes], tokens: Sequence[bytes]) -> None:
    start, end = _span(data, rng, 40)
    data[start:end] = rng.choice(tokens)


def _remove(data: bytearray, rng: Random, _others: Sequence[bytes], _tokens: Sequence[bytes]) -> None:
    start, end = _span(data, rng, len(data) // 2 + 1)
    del data[start:end]


def _repeat(data: bytearray, rng: Random, _others: Sequence[bytes], _tokens: Sequence[bytes]) -> None:
    start, end = _span(data, rng, 400)
    data[end:end] = bytes(data[start:end]) * rng.choice((1, 2, 10, 100))


def _truncate(data: bytearray, rng: Random, _others: Sequence[bytes], _tokens: Sequence[bytes]) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _splice(data: bytearray, rng: Random, others: Sequence[bytes], _tokens: Sequence[bytes]) -> None:
    other = rng.choice(others)
    cut = rng.randrange(len(other) + 1)
    data[rng.randrange(len(data) + 1) :] = other[cut:]


def _span(data: bytearray, rng: Random, longest: int) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.randrange(longest + 1))


_ACCIDENTS: tuple[Callable[[bytearray, Random, Sequence[bytes], Sequence[bytes]], None], ...] = (
    _flip,
    _flip,
    _overwrite,
    _insert,
    _insert,
    _replace,
    _replace,
    _remove,
    _repeat,
    _truncate,
    _splice,
)


def mutated_tree(tree: Any, rng: Random, values: Sequence[Any] = ()) -> Any:
    """A copy of JSON data with one to four of its values or keys replaced, doubled, wrapped or left out."""
    for _ in range(rng.randrange(1, 5)):
        tree = _changed(tree, rng, [*ODD_VALUES, *values])
    return tree


def _changed(tree: Any, rng: Random, values: Sequence[Any]) -> Any:
    if isinstance(tree, dict) and tree and rng.random() < 0.85:
        name = rng.choice(list(tree))
        return _changed_pair(dict(tree), name, rng, values)
    if isinstance(tree, list) and tree and rng.random() < 0.85:
        at = rng.randrange(len(tree))
        return [*tree[:at], _changed(tree[at], rng, values), *tree[at + 1 :]]
    choice = rng.randrange(10)
    if choice == 0:
        return [tree] * rng.choice((1, 2, 30))
    if choice == 1:
        return _nested(tree, rng.choice((3, 30, 70, 300, 900)), rng)
    return rng.choice(values)


def _changed_pair(tree: dict[Any, Any], name: Any, rng: Random, values: Sequence[Any]) -> dict[Any, Any]:
    choice = rng.randrange(8)
    if choice == 0:
        del tree[name]
    elif choice == 1:
        tree[rng.choice([value for value in values if isinstance(value, str)])] = tree.pop(name)
    else:
        tree[name] = _changed(tree[name], rng, values)
    return tree


def _nested(tree: Any, depth: int, rng: Random) -> Any:
    listed = rng.random() < 0.5
    for _ in range(depth):
        tree = [tree] if listed else {"a": tree}
    return tree


def as_json(tree: Any, rng: Random) -> bytes:
    try:
        text = json.dumps(tree, ensure_ascii=rng.random() < 0.7, indent=rng.choice((None, None, 1)))
    except RecursionError:
        return b"[" * rng.randrange(100_000)
    return text.encode(errors="surrogatepass")
