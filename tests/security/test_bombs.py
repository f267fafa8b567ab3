"""Answers and files that would take all memory there is: measured in a process of its own, at the default limits."""

import gzip
import io
import json
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from struct import pack
from typing import Any

import pytest
from PIL import Image

from batcher.core.errors import FileUnavailable
from batcher.images.check import Limits, examine
from tests.security.appetite import ASK, FETCH, MOST, Body, endless, measured, sending
from tests.support.effort import at_most
from tests.support.file_host import huge_png, picture

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
THREE_GB = 3 << 30
SMALL = 150 * 2**20  # bytes: what never holds a body should stay far below MOST
CAP = {"max_image_bytes": 48 << 20}


def fetched(folder: Path, *answers: tuple[str, Body], **limits: Any) -> list[dict[str, Any]]:
    """What became of each file, all in one process; each with that process's ``peak``."""
    with sending(*answers) as origin:
        outcome = measured(FETCH, origin, str(len(answers)), str(folder), json.dumps(limits))
    assert outcome["peak"] < MOST
    if all(one["kind"] != "saved" for one in outcome["outcomes"]):
        assert not [path for path in folder.rglob("*") if path.is_file()], "something was left behind"
    return [{**one, "peak": outcome["peak"]} for one in outcome["outcomes"]]


def asked(*answers: tuple[str, Body]) -> list[dict[str, Any]]:
    """What became of each answer, likewise."""
    with sending(*answers) as origin:
        outcome = measured(ASK, origin, str(len(answers)))
    assert outcome["peak"] < MOST
    for one in outcome["outcomes"]:
        assert one["units"] < 200
        assert len(one.get("message", "")) <= 500
    return [{**one, "peak": outcome["peak"]} for one in outcome["outcomes"]]


def test_three_announced_gigabytes_are_refused_before_they_come(tmp_path: Path) -> None:
    head = f"Content-Length: {THREE_GB}"
    for outcome in fetched(tmp_path, (head, endless(picture())), (head, endless(b"\0\0\0\x18ftypmp42" + bytes(12)))):
        assert outcome["kind"] == "too_big"
        assert outcome["peak"] < SMALL


def test_three_gigabytes_that_nobody_announced_end_at_the_cap_and_never_lie_in_memory(tmp_path: Path) -> None:
    (outcome,) = fetched(tmp_path, ("Content-Type: image/png", endless(picture())), **CAP)
    assert outcome["kind"] == "too_big"
    assert outcome["peak"] < SMALL


def test_an_endless_body_that_is_no_file_ends_with_its_first_megabyte(tmp_path: Path) -> None:
    (outcome,) = fetched(tmp_path, ("Content-Type: image/png", endless(b"what is this")))
    assert outcome["kind"] == "not_a_picture"
    assert outcome["peak"] < SMALL


def _packed(encoding: str) -> bytes:
    """A gigabyte in a megabyte: a picture's beginning and then nothing but zeros, a hundred times over the cap."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, 31 if encoding == "gzip" else 15)
    pieces = [deflater.compress(picture())]
    pieces += [deflater.compress(bytes(1 << 20)) for _ in range(100)]
    return b"".join([*pieces, deflater.flush()])


def test_a_file_that_unpacks_to_a_hundred_times_its_size_ends_at_the_cap(tmp_path: Path) -> None:
    bodies = {encoding: _packed(encoding) for encoding in ("gzip", "deflate")}
    assert all(len(body) < 200_000 for body in bodies.values())
    answers = [(f"Content-Encoding: {encoding}", body) for encoding, body in bodies.items()]
    for outcome in fetched(tmp_path, *answers, **CAP):
        assert outcome["kind"] == "too_big"
        assert outcome["peak"] < SMALL


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


def test_a_small_file_with_a_billion_pixels_is_refused_before_a_decoder_sees_it(tmp_path: Path) -> None:
    huge = [huge_png(2**31 - 1, 2**31 - 1), huge_png(30_000, 30_000)]
    bombs = [*huge, _jpeg(65_535, 65_535), _gif(65_535, 65_535), _webp(16_384, 16_384)]
    for outcome in fetched(tmp_path, *(("", bomb) for bomb in bombs)):
        assert outcome["kind"] == "too_many_pixels"
        assert "64,000,000" in outcome["message"], "it was Pillow that refused it"
        assert outcome["peak"] < SMALL


def _png_with(name: bytes, content: bytes) -> bytes:
    whole = picture()
    chunk = pack(">I", len(content)) + name + content + pack(">I", zlib.crc32(name + content))
    return whole[:33] + chunk + whole[33:]


def test_a_text_chunk_that_unpacks_to_hundreds_of_megabytes_costs_one_file_and_little_memory(tmp_path: Path) -> None:
    packed = zlib.compress(bytes(300 << 20), 1)
    heads = {b"zTXt": b"a\0\0", b"iTXt": b"a\0\1\0en\0a\0", b"iCCP": b"a\0\0"}
    bombs = [("", _png_with(name, head + packed)) for name, head in heads.items()]
    assert {outcome["kind"] for outcome in fetched(tmp_path, *bombs)} <= {"saved", "bad_picture"}


def test_the_largest_image_that_is_let_through_stays_within_the_memory_we_promise(tmp_path: Path) -> None:
    held = io.BytesIO()
    one_colour = Image.new("RGBA", (8_000, 8_000), (9, 9, 9, 255))  # so that all of it is looked at
    one_colour.save(held, "PNG", compress_level=1)
    assert fetched(tmp_path, ("", held.getvalue()))[0]["kind"] == "saved"


def test_an_answer_without_end_is_an_unreadable_one() -> None:
    flood = endless(b'{"status": "')
    for outcome in asked(("Content-Type: application/json", flood), (f"Content-Length: {THREE_GB}", flood)):
        assert "16,777,216" in outcome["message"]
        assert outcome["peak"] < SMALL


def _inflating(bits: int) -> Iterator[bytes]:
    deflater = zlib.compressobj(9, zlib.DEFLATED, bits)
    yield deflater.compress(b'{"status": "')
    for _ in range(1024):
        yield deflater.compress(bytes(1 << 20))
    yield deflater.flush()


def test_an_answer_that_unpacks_to_a_gigabyte_is_an_unreadable_one() -> None:
    for outcome in asked(
        ("Content-Encoding: gzip", partial(_inflating, 31)), ("Content-Encoding: deflate", partial(_inflating, 15))
    ):
        assert outcome["kind"] == "connection"
        assert outcome["peak"] < SMALL + (64 << 20)


def test_json_that_is_deep_or_wide_or_long_is_read_or_refused_at_once() -> None:
    nested = (b"[" * 4_000_000, b'{"a":' * 800_000, b'{"output": ' + b"[" * 900 + b"]" * 900 + b"}")
    many = (
        b"[" + b"{}," * 1_300_000 + b"0]",
        b"[" + b"[]," * 1_300_000 + b"0]",
        b'{"error": "' + b"\\u001b" * 600_000 + b'"}',
    )
    nines = b"9" * 4_000_000
    numbers = (
        b'{"cost": ' + nines + b"}",
        b'{"queue_position": 1e999999999}',
        b'{"error_code": ' + nines[:4_000] + b"}",
    )
    assert len(asked(*(("", body) for body in (*nested, *many, *numbers)))) == 9


def test_a_result_with_a_hundred_thousand_links_does_not_become_a_hundred_thousand_downloads() -> None:
    links = [f"https://a.runcomfy.net/{number}" for number in range(100_000)]
    (outcome,) = asked(("", json.dumps({"status": "succeeded", "output": links}).encode()))
    assert outcome["kind"] == "answered"
    assert outcome["urls"] <= 100


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


def test_files_of_millions_of_tiny_pieces_do_not_take_the_processor_for_minutes() -> None:
    for data in _of_tiny_pieces().values():
        with at_most(200), pytest.raises(FileUnavailable, match=r"more pieces than|too much padding"):
            examine(data, depth="decode", limits=Limits())  # it looks at the structure first


def test_gzip_itself_is_not_the_problem(tmp_path: Path) -> None:
    body = gzip.compress(picture(600, 600))
    assert fetched(tmp_path, ("Content-Encoding: gzip", body))[0]["kind"] == "saved"
