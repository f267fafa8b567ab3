"""The laws of embedding, for every form of container: pixels, other pieces, twice as once, and the way back."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from batcher.images.embed import embed, strip
from tests.support.embedded import read_infotext
from tests.support.pictures import ALL, BARE, EVERY, ICC, LONG_ICC, RECORD, decoded, pieces, record

every = pytest.mark.parametrize("name", EVERY)
texts = st.text(max_size=60)
wanted = st.sets(st.sampled_from(sorted(ALL)), min_size=1)


@every
def test_the_pixels_stay_as_they_are(name: str) -> None:
    embedded = embed(EVERY[name], RECORD, ALL)
    assert decoded(embedded) == decoded(EVERY[name])
    assert embedded != EVERY[name]


@every
def test_the_way_back_gives_the_very_bytes(name: str) -> None:
    assert strip(embed(EVERY[name], RECORD, ALL)) == EVERY[name]


@every
def test_twice_is_once(name: str) -> None:
    once = embed(EVERY[name], RECORD, ALL)
    assert embed(once, RECORD, ALL) == once


@every
def test_a_newer_text_takes_the_place_of_the_older(name: str) -> None:
    newer = record(prompt="Another one, much longer than the first, so that sizes change", seed=8)
    assert embed(embed(EVERY[name], RECORD, ALL), newer, ALL) == embed(EVERY[name], newer, ALL)


@every
def test_every_other_piece_stays_and_in_its_order(name: str) -> None:
    ours = {b"tEXt", b"iTXt", b"EXIF", b"XMP ", b"VP8X", 0xE1}
    before = [piece for piece in pieces(EVERY[name]) if piece[0] not in ours]
    after = pieces(embed(EVERY[name], RECORD, ALL))
    assert [piece for piece in after if piece[0] not in ours] == before
    kept = [piece for piece in pieces(EVERY[name]) if piece[0] in {b"tEXt", b"iTXt"} and b"XML:com" not in piece[1]]
    assert [piece for piece in after if piece in kept] == kept


@every
@pytest.mark.parametrize("first", sorted(ALL))
def test_one_after_the_other_is_the_same_as_both(name: str, first: str) -> None:
    step = embed(EVERY[name], RECORD, {first})
    assert decoded(step) == decoded(EVERY[name])
    assert embed(step, RECORD, ALL) == embed(EVERY[name], RECORD, ALL)


@every
def test_what_is_not_asked_for_is_not_touched(name: str) -> None:
    assert embed(EVERY[name], RECORD, frozenset()) == EVERY[name]
    with_text = embed(EVERY[name], RECORD, {"infotext"})
    assert read_infotext(embed(with_text, record(prompt="other"), {"xmp"})) == read_infotext(with_text)


@pytest.mark.parametrize("name", ["png texts", "jpeg progressive", "webp icc"])
def test_a_colour_profile_is_kept(name: str) -> None:
    with Image.open(io.BytesIO(embed(BARE[name], RECORD, ALL))) as image:
        assert image.info["icc_profile"] in {ICC, LONG_ICC}


@settings(deadline=None, max_examples=60)
@given(name=st.sampled_from(sorted(EVERY)), prompt=texts, negative=texts, seed=st.integers(), what=wanted)
def test_the_laws_hold_for_any_text(name: str, prompt: str, negative: str, seed: int, what: set[str]) -> None:
    fields = record(prompt=prompt, negative_prompt=negative, seed=seed)
    once = embed(EVERY[name], fields, what)
    assert decoded(once) == decoded(EVERY[name])
    assert embed(once, fields, what) == once
    assert strip(once) == EVERY[name]
    assert strip(embed(once, RECORD, ALL)) == EVERY[name]


@settings(deadline=None)
@given(
    fields=st.dictionaries(
        st.sampled_from([*RECORD, "other"]),
        st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists),
    )
)
def test_any_record_can_be_embedded(fields: dict[str, object]) -> None:
    assert strip(embed(BARE["png"], fields, ALL)) == BARE["png"]


def test_what_follows_the_end_of_the_file_is_kept() -> None:
    for name in ("png", "jpeg", "webp", "webp icc"):
        content = BARE[name] + b"behind the end"
        embedded = embed(content, RECORD, ALL)
        assert embedded.endswith(b"behind the end")
        assert strip(embedded) == content
