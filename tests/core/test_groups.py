"""Groups: jobs that are equal in everything but seed and copy."""

from batcher.core.groups import group_key, seed_input, seed_of

MODEL = "google-deepmind/imagen-4/fast/text-to-image"


def test_jobs_that_differ_in_their_seed_alone_are_of_one_group() -> None:
    one = group_key(MODEL, {"prompt": "a kite", "seed": 1, "aspect_ratio": "1:1"})
    assert one == group_key(MODEL, {"aspect_ratio": "1:1", "prompt": "a kite", "seed": 2})
    assert one == group_key(MODEL, {"aspect_ratio": "1:1", "prompt": "a kite"})
    assert one != group_key(MODEL, {"prompt": "a kite", "seed": 1, "aspect_ratio": "16:9"})
    assert one != group_key("another/model/x", {"prompt": "a kite", "seed": 1, "aspect_ratio": "1:1"})


def test_a_seed_is_found_by_any_name_that_models_have_for_it() -> None:
    assert seed_input(["prompt", "noise_seed"]) == "noise_seed"
    assert seed_input(["Seed", "noise_seed"]) == "Seed"
    assert seed_input(["prompt"]) is None
    assert seed_of({"prompt": "x", "random-seed": 7}) == 7
