import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.where import Where, WhereError

HERON = {"prompt": "a heron at dusk", "seed": 7, "aspect_ratio": "16:9", "meta.category": "birds", "width": 1408}


@pytest.mark.parametrize(
    "text",
    [
        'aspect_ratio == "16:9" and seed < 10 and meta.category in ("birds", "cats")',
        "seed == 7",
        "5 < seed <= 7",
        "not seed > 7",
        '"heron" in prompt',
        '"cat" not in prompt or seed == 0',
        'meta["category"] == "birds"',
        "inputs.seed in [1, 7]",
        "inputs['seed'] != 8",
        "negative_prompt is None",
        "negative_prompt == null",
        "not (negative_prompt < 3)",
        "seed == 7.0",
        "seed > -1",
        '  prompt >= "a"',
    ],
)
def test_it_means_what_it_says(text: str) -> None:
    assert Where(text)(HERON)


@pytest.mark.parametrize(
    "text",
    [
        "seed == 8",
        'seed == "7"',
        "seed == true",
        "negative_prompt < 3",
        "negative_prompt >= 3",
        '"x" in negative_prompt',
    ],
)
def test_what_does_not_fit_is_not_meant(text: str) -> None:
    assert not Where(text)(HERON)


@pytest.mark.parametrize(
    ("text", "column", "mend"),
    [
        ("seed = 3", 6, "'=='"),
        ("seed == 3 && width > 3", 12, "'and'"),
        ('é == "ü" and seed.x == 3', 14, "such as"),
        ("__import__('os')", 1, "such as"),
        ("(lambda: 1)()", 1, "such as"),
        ("seed + 1 == 2", 1, "such as"),
        ("[seed for seed in meta]", 1, "such as"),
        ("meta.a.b == 1", 1, "such as"),
        ("prompt.__class__ == 1", 1, "such as"),
        ("seed[0] == 1", 1, "such as"),
        ('f"{seed}" == 1', 1, "such as"),
        ("b'x' == seed", 1, "such as"),
        ("", 1, "such as"),
        ("(" * 5000, 1, ""),
        ("not " * 2000 + "seed", 1, ""),
    ],
)
def test_nothing_else_is_understood(text: str, column: int, mend: str) -> None:
    with pytest.raises(WhereError) as caught:
        Where(text)
    assert mend in caught.value.mend
    if mend:
        assert caught.value.column == column


def test_an_unknown_name_is_an_error_at_its_column_with_the_nearest_name() -> None:
    where = Where('seed < 3 and categry == "birds"')
    with pytest.raises(WhereError) as caught:
        where.require(HERON)
    assert (caught.value.column, caught.value.mend) == (14, "did you mean meta.category?")


def test_text_and_numbers_have_no_order() -> None:
    with pytest.raises(WhereError, match="column 8: 7 and '10' have no order"):
        Where('seed < "10"')(HERON)


@given(st.text(alphabet=st.sampled_from("seed meta.x<>=!()[]\"'andornotin 0123,.:é\n\\")))
def test_any_text_is_an_expression_or_an_error_with_a_column_in_it(text: str) -> None:
    column = 1
    try:
        Where(text)({})
    except WhereError as error:
        column = error.column
    assert 1 <= column <= max(1, len(text))
