"""Each container by its own book: where things go, what is announced, what has no room, and C2PA."""

import io
from struct import pack, unpack_from

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from batcher.images.check import Limits, examine
from batcher.images.embed import NotEmbedded, Signed, embed, has_c2pa, strip
from batcher.images.embed.infotext import of
from tests.support.embedded import read_infotext
from tests.support.file_host import picture
from tests.support.pictures import (
    ALL,
    BARE,
    EVERY,
    RECORD,
    decoded,
    pieces,
    png_chunk,
    record,
    with_chunk,
    with_riff,
    with_segment,
)

PNG, JPEG, WEBP = BARE["png"], BARE["jpeg"], BARE["webp"]
INFOTEXT = frozenset({"infotext"})
EXIF, XMP, ALPHA, ICC, ANIMATION = 8, 4, 16, 32, 2


@pytest.mark.parametrize("name", EVERY)
def test_an_embedded_file_passes_the_deepest_check(name: str) -> None:
    facts = examine(embed(EVERY[name], RECORD, ALL), depth="decode", limits=Limits())
    assert facts.size == decoded(EVERY[name])[0][1]


# --- PNG


def test_a_png_keeps_it_before_its_pixels_where_every_reader_looks() -> None:
    names = [name for name, _ in pieces(embed(PNG, RECORD, ALL))]
    assert names == [b"IHDR", b"tEXt", b"iTXt", b"IDAT", b"IEND"]
    with Image.open(io.BytesIO(embed(PNG, RECORD, INFOTEXT))) as image:
        assert image.info["parameters"] == of(RECORD).text()  # nothing was decoded yet


def test_ascii_goes_into_a_plain_text_chunk_and_everything_else_into_an_international_one() -> None:
    assert [name for name, _ in pieces(embed(PNG, record(prompt="plain"), INFOTEXT))][1] == b"tEXt"
    assert [name for name, _ in pieces(embed(PNG, record(prompt="é"), INFOTEXT))][1] == b"iTXt"


@pytest.mark.parametrize("name", [b"tEXt", b"zTXt", b"iTXt"])
def test_an_infotext_that_is_there_is_replaced_wherever_it_stands(name: bytes) -> None:
    foreign = with_chunk(with_chunk(PNG, name, b"parameters\0theirs"), b"tEXt", b"parametersX\0stays")
    embedded = embed(embed(foreign, RECORD, ALL), RECORD, ALL)
    assert [body for _, body in pieces(embedded) if body.startswith(b"parameters\0")] == [
        b"parameters\0" + of(RECORD).text().encode()
    ]
    assert (b"tEXt", b"parametersX\0stays") in pieces(embedded)


def test_compressed_texts_of_others_are_read() -> None:
    held = io.BytesIO()
    texts = PngInfo()
    texts.add_text("parameters", "theirs", zip=True)
    Image.new("L", (3, 3)).save(held, "PNG", pnginfo=texts)
    assert read_infotext(held.getvalue()) == "theirs"


# --- JPEG


def test_a_jpeg_keeps_it_behind_jfif_exif_first() -> None:
    segments = pieces(embed(JPEG, RECORD, ALL))
    assert [name for name, _ in segments][:3] == [0xE0, 0xE1, 0xE1]
    assert segments[1][1].startswith(b"Exif\0\0MM\0*")
    assert segments[2][1].startswith(b"http://ns.adobe.com/xap/1.0/\0")


def test_a_text_that_fills_a_segment_fits_and_one_letter_more_is_refused() -> None:
    def prompt(length: int) -> bytes:
        return embed(JPEG, record(prompt="x" * length), INFOTEXT)

    shorter = prompt(1000)
    fits = 1000 + (65_533 - len(pieces(shorter)[1][1])) // 2
    assert len(pieces(prompt(fits))[1][1]) in {65_532, 65_533}
    assert decoded(prompt(fits)) == decoded(JPEG)
    with pytest.raises(NotEmbedded, match=r"the infotext takes 65,53\d bytes, and a JPEG has room for 65,533"):
        prompt(fits + 1)


def test_a_long_packet_is_refused_in_a_jpeg_and_fits_elsewhere() -> None:
    long = record(prompt="x" * 40_000)
    with pytest.raises(NotEmbedded, match=r"the XMP packet takes .* a JPEG has room"):
        embed(JPEG, long, {"xmp"})
    for content in (PNG, WEBP):
        assert strip(embed(content, long, ALL)) == content


@pytest.mark.parametrize("what", ["EXIF blocks", "XMP packets"])
def test_two_blocks_of_a_kind_are_not_guessed_about(what: str) -> None:
    twice = EVERY["jpeg xmp"]
    at = twice.index(b"\xff\xe1", 4 if what[0] == "E" else twice.index(b"\xff\xe1") + 2)
    twice = twice[:at] + twice[at : at + 2 + unpack_from(">H", twice, at + 2)[0]] + twice[at:]
    with pytest.raises(NotEmbedded, match=f"it has two {what}"):
        embed(twice, RECORD, ALL)


def test_other_application_segments_are_untouched() -> None:
    extended = with_segment(JPEG, 0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(100))
    adobe = with_segment(extended, 0xED, b"Photoshop 3.0\0" + bytes(50))
    segments = pieces(embed(adobe, RECORD, ALL))
    assert [piece for piece in pieces(adobe) if piece not in segments] == []
    assert strip(embed(adobe, RECORD, ALL)) == adobe


# --- EXIF


@pytest.mark.parametrize("name", ["jpeg exif", "webp exif"])
def test_entries_of_others_keep_their_values(name: str) -> None:
    def entries(content: bytes) -> list[dict[int, object]]:
        with Image.open(io.BytesIO(content)) as image:
            exif = image.getexif()
            pointers = {0x8769, 0x8825, 0x9286}
            directories = [dict(exif), dict(exif.get_ifd(0x8769)), dict(exif.get_ifd(0x8825))]
        return [{tag: value for tag, value in one.items() if tag not in pointers} for one in directories]

    before = entries(BARE[name])
    assert len(before[0]) == len(before[1]) == len(before[2]) == 2
    assert entries(embed(BARE[name], RECORD, ALL)) == before


@pytest.mark.parametrize("order", [b"II*\0", b"MM\0*"])
def test_a_comment_of_somebody_else_is_replaced_and_comes_back_with_the_rest(order: bytes) -> None:
    sign = "<" if order[:1] == b"I" else ">"
    text = b"ASCII\0\0\0" + b"from a camera"
    exif_at = 8 + 2 + 12 + 4
    value_at = exif_at + 2 + 12 + 4
    block = order + pack(sign + "IHHHIII", 8, 1, 0x8769, 4, 1, exif_at, 0)
    block += pack(sign + "HHHIII", 1, 0x9286, 7, len(text), value_at, 0) + text
    webp = bytearray(with_riff(BARE["webp icc"], b"EXIF", block))
    webp[20] |= EXIF
    for content in (with_segment(JPEG, 0xE1, b"Exif\0\0" + block), bytes(webp)):
        embedded = embed(content, RECORD, ALL)
        assert read_infotext(embedded) == of(RECORD).text()
        assert strip(embedded) == content
        assert read_infotext(content) is None


@pytest.mark.parametrize(
    "block", [b"II", b"XX*\0\0\0\0\0", b"MM\0*\0\0\0\x63", b"MM\0*\0\0\0\x08\xff\xff", b"II*\0" + b"\xff" * 40]
)
@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_damaged_block_is_an_error_only_where_it_is_in_the_way(block: bytes) -> None:
    for content in (with_segment(JPEG, 0xE1, b"Exif\0\0" + block), with_riff(BARE["webp icc"], b"EXIF", block)):
        with pytest.raises(NotEmbedded, match="its EXIF block is damaged"):
            embed(content, RECORD, ALL)
        assert decoded(embed(content, RECORD, {"xmp"})) == decoded(content)


# --- WebP


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("webp", EXIF | XMP),
        ("webp lossless", EXIF | XMP),
        ("webp alpha", EXIF | XMP | ALPHA),
        ("webp lossless alpha", EXIF | XMP | ALPHA),
        ("webp icc", EXIF | XMP | ICC),
        ("webp animated", EXIF | XMP | ANIMATION),
    ],
)
def test_a_webp_announces_what_it_has(name: str, flags: int) -> None:
    content = BARE[name]
    (first, header), *others = pieces(embed(content, RECORD, ALL))
    assert (first, header[0]) == (b"VP8X", flags)
    width, height = decoded(content)[0][1]
    assert header[4:] == (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    assert [name for name, _ in others][-2:] == [b"EXIF", b"XMP "]
    assert pieces(embed(content, RECORD, {"xmp"}))[0][1][0] == flags & ~EXIF


def test_the_flags_go_with_what_they_announce() -> None:
    embedded = embed(BARE["webp icc"], RECORD, ALL)
    assert pieces(strip(embedded))[0] == pieces(BARE["webp icc"])[0]
    assert [name for name, _ in pieces(strip(embed(WEBP, RECORD, ALL)))] == [b"VP8 "]


def test_chunks_that_nobody_knows_stay_where_they_are() -> None:
    content = with_riff(BARE["webp icc"], b"odd!", b"123")
    names = [name for name, _ in pieces(embed(content, RECORD, ALL))]
    assert names == [b"VP8X", b"ICCP", b"VP8 ", b"EXIF", b"XMP ", b"odd!"]
    assert strip(embed(content, RECORD, ALL)) == content


# --- C2PA

BOX = pack(">I4sI4s", 60, b"jumb", 40, b"jumd") + b"c2pa" + bytes.fromhex("00110010800000aa00389b71") + b"\3c2pa\0"
SIGNED = {
    "png": with_chunk(PNG, b"caBX", BOX),
    "jpeg": with_segment(JPEG, 0xEB, b"JP\0\1\0\0\0\1" + BOX),
    "webp": with_riff(BARE["webp icc"], b"C2PA", BOX),
    "elsewhere": PNG[:33]
    + png_chunk(
        b"iTXt",
        b"XML:com.adobe.xmp\0\0\0\0\0"
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="https://x/y.c2pa"/>'
        b"</rdf:RDF></x:xmpmeta>",
    )
    + PNG[33:],
}


@pytest.mark.parametrize("name", SIGNED)
def test_a_file_with_a_manifest_is_left_alone_and_the_caller_is_told(name: str) -> None:
    assert has_c2pa(SIGNED[name])
    with pytest.raises(Signed, match="C2PA manifest"):
        embed(SIGNED[name], RECORD, ALL)


@pytest.mark.parametrize("name", SIGNED)
def test_force_goes_over_a_manifest_and_keeps_it(name: str) -> None:
    forced = embed(SIGNED[name], RECORD, ALL, force=True)
    assert decoded(forced) == decoded(SIGNED[name])
    assert has_c2pa(forced)
    assert strip(forced) == SIGNED[name]


@pytest.mark.parametrize("name", EVERY)
def test_files_without_a_manifest_have_none(name: str) -> None:
    assert not has_c2pa(EVERY[name])
    assert not has_c2pa(embed(EVERY[name], record(prompt="jumdc2pa caBX C2PA :provenance"), ALL))


def test_other_boxes_in_a_jpeg_are_no_manifest() -> None:
    assert not has_c2pa(with_segment(JPEG, 0xEB, b"JP\0\1\0\0\0\1" + BOX.replace(b"c2pa", b"json")))
    assert not has_c2pa(with_segment(JPEG, 0xEB, b"HDR_RI ver=11 jumdc2pa"))


# --- others


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (picture(form="GIF"), "image/gif has no place for it"),
        (picture(form="AVIF"), "image/avif has no place for it"),
        (b"\0\0\0\x18ftypisom" + bytes(12), "video/mp4 has no place for it"),
        (b"<html>", "it is no image"),
        (b"", "it is no image"),
    ],
)
def test_what_has_no_place_for_it_is_said_so(content: bytes, why: str) -> None:
    with pytest.raises(NotEmbedded, match=why):
        embed(content, RECORD, ALL)
