"""Damage: every depth of check against every way of being broken."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from batcher.core.errors import FileRefused, FileUnavailable
from batcher.images.check import CheckDepth, Facts, Limits, examine
from batcher.images.kinds import AAC, AVI, MOV, MP3, MP4, WAV, WEBM, identify
from tests.support.file_host import picture

WHOLE: dict[str, bytes] = {
    "png": picture(60, 40),
    "png16": picture(60, 40, mode="I;16"),
    "palette": picture(60, 40, mode="P"),
    "jpeg": picture(60, 40, form="JPEG"),
    "progressive": picture(60, 40, form="JPEG", progressive=True),
    "webp": picture(60, 40, form="WEBP"),
    "lossless": picture(60, 40, form="WEBP", lossless=True),
    "extended": picture(60, 40, form="WEBP", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0"),
    "gif": picture(60, 40, form="GIF"),
    "avif": picture(60, 40, form="AVIF"),
}
every = pytest.mark.parametrize("name", WHOLE)
deep = pytest.mark.parametrize("depth", ["decode", "structure"])


def look(data: bytes, depth: CheckDepth = "decode", **options: Any) -> Facts:
    return examine(data, depth=depth, limits=Limits(), **options)


@every
@pytest.mark.parametrize("depth", ["decode", "structure", "none"])
def test_a_whole_image_passes_with_its_size(name: str, depth: CheckDepth) -> None:
    facts = look(WHOLE[name], depth)
    assert facts.size == (60, 40)
    assert facts.warning is None


@every
@deep
def test_an_image_cut_anywhere_is_found_out(name: str, depth: CheckDepth) -> None:
    whole = WHOLE[name]
    for end in range(64, len(whole), 37):
        with pytest.raises(FileUnavailable):
            look(whole[:end], depth)
    with pytest.raises(FileUnavailable):
        look(whole[:-1], depth)


@deep
def test_one_wrong_bit_anywhere_in_a_png_is_found_out(depth: CheckDepth) -> None:
    whole = picture(12, 12)
    for at in range(8, len(whole)):  # before, it stops being a PNG
        damaged = bytearray(whole)
        damaged[at] ^= 4
        with pytest.raises((FileUnavailable, FileRefused)):
            look(bytes(damaged), depth)


def test_the_findings_about_pillow_that_make_three_tests_necessary_still_hold(tmp_path: Any) -> None:
    no_end = tmp_path / "a.png"
    no_end.write_bytes(WHOLE["png"][:-12])
    with Image.open(no_end) as image:
        image.load()
    half = tmp_path / "a.jpg"
    half.write_bytes(WHOLE["jpeg"][: len(WHOLE["jpeg"]) // 2])
    with Image.open(half) as image:
        image.verify()


def test_damage_that_only_a_decoder_sees_is_found_by_decoding() -> None:
    png = WHOLE["png"]
    at = png.index(b"IDAT")
    length = int.from_bytes(png[at - 4 : at], "big")
    import zlib  # noqa: PLC0415  for this test alone

    content = zlib.compress(b"too little")
    chunk = len(content).to_bytes(4, "big") + b"IDAT" + content + zlib.crc32(b"IDAT" + content).to_bytes(4, "big")
    lying = png[: at - 4] + chunk + png[at + 8 + length :]
    assert look(lying, "structure").size == (60, 40)
    with pytest.raises(FileUnavailable) as caught:
        look(lying, "decode")
    assert caught.value.cause.kind == "bad_picture"


def test_bytes_after_the_end_of_an_image_do_no_harm() -> None:
    for name in ("png", "jpeg", "webp", "gif"):
        assert look(WHOLE[name] + bytes(100)).size == (60, 40)


def test_a_thumbnail_inside_a_jpeg_is_not_taken_for_its_end() -> None:
    jpeg = WHOLE["jpeg"]
    inner = b"Exif\0\0" + picture(8, 8, form="JPEG")
    assert len(inner) < 60_000
    nested = jpeg[:2] + b"\xff\xe1" + (len(inner) + 2).to_bytes(2, "big") + inner + jpeg[2:]
    assert look(nested, "structure").size == (60, 40)
    with pytest.raises(FileUnavailable):
        look(nested[:-2], "structure")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0\0\0\x20ftypisom", MP4),
        (b"\0\0\0\x14ftypqt  ", MOV),
        (b"\x1a\x45\xdf\xa3\x9f", WEBM),
        (b"ID3\x04", MP3),
        (b"\xff\xfb\x90\x00", MP3),
        (b"RIFF\0\0\0\0WAVEfmt ", WAV),
        (b"RIFF\0\0\0\0AVI LIST", AVI),
        (b"\xff\xf1\x50\x80", AAC),
        (b"", None),
        (b"BM", None),
    ],
)
def test_sound_and_film_are_known_by_their_first_bytes(head: bytes, kind: object) -> None:
    assert identify(head) == kind


@deep
def test_a_film_is_kept_without_a_size_and_a_cut_one_is_not(depth: CheckDepth) -> None:
    film = b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\x18mdat" + bytes(16)
    assert look(film, depth, wanted_ratio="16:9") == Facts(
        kind=MP4, bytes=40, sha256=look(film, "none").sha256, size=None, warning=None
    )
    with pytest.raises(FileUnavailable):
        look(film[:-1], depth)


def test_an_image_over_the_cap_in_bytes_is_refused_and_a_film_of_that_size_is_not() -> None:
    limits = Limits(max_image_bytes=1_000, max_bytes=10_000)
    with pytest.raises(FileRefused):
        examine(WHOLE["png"], depth="none", limits=limits)
    examine(b"\x1a\x45\xdf\xa3" + bytes(2_000), depth="none", limits=limits)


@given(
    name=st.sampled_from(sorted(WHOLE)),
    at=st.integers(0, 10_000),
    junk=st.binary(min_size=1, max_size=12),
    depth=st.sampled_from(["decode", "structure", "none"]),
)
@settings(max_examples=300, deadline=None)
def test_whatever_the_damage_it_ends_in_facts_or_in_a_file_error(
    name: str, at: int, junk: bytes, depth: CheckDepth
) -> None:
    data = bytearray(WHOLE[name])
    at %= len(data)
    data[at : at + len(junk)] = junk
    try:
        facts = look(bytes(data), depth)
    except (FileUnavailable, FileRefused) as error:
        text = error.cause.message
    else:
        text = facts.kind.extension
    assert text.isprintable()


@given(st.binary(max_size=200))
def test_no_bytes_behind_the_head_of_an_image_make_an_image(data: bytes) -> None:
    for head in (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF89a", b"RIFF\0\0\0\0WEBP", b"\0\0\0\x10ftypavif"):
        with pytest.raises((FileUnavailable, FileRefused)):
            look(head + data)
