"""Names that are safe everywhere: bounds, inverses and the cases that bit other tools."""

import re
import unicodedata
from datetime import date

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from batcher.core.naming import Template, TemplateError, folded, numbered, prompt_id, safe_part, short, with_key

SPLIT_WORDS = [
    "train",
    "training",
    "validation",
    "valid",
    "dev",
    "val",
    "test",
    "testing",
    "eval",
    "evaluation",
]
RESERVED = ["con", "NUL", "nul.txt", "com1", "LPT9.tar.gz", "aux .png", "com¹", "conout$", "prn."]

any_text = st.text(st.characters(exclude_categories=[]), max_size=300)
nasty = st.one_of(any_text, st.sampled_from([*RESERVED, ".", "..", "", " ", ". .", "a.", ".a", "a/b", "\ud800", "é"]))


def is_device(name: str) -> bool:
    """Whether Windows takes the name for a device's."""
    return bool(re.match(r"(?i)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.|$)", name))


def is_safe(part: str, limit: int) -> bool:
    return (
        0 < len(part.encode()) <= limit
        and not re.search(r'[\x00-\x1f\x7f<>:"/\\|?*]', part)
        and part == part.strip(" ").rstrip(".")
        and not part.startswith(".")
        and unicodedata.is_normalized("NFC", part)
        and not is_device(part)
    )


def has_split_word(name: str) -> bool:
    """As the Hugging Face library searches: a split word between separators, digits among them."""
    return bool(re.search(rf"(^|[-._ 0-9/])({'|'.join(SPLIT_WORDS)})([-._ 0-9/]|$)", name))


@given(nasty, st.integers(12, 200))
def test_a_safe_part_is_safe_on_every_system(text: str, limit: int) -> None:
    assert is_safe(safe_part(text, limit=limit), limit)


@given(nasty, st.integers(12, 200))
def test_making_a_part_safe_twice_is_making_it_safe_once(text: str, limit: int) -> None:
    once = safe_part(text, limit=limit)
    assert safe_part(once, limit=limit) == once


@given(st.from_regex(r"[a-z][a-z0-9_.-]{0,30}[a-z0-9]", fullmatch=True))
def test_a_name_that_is_safe_already_is_left_alone(text: str) -> None:
    assert safe_part(text) == text or is_device(text)


@pytest.mark.parametrize("name", RESERVED)
def test_the_names_of_windows_devices_are_changed(name: str) -> None:
    base = safe_part(name).split(".")[0]
    assert base.endswith("_")


@given(any_text, any_text)
def test_long_names_that_differ_at_the_end_stay_different(first: str, second: str) -> None:
    long = "x" * 300
    assert (safe_part(long + first) == safe_part(long + second)) == (first == second)


@given(nasty)
@example("a train at the test site, 2test3 eval")
@example("a" * 34 + " trainer")
@example("z" * 35 + "-testify")
def test_a_prompt_id_is_safe_and_short_and_no_split_name(prompt: str) -> None:
    name = prompt_id(prompt)
    assert is_safe(name, 40 + 9)
    assert safe_part(name) == name
    assert not has_split_word(name)
    assert re.fullmatch(r"(.*-)?[0-9a-f]{8}", name)


@given(any_text, any_text)
def test_different_prompts_have_different_ids(first: str, second: str) -> None:
    assert (prompt_id(first) == prompt_id(second)) == (first == second)


@pytest.mark.parametrize(
    ("prompt", "slug"),
    [
        ("Street food vendor, at dusk!", "street-food-vendor-at-dusk"),
        ("Café Ünïcode", "café-ünïcode"),
        ("日本の街", "日本の街"),
        ("हिन्दी में", "हिन्दी-में"),
        ("A train at night", "a-at-night"),
        ("— dusk — and rain —", "dusk-and-rain"),
        ("a heron over the lake in the morning mi 2", "a-heron-over-the-lake-in-the-morning-mi"),
        ("a heron over the lake in the morning trainer", "a-heron-over-the-lake-in-the-morning-tra"),
        ("a heron over the lake at a young trainer", "a-heron-over-the-lake-at-a-young-trainer"),
        ("a heron over the lake at a new one trainer", "a-heron-over-the-lake-at-a-new-one"),
        ("0", "0"),
        ("test", ""),
        ("…", ""),
        ("\ud800", ""),
    ],
)
def test_a_prompt_id_reads_like_its_prompt(prompt: str, slug: str) -> None:
    assert prompt_id(prompt).rpartition("-")[0] == slug


def test_a_prompt_id_is_the_same_in_every_version() -> None:
    assert prompt_id("Street food vendor at dusk") == "street-food-vendor-at-dusk-bd25c1f0"


def test_a_prompt_of_100_kb_has_a_short_name() -> None:
    assert len(prompt_id("木" * 100_000).encode()) <= 49


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("16:9", "16x9"),
        (7, "7"),
        (-3, "-3"),
        (True, "true"),
        (False, "false"),
        (0.5, "0.5"),
        (2.0, "2"),
        ("Film Noir", "Film Noir"),
        ("a/b", "a-b"),
        (["a", 1], "[-a-,1]"),
        (date(2026, 1, 2), "datetime.date(2026, 1, 2)"),
    ],
)
def test_a_value_in_a_name_is_readable(value: object, name: str) -> None:
    assert safe_part(short(value)) == name


def test_a_long_value_is_cut_and_keeps_a_hash() -> None:
    first, second = short("very " * 50 + "a"), short("very " * 50 + "b")
    assert first != second
    assert first.startswith("very-very-")
    assert len(first) <= 49


def test_an_integer_of_thousands_of_digits_has_a_short_name() -> None:
    assert len(short(10**6000)) == 8


values = st.one_of(nasty, st.integers(), st.floats(), st.booleans(), st.none(), st.lists(nasty, max_size=3))


@given(values, values, values)
def test_no_value_can_leave_its_folder_or_add_one(one: object, two: object, three: object) -> None:
    template = Template("set/{prompt_id}/{meta.x}_{style}")
    parts = template.render({"prompt_id": one, "style": two, "meta": {"x": three}}).split("/")
    assert len(parts) == 3
    assert all(is_safe(part, 180) for part in parts)


@given(st.lists(nasty, min_size=16, max_size=16))
def test_a_path_is_bounded_however_long_its_values_are(texts: list[str]) -> None:
    template = Template("/".join(f"{{v{at}}}-{{v{at}}}" for at in range(16)))
    path = template.render({f"v{at}": text * 100 for at, text in enumerate(texts)})
    assert len(path.encode()) <= 700
    assert all(is_safe(part, 180) for part in path.split("/"))


def test_a_template_renders_names_formats_and_braces() -> None:
    template = Template("{prompt_id}/{{{aspect_ratio}}}_s{seed:04d}_{meta.Note of it}")
    assert template.fields == {"prompt_id", "aspect_ratio", "seed", "meta.Note of it"}
    values = {"prompt_id": "heron", "aspect_ratio": "16:9", "seed": 7, "meta": {"Note of it": "x"}}
    assert template.render(values) == "heron/{16x9}_s0007_x"


def test_a_value_that_is_none_or_absent_reads_default() -> None:
    assert Template("{a}_{b:04d}_{meta.c}").render({"a": None}) == "default_default_default"


def test_an_id_of_300_bytes_keeps_its_beginning() -> None:
    name = Template("{prompt_id}").render({"prompt_id": "木" * 100})
    assert name.startswith("木" * 30)
    assert len(name.encode()) <= 120


def test_a_folder_never_has_the_name_of_an_image() -> None:
    assert Template("{a}/{b}").render({"a": "x.png", "b": "y.png"}) == "x-png/y.png"


@pytest.mark.parametrize(
    ("text", "column", "what"),
    [
        ("{a", 1, "without its '}'"),
        ("x{a{b}}", 2, "without its '}'"),
        ("a}b", 2, "without its '{'"),
        ("x/{}", 3, "without a name"),
        ("{ }", 1, "without a name"),
        ("{:04d}", 1, "without a name"),
        ("{a!r}", 1, "more than a name"),
        ("{a.b}", 1, "more than a name"),
        ("{a[0]}", 1, "more than a name"),
        ("{meta.a.b}", 1, "more than a name"),
        ("{0}", 1, "not a field name"),
        ("/abs", 1, "absolute"),
        ("C:/x", 1, "absolute"),
        ("a/../b", 3, "not a name"),
        ("./b", 1, "not a name"),
        ("a//b", 3, "empty part"),
        ("a/", 3, "empty part"),
        ("", 1, "empty part"),
        ("a\\b", 2, "backslash"),
        ("{seed:09999d}", 1, "too wide"),
        ("/".join("a" * 17), 1, "deep"),
    ],
)
def test_a_template_that_can_not_work_says_where_and_why(text: str, column: int, what: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template(text)
    assert caught.value.column == column
    assert what in caught.value.what
    assert caught.value.mend


@pytest.mark.parametrize(("spec", "value"), [("04d", "heron"), ("q", 7), (".2f", "x"), ("d", [1]), ("c", -1)])
def test_a_format_that_does_not_fit_its_value_says_so(spec: str, value: object) -> None:
    template = Template(f"a/{{v:{spec}}}")
    with pytest.raises(TemplateError, match="does not fit v") as caught:
        template.render({"v": value})
    assert caught.value.column == 3


@given(st.text(max_size=40))
def test_any_text_is_a_template_or_a_template_error(text: str) -> None:
    try:
        template = Template(text)
    except TemplateError as error:
        refused = error
    else:
        assert all(is_safe(part, 180) for part in template.render({}).split("/"))
        return
    assert 1 <= refused.column <= len(text) + 1


def test_a_job_whose_name_is_taken_gets_its_key() -> None:
    assert with_key("a/b", "0123456789abcdef") == "a/b_0123456789"


def test_files_of_one_job_are_numbered_from_1_when_there_are_several() -> None:
    assert [numbered("a", 0, 1), numbered("a", 0, 2), numbered("a", 1, 2)] == ["a", "a_1", "a_2"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("A/b", "a/B"),
        ("é", "e\u0301"),
        ("STRASSE", "straße"),
        ("İ", "i\u0307"),
        ("Σ", "ς"),
        ("\u1fb4", "\u03b1\u0345\u0301"),
    ],
)
def test_names_that_some_system_takes_for_one_are_folded_to_one(first: str, second: str) -> None:
    assert folded(first) == folded(second)


@given(any_text, any_text)
def test_names_that_differ_on_every_system_stay_different(first: str, second: str) -> None:
    def key(text: str) -> str:
        return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())

    assert (folded(first) == folded(second)) == (key(first) == key(second))


@given(any_text)
def test_error_text_holds_no_control_characters(text: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template("{v:d}").render({"v": "!" + text})
    assert str(caught.value).isprintable()
