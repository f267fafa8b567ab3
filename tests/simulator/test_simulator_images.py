import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from batcher.simulator import images

RATIOS = ["16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "8:1"]


def decoded(data: bytes) -> Image.Image:
    Image.open(io.BytesIO(data)).verify()
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("ratio", RATIOS)
def test_an_image_has_exactly_the_ratio_asked_for(ratio: str) -> None:
    image = decoded(images.image_file({"prompt": "a heron", "aspect_ratio": ratio}))
    wide, high = (int(part) for part in ratio.split(":"))
    assert image.width * high == image.height * wide
    assert 40_000 < image.width * image.height < 75_000


@pytest.mark.parametrize("ratio", ["auto", "", "16:0", "x:y", "1:2:3", 7, None, "٣:٤", "999:1"])
def test_a_ratio_that_is_none_gives_a_square(ratio: object) -> None:
    image = decoded(images.image_file({"prompt": "a heron", "aspect_ratio": ratio}))
    assert image.width == image.height


def test_every_prompt_seed_ratio_and_index_gives_another_image() -> None:
    made = {
        decoded(images.image_file({"prompt": prompt, "seed": seed, "aspect_ratio": ratio}, index))
        .convert("RGB")
        .tobytes()
        for prompt in ("a heron", "a crane")
        for seed in range(5)
        for ratio in ("16:9", "1:1")
        for index in range(3)
    }
    assert len(made) == 2 * 5 * 2 * 3


def test_the_same_request_gives_the_same_bytes_whatever_the_order_of_its_keys() -> None:
    assert images.image_file({"prompt": "a", "seed": 1}) == images.image_file({"seed": 1, "prompt": "a"})


@settings(max_examples=60, deadline=None)
@given(st.text(), st.sampled_from(RATIOS), st.one_of(st.integers(), st.none()))
def test_any_prompt_can_be_drawn(prompt: str, ratio: str, seed: int | None) -> None:
    decoded(images.image_file({"prompt": prompt, "aspect_ratio": ratio} | ({} if seed is None else {"seed": seed})))


def test_a_prompt_of_a_lone_surrogate_and_one_of_100_kilobytes_can_be_drawn() -> None:
    decoded(images.image_file({"prompt": "\ud800 half a character"}))
    decoded(images.image_file({"prompt": "long " * 20_000}))


def test_an_image_says_simulated_in_its_pixels_and_in_its_text() -> None:
    image = decoded(images.image_file({"prompt": "a heron", "seed": 1}))
    assert image.info["Comment"].startswith("SIMULATED")
    strip = image.convert("L").crop((6, image.height - 45, 80, image.height - 31))
    shades = strip.tobytes()
    assert min(shades) < 40, "dark ground"
    assert max(shades) > 220, "light letters"


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("size", [12_000, 65_000, 70_001, 300_000, 1_000_003])
def test_a_padded_file_has_the_size_asked_for_and_decodes_to_the_same_image(form: str, size: int) -> None:
    bare = images.image_file({"prompt": "a heron"}, form=form)
    padded = images.image_file({"prompt": "a heron"}, form=form, size=size)
    assert len(padded) == size
    assert decoded(padded).format == form.upper()
    assert decoded(padded).convert("RGB").tobytes() == decoded(bare).convert("RGB").tobytes()


def test_padding_never_makes_a_file_smaller() -> None:
    assert images.image_file({"prompt": "a"}, size=10) == images.image_file({"prompt": "a"})


def test_a_flipped_bit_is_found_by_decoding() -> None:
    broken = images.flipped(images.image_file({"prompt": "a heron"}))
    with pytest.raises((OSError, SyntaxError)):
        decoded(broken)


def test_a_bomb_is_small_and_says_it_is_huge() -> None:
    data = images.bomb()
    assert len(data) < 1_000_000
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(data))


def test_black_is_black_and_of_the_right_shape() -> None:
    image = decoded(images.black({"aspect_ratio": "3:4"}))
    assert image.width * 4 == image.height * 3
    assert image.convert("L").getextrema() == (0, 0)
