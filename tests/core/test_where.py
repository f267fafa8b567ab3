import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.core.mismatch import spelled
from batcher.core.where import Where, WhereError, look_up

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


def test_what_python_thinks_of_a_backslash_reaches_no_terminal() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert Where(r'prompt == "a \e"')({"prompt": r"a \e"})
    assert not caught


@pytest.mark.parametrize(
    ("text", "row", "message"),
    [
        ("meta.label == 1", {"meta.label": "1"}, 'meta.label is text (such as "1")'),
        ("meta.label == 1", {"meta.label": "1"}, 'write meta.label == "1"'),
        ("meta.label != 1", {"meta.label": "1"}, 'write meta.label != "1"'),
        ("meta.label in (1, 2)", {"meta.label": "1"}, 'write meta.label in ("1", ...)'),
        ("1 == meta.label", {"meta.label": "2"}, 'write meta.label == "1"'),
        ("meta.ok != True", {"meta.ok": "yes"}, 'write meta.ok != "yes"'),
        ('seed == "7"', {"seed": 7}, "write seed == 7"),
        ('tags == "sea"', {"tags": ["sea"]}, 'write "sea" in tags'),
        ('meta["Price ($)"] == 3', {"meta.Price ($)": "3"}, 'write meta["Price ($)"] == "3"'),
    ],
)
def test_a_text_that_is_compared_with_a_number_is_a_warning_that_says_what_to_write(
    text: str, row: dict[str, object], message: str
) -> None:
    where = Where(text)
    assert where.warnings() == []
    where(row)
    assert len(where.warnings()) == 1
    assert message in where.warnings()[0]


def test_what_is_compared_with_its_own_type_is_no_warning() -> None:
    where = Where(
        'seed in (1, 2) and meta.category == "birds" and nothing != 3 and meta.x in (1, "1") and prompt != null'
    )
    where({**HERON, "meta.x": "1", "seed": 1})
    assert where.warnings() == []


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        ("meta.style", "meta.style"), ("meta.Price ($)", 'meta["Price ($)"]'), ("meta.v1.5", 'meta["v1.5"]'),
        ("600_prompt", 'inputs["600_prompt"]'), ("meta.class", 'meta["class"]'), ("seed", "seed"),
        ("meta.\ufb01", 'meta["\ufb01"]'), ('meta.a"b', 'meta["a\\"b"]'), ("inputs.tags", "inputs.tags"),
        ("true", 'inputs["true"]'), ("chosen.animal", "chosen.animal"),
    ],
)  # fmt: skip
def test_every_name_can_be_asked_for_and_a_suggestion_is_what_can_be_typed(name: str, spelling: str) -> None:
    assert spelled(name) == spelling
    where = Where(f"{spelling} == 7")
    assert where.names == {name}
    assert where({name: 7})


def test_a_name_that_is_a_word_of_python_is_a_suggestion_and_not_a_riddle() -> None:
    with pytest.raises(WhereError) as caught:
        Where('seed == 3 and meta.class == "x"')
    assert (caught.value.column, caught.value.mend) == (15, 'write meta["class"]')


def test_a_part_of_a_name_suggests_the_whole() -> None:
    with pytest.raises(WhereError, match=r"did you mean prompt_id\?"):
        Where('id == "x"').require({"prompt_id", "width", "height"})


def test_a_verdict_hides_an_input_of_its_name_which_can_still_be_asked_for() -> None:
    inputs = {"tags": "1girl, sea", "seed": 7}
    assert look_up("tags", inputs, {}, {"tags": ["x"]}) == ["x"]
    assert look_up("inputs.tags", inputs, {}, {"tags": ["x"]}) == "1girl, sea"
    assert look_up("seed", inputs, {}, {}) == 7
    assert look_up("meta.a", inputs, {"a": 1}, {}) == 1
    assert look_up("chosen.animal", inputs, {}, {}, {"animal": "cat"}) == "cat"
