"""Damaged and made-up files: a clear refusal or a whole result, nothing else, in the memory of a few copies."""

import tracemalloc
import zlib
from collections.abc import Callable
from random import Random
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.images.embed import NotEmbedded, embed, has_c2pa, strip
from tests.support.pictures import ALL, BARE, EVERY, RECORD, pieces, with_chunk, with_riff, with_segment

FORMS = sorted(EVERY)


def attempted(work: Callable[[bytes], object], content: bytes) -> object:
    """What came of it; None when it was refused, in words that can be printed."""
    try:
        return work(content)
    except NotEmbedded as refusal:
        words = str(refusal)
    assert words.isprintable()
    return None


def everything(content: bytes) -> bytes | None:
    """All that can be done with a file; None when embedding was refused."""
    has_c2pa(content)
    attempted(strip, content)
    result = attempted(lambda file: embed(file, RECORD, ALL, force=True), content)
    assert result is None or isinstance(result, bytes)
    return result


@pytest.mark.parametrize("name", FORMS)
def test_a_file_cut_anywhere_is_refused_in_words(name: str) -> None:
    whole = EVERY[name]
    for end in range(len(whole) - 1):
        with pytest.raises(NotEmbedded):
            embed(whole[:end], RECORD, ALL)


@settings(deadline=None, max_examples=400)
@given(name=st.sampled_from(FORMS), seed=st.integers(0, 2**32))
def test_a_file_with_changed_bytes_is_refused_or_stays_sound(name: str, seed: int) -> None:
    random, content = Random(seed), bytearray(embed(EVERY[name], RECORD, ALL) if seed % 2 else EVERY[name])
    for _ in range(random.choice([1, 1, 2, 8])):
        at = random.randrange(min(len(content), random.choice([40, 400, 4000])))
        content[at] = random.choice([0, 1, 0xFF, 0xD9, content[at] ^ (1 << random.randrange(8)), random.randrange(256)])
    embedded = everything(bytes(content))
    if embedded is not None:
        assert embed(embedded, RECORD, ALL, force=True) == embedded


@settings(deadline=None, max_examples=300)
@given(form=st.sampled_from(["png", "jpeg", "webp icc"]), content=st.binary(max_size=200), kind=st.integers(0, 5))
def test_any_bytes_in_a_piece_are_refused_or_embedded(form: str, content: bytes, kind: int) -> None:
    if form == "png":
        prefixes = [
            b"",
            b"parameters\0",
            b"XML:com.adobe.xmp\0",
            b"XML:com.adobe.xmp\0\1\0\0\0",
            b"parameters\0\1\0",
            b"a",
        ]
        names = [b"iTXt", b"zTXt", b"iTXt", b"iTXt", b"iTXt", b"tEXt"]
        everything(with_chunk(BARE[form], names[kind], prefixes[kind] + content))
    elif form == "jpeg":
        prefix = [b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"Exif\0\0MM\0*", b"Exif\0\0II*\0", b"JP", b""][kind]
        everything(with_segment(BARE[form], 0xEB if kind == 4 else 0xE1, prefix + content))
    else:
        name = [b"EXIF", b"XMP ", b"C2PA", b"VP8X", b"ALPH", b"RIFF"][kind]
        everything(with_riff(BARE[form], name, content))


@pytest.mark.parametrize("tail", [b"", b"\0", b"\1\2\3", bytes(7)])
def test_a_webp_whose_chunks_do_not_fit_is_refused_or_whole(tail: bytes) -> None:
    for body in (b"", b"VP8X", b"VP8 \0\0\0\0", b"VP8L\5\0\0\0\x2f\0\0\0\0", b"VP8X\x02\0\0\0\0\0", b"EXIF\0\0\0\0"):
        everything(b"RIFF" + pack("<I", 4 + len(body) + len(tail)) + b"WEBP" + body + tail)
    assert everything(b"RIFF\4\0\0\0WEBP") is None


def test_an_odd_chunk_without_its_padding_is_refused() -> None:
    body = BARE["webp icc"][8:] + b"odd!\3\0\0\0abc"
    with pytest.raises(NotEmbedded, match="damaged webp: its chunks do not fit into it"):
        embed(b"RIFF" + pack("<I", len(body)) + body, RECORD, ALL)


@pytest.mark.parametrize("at", [26, 28])
def test_a_webp_without_width_or_height_is_refused(at: int) -> None:
    content = bytearray(BARE["webp"])
    content[at : at + 2] = bytes(2)
    with pytest.raises(NotEmbedded, match="damaged webp: its header says that it has no pixels"):
        embed(bytes(content), RECORD, ALL)


def test_a_webp_of_more_chunks_than_any_encoder_makes_is_refused() -> None:
    body = BARE["webp icc"][8:] + b"odd!\0\0\0\0" * 65_536
    with pytest.raises(NotEmbedded, match="damaged webp"):
        embed(b"RIFF" + pack("<I", len(body)) + body, RECORD, ALL)


def test_a_forged_footer_in_an_exif_block_leads_nowhere() -> None:
    for length, pointer in [(0, 0), (8, 8), (2**32 - 1, 8), (30, 2**32 - 1), (12, 9)]:
        block = b"MM\0*\0\0\0\x08\0\0\0\0\0\0" + bytes(20) + b"batcher\0" + pack(">II", length, pointer)
        everything(with_segment(BARE["jpeg"], 0xE1, b"Exif\0\0" + block))


def test_a_compressed_text_that_swells_is_not_let_in() -> None:
    bomb = zlib.compress(bytes(200 << 20), 9)
    infotext = with_chunk(BARE["png"], b"zTXt", b"parameters\0\0" + bomb)
    packet = with_chunk(BARE["png"], b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + bomb)
    del bomb
    tracemalloc.start()
    try:
        with pytest.raises(NotEmbedded, match="longer than any reader takes"):
            embed(packet, RECORD, ALL)
        assert strip(embed(infotext, RECORD, {"infotext"})) == BARE["png"]  # to replace it nobody has to read it
        assert tracemalloc.get_traced_memory()[1] < 6 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", ["png", "jpeg", "webp icc"])
def test_a_file_of_very_many_pieces_takes_the_memory_of_its_own_size(form: str) -> None:
    count = 20_000
    if form == "png":
        chunk = pieces(with_chunk(BARE[form], b"tEXt", b"parameters\0"))[-2][1]
        raw = pack(">I4s", len(chunk), b"tEXt") + chunk + pack(">I", zlib.crc32(b"tEXt" + chunk))
        content = BARE[form][:33] + raw * count + BARE[form][33:]
    elif form == "jpeg":
        content = BARE[form][:2] + b"\xff\xe2\0\2" * count + BARE[form][2:]
    else:
        body = BARE[form][8:] + b"odd!\0\0\0\0" * count
        content = b"RIFF" + pack("<I", len(body)) + body
    tracemalloc.start()
    try:
        embedded = embed(content, RECORD, ALL)
        assert tracemalloc.get_traced_memory()[1] < 4 * len(content) + (4 << 20)
    finally:
        tracemalloc.stop()
    assert strip(embedded) == (BARE["png"] if form == "png" else content)
