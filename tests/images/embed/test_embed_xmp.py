"""The XMP packet: what it says, in whose words, and how it gets along with one that is there."""

import io
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from batcher.images.embed import NotEmbedded, embed
from batcher.images.embed.xmp import DC, IPTC, OURS, RDF, XMP, merged, version_of, without
from tests.support.pictures import BARE, EVERY, FOREIGN_XMP, RECORD, record

GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
xml_text = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\n\r<>&\"']"))


def properties(packet: bytes) -> list[tuple[str, str]]:
    """Name and text of every property, in the order of the packet; attributes too."""
    values = []
    for description in ET.fromstring(packet.rstrip(b"\0")).iter(f"{{{RDF}}}Description"):
        values += [(name, value) for name, value in description.items() if not name.startswith(f"{{{RDF}}}")]
        values += [(child.tag, "".join(child.itertext())) for child in description]
    return values


def packet_in(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        packet = image.info.get("xmp") or image.info["XML:com.adobe.xmp"].encode()
    assert isinstance(packet, bytes)
    return packet


@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "webp animated"])
def test_the_packet_says_what_the_image_is_and_how_it_was_made(name: str) -> None:
    prompt, comment = "A heron over a lake", "A heron over a lake\nNegative prompt: text"
    assert properties(packet_in(embed(BARE[name], RECORD, {"xmp"}))) == [
        (f"{{{DC}}}description", prompt),
        (f"{{{XMP}}}CreatorTool", "batcher 0.1.0"),
        (f"{{{XMP}}}CreateDate", "2026-11-22T03:00:00.000Z"),
        (f"{{{OURS}}}job", RECORD["job"]),
        (f"{{{IPTC}}}DigitalSourceType", GENERATED),
        (f"{{{IPTC}}}AIPromptInformation", comment),
        (f"{{{IPTC}}}AISystemUsed", "google-deepmind/imagen-4/fast/text-to-image"),
        (f"{{{IPTC}}}AISystemVersionUsed", "4"),
    ]


@pytest.mark.parametrize("name", ["png", "jpeg", "webp"])
def test_iptc_is_the_fields_that_iptc_defines_and_no_others(name: str) -> None:
    values = properties(packet_in(embed(BARE[name], RECORD, {"iptc"})))
    local = [tag.removeprefix(f"{{{IPTC}}}") for tag, _ in values]
    assert local == ["DigitalSourceType", "AIPromptInformation", "AISystemUsed", "AISystemVersionUsed"]
    assert embed(BARE[name], RECORD, {"iptc", "xmp"}) == embed(BARE[name], RECORD, {"xmp"})


def test_a_simulated_image_is_not_called_one_that_a_model_made() -> None:
    values = dict(properties(merged(None, RECORD | {"simulated": True}, whole=False)))
    assert values[f"{{{IPTC}}}DigitalSourceType"] == GENERATED.replace("trainedA", "a")
    assert values[f"{{{IPTC}}}AISystemUsed"] == f"batcher's simulator of {RECORD['model']}"


@pytest.mark.parametrize(
    ("model", "version"),
    [
        ("google-deepmind/imagen-4/fast/text-to-image", "4"),
        ("bytedance/seedream-4.5/text-to-image", "4.5"),
        ("ideogram/ideogram-v3/text-to-image", "3"),
        ("vendor/model:v2", "v2"),
        ("qwen/qwen-image/lora", ""),
        ("", ""),
    ],
)
def test_the_version_is_what_the_model_id_says(model: str, version: str) -> None:
    assert version_of(model) == version


@given(prompt=xml_text)
@example("a\rb\r\nc")
def test_any_prompt_is_read_back_from_the_packet(prompt: str) -> None:
    values = dict(properties(merged(None, record(prompt=prompt), whole=True)))
    assert values.get(f"{{{DC}}}description", "") == prompt


@given(prompt=st.text(), model=st.text())
def test_what_xml_can_not_say_is_replaced_and_the_packet_stays_well_formed(prompt: str, model: str) -> None:
    packet = merged(None, RECORD | {"inputs": {"prompt": prompt}, "model": model}, whole=True)
    ET.fromstring(packet)
    assert without(packet) is None


@pytest.mark.parametrize("name", ["png xmp", "jpeg xmp", "webp xmp"])
def test_a_packet_that_is_there_keeps_its_every_byte_around_ours(name: str) -> None:
    packet = packet_in(embed(EVERY[name], RECORD, {"xmp"}))
    start, end = packet.index(b"<rdf:Description"), packet.index(b"</rdf:Description>\n") + 19
    assert packet[:start] + packet[end:] == FOREIGN_XMP
    assert b'rdf:about="uuid:1"' in packet[start:end]
    values = properties(packet)
    assert values[:2] == [("{http://ns.adobe.com/photoshop/1.0/}Credit", "Made by X"), (f"{{{DC}}}creator", "X")]
    assert len(values) == 2 + 8


def test_what_is_said_already_is_neither_repeated_nor_overruled() -> None:
    theirs = FOREIGN_XMP.replace(
        b"<dc:creator>",
        b'<i:DigitalSourceType xmlns:i="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">theirs</i:DigitalSourceType>'
        b"<dc:creator>",
    ).replace(b" photoshop:Credit", b' xmlns:q="http://ns.adobe.com/xap/1.0/" q:CreatorTool="theirs" photoshop:Credit')
    values = properties(merged(theirs, RECORD, whole=True))
    names = [name for name, _ in values]
    assert len(names) == len(set(names))
    assert dict(values)[f"{{{IPTC}}}DigitalSourceType"] == "theirs"
    assert dict(values)[f"{{{XMP}}}CreatorTool"] == "theirs"
    assert dict(values)[f"{{{IPTC}}}AISystemUsed"] == RECORD["model"]


def test_a_packet_that_says_all_of_it_is_left_as_it_is() -> None:
    ours = merged(None, RECORD, whole=False)
    theirs = ours.replace(b' xmlns:batcher="urn:batcher:1#"', b"")
    assert without(theirs) == theirs
    assert merged(theirs, record(prompt="another"), whole=False) == theirs


def test_a_packet_padded_with_zeros_is_read() -> None:
    assert without(merged(FOREIGN_XMP + bytes(40), RECORD, whole=True)) == FOREIGN_XMP + bytes(40)


BOMB = (
    b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">&b;</x:xmpmeta>'
)


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        (BOMB, "defines a document type"),
        (FOREIGN_XMP[:-20], "can't be read"),
        (FOREIGN_XMP.decode().encode("utf-16"), "can't be read"),
        (b"\xff" + FOREIGN_XMP, "can't be read"),
        (b'<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>', "no room"),
        (b'<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>', "no room"),
        (b"<a>" * 200_000, "nested far too deep"),
        (b" " * (1 << 20) + FOREIGN_XMP, r"takes 1,04\d,\d+ bytes"),
    ],
)
def test_a_packet_that_can_not_be_read_is_an_error_in_plain_words(packet: bytes, why: str) -> None:
    with pytest.raises(NotEmbedded, match=why):
        merged(packet, RECORD, whole=True)


def test_a_start_of_ours_without_an_end_is_not_taken_for_ours() -> None:
    broken = b'<rdf:Description xmlns:batcher="urn:batcher:1#"' * 20_000
    assert without(broken) == broken


@given(extra=st.dictionaries(st.sampled_from(sorted(RECORD)), st.none() | st.integers() | st.lists(st.text())))
def test_any_record_makes_a_packet(extra: dict[str, Any]) -> None:
    assert without(merged(FOREIGN_XMP, RECORD | extra, whole=True)) == FOREIGN_XMP
