"""Did you mean: what is near to a name that nobody has."""

import pytest

from batcher.core.suggest import nearest, suggestion

NAMES = ("prompt_id", "seed", "aspect_ratio", "meta.category", "meta.style", "width")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("Aspect Ratio", "aspect_ratio"),
        ("apsect_ratio", "aspect_ratio"),
        ("meta.Category", "meta.category"),
        ("category", "meta.category"),
        ("id", "prompt_id"),
        ("seeds", "seed"),
        ("zebra", None),
    ],
)
def test_the_name_that_was_meant_is_found_by_spelling_by_its_last_part_and_by_likeness(
    name: str, meant: str | None
) -> None:
    assert nearest(name, NAMES) == meant


def test_a_word_of_a_name_is_nearer_than_a_name_that_looks_alike() -> None:
    assert nearest("id", NAMES, cutoff=0.5) == "prompt_id"


def test_without_a_near_one_what_there_is_is_listed_fit_for_a_terminal() -> None:
    assert suggestion("zebra", ["a", "\x1b[31m"]) == "use one of a, \\x1b[31m"
    assert suggestion("zebra", []) == "remove it"
