"""Flags: what can be said of pictures without a model, and how rarely it is said of good ones."""

import io
from hashlib import sha256
from typing import Any

from PIL import Image

from batcher.core.flag import Flag
from batcher.core.groups import group_key
from batcher.images.flags import Candidate, asked_ratio, flags, measure
from batcher.simulator.images import black, image_file

PROMPTS = [f"{colour} {thing}" for colour in ("red", "blue", "old", "tiny") for thing in ("kite", "heron", "boat")]


def candidate(number: int, content: bytes, **inputs: Any) -> Candidate:
    image = Image.open(io.BytesIO(content))
    return Candidate(
        place=(f"{number:032x}", 0), sha256=sha256(content).hexdigest(), group=group_key("m", inputs),
        prompt=str(inputs.get("prompt")), seed=str(inputs.get("seed", "")), asked=16 / 9, width=image.width,
        height=image.height, measured=measure(image),
    )  # fmt: skip


def as_jpeg(content: bytes, quality: int) -> bytes:
    target = io.BytesIO()
    Image.open(io.BytesIO(content)).convert("RGB").save(target, "JPEG", quality=quality)
    return target.getvalue()


def words(*pictures: Candidate) -> list[set[Flag]]:
    flagged = flags(pictures)
    return [flagged.get(one.place, set()) for one in pictures]


def test_good_images_have_no_flags() -> None:
    asked = [{"prompt": prompt, "seed": seed, "aspect_ratio": "16:9"} for prompt in PROMPTS for seed in range(20)]
    every = [candidate(number, image_file(inputs), **inputs) for number, inputs in enumerate(asked)]
    assert flags(every) == {}


def test_one_image_for_two_seeds_says_that_the_seed_is_ignored() -> None:
    same = image_file({"prompt": "a kite", "seed": 1})
    one, other = candidate(1, same, prompt="a kite", seed=1), candidate(2, same, prompt="a kite", seed=2)
    assert words(one, other) == [{Flag.DUPLICATE, Flag.SEED_IGNORED}] * 2


def test_nearly_equal_images_for_two_seeds_say_so_too() -> None:
    plain = image_file({"prompt": "a kite", "seed": 1})
    one = candidate(1, as_jpeg(plain, 95), prompt="a kite", seed=1)
    other = candidate(2, as_jpeg(plain, 80), prompt="a kite", seed=2)
    assert words(one, other) == [{Flag.NEAR, Flag.SEED_IGNORED}] * 2


def test_one_image_for_two_prompts_is_named_as_such() -> None:
    same = image_file({"prompt": "a kite", "seed": 1})
    one, other = candidate(1, same, prompt="a kite", seed=1), candidate(2, same, prompt="a boat", seed=1)
    assert words(one, other) == [{Flag.DUPLICATE, Flag.SAME_FOR_PROMPTS}] * 2


def test_copies_of_one_request_that_are_equal_are_duplicates_and_blame_nothing() -> None:
    same = image_file({"prompt": "a kite", "seed": 1})
    one, other = (candidate(number, same, prompt="a kite", seed=1) for number in (1, 2))
    assert words(one, other) == [{Flag.DUPLICATE}] * 2


def test_a_black_image_is_blank_and_no_near_duplicate_of_another_blank_one() -> None:
    dark = candidate(1, black({"prompt": "a kite", "aspect_ratio": "16:9"}), prompt="a kite", seed=1)
    target = io.BytesIO()
    Image.new("RGB", (320, 180), (250, 250, 250)).save(target, "PNG")
    white = candidate(2, target.getvalue(), prompt="a kite", seed=2)
    assert words(dark, white) == [{Flag.BLANK}, {Flag.BLANK}]


def test_two_flat_colours_are_low_entropy() -> None:
    target = io.BytesIO()
    image = Image.new("RGB", (320, 180), "white")
    image.paste((200, 30, 30), (0, 0, 160, 180))
    image.save(target, "PNG")
    assert words(candidate(1, target.getvalue(), prompt="x")) == [{Flag.LOW_ENTROPY}]


def test_another_shape_than_asked_for_is_flagged() -> None:
    inputs = {"prompt": "a kite", "seed": 1, "aspect_ratio": "1:1"}
    assert words(candidate(1, image_file(inputs), **inputs)) == [{Flag.WRONG_RATIO}]  # ``pictured`` asks for 16:9


def test_the_ratio_that_was_asked_for_is_read_from_the_inputs() -> None:
    assert asked_ratio({"aspect_ratio": "16:9"}) == 16 / 9
    assert asked_ratio({"width": 1024, "height": 512}) == 2
    assert asked_ratio({"aspect_ratio": "auto"}) is None
    assert asked_ratio({"aspect_ratio": "inf:inf"}) is None
    assert asked_ratio({}) is None


def test_ten_thousand_equal_looks_are_judged_without_comparing_all_pairs() -> None:
    plain = candidate(0, image_file({"prompt": "a kite", "seed": 1}), prompt="a kite")
    import dataclasses  # noqa: PLC0415

    every = [dataclasses.replace(plain, place=(f"{n:032x}", 0), sha256=str(n), seed=str(n)) for n in range(10_000)]
    flagged = flags(every)
    assert len(flagged) == 10_000
    assert all(Flag.SEED_IGNORED in words for words in flagged.values())
