"""Answers and files that would take all memory there is: measured in a process of its own, at the default limits."""

import gzip
import io
import json
import time
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from struct import pack
from typing import Any

import pytest
from PIL import Image

from batcher.artifacts.check import CheckDepth, Limits, examine
from batcher.errors import FileUnavailable
from tests.artifacts.file_host import huge_png, picture
from tests.security.appetite import ASK, FETCH, MOST, endless, measured, sending

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
THREE_GB = 3 << 30
SMALL = 150 * 2**20  # bytes: what never holds a body should stay far below MOST
CAP = {"max_image_bytes": 48 << 20}


def fetched(folder: Path, head: str, body: Any, **limits: Any) -> dict[str, Any]:
    with sending(head, body) as origin:
        told = measured(FETCH, f"{origin}/x", str(folder), json.dumps(limits))
    assert told["peak"] < MOST
    assert not [path for path in folder.rglob("*") if path.is_file()], "something was left behind"
    return told


def asked(head: str, body: Any) -> dict[str, Any]:
    with sending(head, body) as origin:
        told = measured(ASK, f"{origin}/v1")
    assert told["peak"] < MOST
    assert told["seconds"] < 10
    return told


@pytest.mark.parametrize("opening", [picture(), b"\0\0\0\x18ftypmp42" + bytes(12)], ids=["png", "mp4"])
def test_three_announced_gigabytes_are_refused_before_they_come(tmp_path: Path, opening: bytes) -> None:
    told = fetched(tmp_path, f"Content-Length: {THREE_GB}", endless(opening))
    assert told["kind"] == "too_big"
    assert told["peak"] < SMALL


def test_three_gigabytes_that_nobody_announced_end_at_the_cap_and_never_lie_in_memory(tmp_path: Path) -> None:
    told = fetched(tmp_path, "Content-Type: image/png", endless(picture()), **CAP)
    assert told["kind"] == "too_big"
    assert told["peak"] < SMALL


def test_an_endless_body_that_is_no_file_ends_with_its_first_megabyte(tmp_path: Path) -> None:
    told = fetched(tmp_path, "Content-Type: image/png", endless(b"what is this"))
    assert told["kind"] == "not_a_picture"
    assert told["peak"] < SMALL


@cache
def _packed(encoding: str) -> bytes:
    """A gigabyte in a megabyte: a picture's beginning and then nothing but zeros, a hundred times over the cap."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
    pieces = [deflater.compress(picture())]
    pieces += [deflater.compress(bytes(1 << 20)) for _ in range(100)]
    return b"".join([*pieces, deflater.flush()])


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_file_that_unpacks_to_a_hundred_times_its_size_ends_at_the_cap(tmp_path: Path, encoding: str) -> None:
    body = _packed(encoding)
    assert len(body) < 200_000
    head = f"Content-Encoding: {encoding}\r\nContent-Length: {len(body)}"
    told = fetched(tmp_path, head, lambda: iter([body]), **CAP)
    assert told["kind"] == "too_big"
    assert told["peak"] < SMALL


def _jpeg(width: int, height: int) -> bytes:
    whole = picture(form="JPEG")
    at = whole.index(b"\xff\xc0") + 5
    return whole[:at] + pack(">HH", height, width) + whole[at + 4 :]


def _gif(width: int, height: int) -> bytes:
    whole = picture(form="GIF")
    return whole[:6] + pack("<HH", width, height) + whole[10:]


def _webp(width: int, height: int) -> bytes:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunk = b"VP8X" + pack("<I", 10) + bytes(4) + sides
    rest = picture(form="WEBP")[12:]
    return b"RIFF" + pack("<I", 4 + len(chunk) + len(rest)) + b"WEBP" + chunk + rest


@pytest.mark.parametrize(
    "bomb",
    [
        huge_png(2**31 - 1, 2**31 - 1),
        huge_png(30_000, 30_000),
        _jpeg(65_535, 65_535),
        _gif(65_535, 65_535),
        _webp(16_384, 16_384),
    ],
    ids=["png", "smaller png", "jpeg", "gif", "webp"],
)
def test_a_small_file_with_a_billion_pixels_is_refused_before_a_decoder_sees_it(tmp_path: Path, bomb: bytes) -> None:
    told = fetched(tmp_path, f"Content-Length: {len(bomb)}", lambda: iter([bomb]))
    assert told["kind"] == "too_many_pixels"
    assert told["peak"] < SMALL


def _png_with(name: bytes, content: bytes) -> bytes:
    whole = picture()
    chunk = pack(">I", len(content)) + name + content + pack(">I", zlib.crc32(name + content))
    return whole[:33] + chunk + whole[33:]


@pytest.mark.parametrize("name", [b"zTXt", b"iTXt", b"iCCP"])
def test_a_text_chunk_that_unpacks_to_hundreds_of_megabytes_costs_one_file_and_little_memory(
    tmp_path: Path, name: bytes
) -> None:
    packed = zlib.compress(bytes(300 << 20), 1)
    head = b"a\0\1\0en\0a\0" if name == b"iTXt" else b"a\0\0"
    bomb = _png_with(name, head + packed)
    with sending(f"Content-Length: {len(bomb)}", lambda: iter([bomb])) as origin:
        told = measured(FETCH, f"{origin}/x", str(tmp_path), "{}")
    assert told["kind"] in {"saved", "bad_picture"}
    assert told["peak"] < MOST


def test_the_largest_picture_that_is_let_through_stays_within_the_memory_we_promise(tmp_path: Path) -> None:
    held = io.BytesIO()
    Image.new("RGBA", (8_000, 8_000), (9, 9, 9, 255)).save(
        held, "PNG", compress_level=1
    )  # one colour: all of it is looked at
    body = held.getvalue()
    with sending(f"Content-Length: {len(body)}", lambda: iter([body])) as origin:
        told = measured(FETCH, f"{origin}/x", str(tmp_path), "{}")
    assert told["kind"] == "saved"
    assert told["peak"] < MOST


@pytest.mark.parametrize(
    "head", ["Content-Type: application/json", f"Content-Length: {THREE_GB}"], ids=["endless", "3 GB"]
)
def test_an_answer_without_end_is_an_unreadable_one(head: str) -> None:
    told = asked(head, endless(b'{"status": "'))
    assert "4,194,304" in told["message"]
    assert told["peak"] < SMALL


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_an_answer_that_unpacks_to_a_gigabyte_is_an_unreadable_one(encoding: str) -> None:
    def body() -> Iterator[bytes]:
        deflater = zlib.compressobj(9, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
        yield deflater.compress(b'{"status": "')
        for _ in range(1024):
            yield deflater.compress(bytes(1 << 20))
        yield deflater.flush()

    told = asked(f"Content-Encoding: {encoding}", body)
    assert told["kind"] == "connection"
    assert told["peak"] < SMALL + (64 << 20)


NESTED = (b"[" * 4_000_000, b'{"a":' * 800_000, b'{"output": ' + b"[" * 900 + b"]" * 900 + b"}")
MANY = (
    b"[" + b"{}," * 1_300_000 + b"0]",
    b"[" + b"[]," * 1_300_000 + b"0]",
    json.dumps({"error": "\x1b" * 600_000}).encode(),
)
NUMBERS = (
    b'{"status": "succeeded", "cost": ' + b"9" * 4_000_000 + b"}",
    b'{"queue_position": 1e999999999}',
    b'{"error_code": ' + b"7" * 4000 + b"}",
)


@pytest.mark.parametrize("body", [*NESTED, *MANY, *NUMBERS], ids=lambda body: body[:12].decode() + f"...{len(body)}")
def test_json_that_is_deep_or_wide_or_long_is_read_or_refused_at_once(body: bytes) -> None:
    told = asked(f"Content-Length: {len(body)}", lambda: iter([body]))
    assert told["seconds"] < 5
    assert len(told.get("message", "")) <= 500


def test_a_result_with_a_hundred_thousand_links_does_not_become_a_hundred_thousand_downloads() -> None:
    links = [f"https://a.runcomfy.net/{number}" for number in range(100_000)]
    body = json.dumps({"status": "succeeded", "output": links}).encode()
    told = asked(f"Content-Length: {len(body)}", lambda: iter([body]))
    assert told["kind"] == "answered"
    assert told["urls"] <= 100


def _of_tiny_pieces() -> dict[str, bytes]:
    gif, jpeg, png = picture(8, 8, form="GIF"), picture(8, 8, form="JPEG"), picture(8, 8)
    frame = gif.index(b"\x2c\0\0\0\0")
    empty = bytes(4) + b"abCd" + pack(">I", zlib.crc32(b"abCd"))
    return {
        "a gif of blocks of one byte": gif[:frame] + b"\x21\xfe" + b"\1a" * 2_000_000 + b"\0" + gif[frame:],
        "a jpeg of fill bytes": jpeg[:2] + b"\xff" * 8_000_000 + jpeg[3:],
        "a jpeg of empty segments": jpeg[:2] + b"\xff\xfe\0\2" * 1_200_000 + jpeg[2:],
        "a png of empty chunks": png[:33] + empty * 1_200_000 + png[33:],
        "a film of empty boxes": pack(">I", 16) + b"ftypisom" + bytes(4) + (pack(">I", 8) + b"free") * 1_200_000,
    }


@pytest.mark.parametrize("depth", ["structure", "decode"])
def test_files_of_millions_of_tiny_pieces_do_not_take_the_processor_for_minutes(depth: CheckDepth) -> None:
    for words, data in _of_tiny_pieces().items():
        began = time.perf_counter()
        with pytest.raises(FileUnavailable, match="more pieces than|padded beyond"):
            examine(data, depth=depth, limits=Limits())
        assert time.perf_counter() - began < 3, words


def test_gzip_itself_is_not_the_problem(tmp_path: Path) -> None:
    body = gzip.compress(picture(600, 600))
    with sending(f"Content-Encoding: gzip\r\nContent-Length: {len(body)}", lambda: iter([body])) as origin:
        assert measured(FETCH, f"{origin}/x", str(tmp_path), "{}")["kind"] == "saved"
