import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batcher.manifest.schema import DEFAULT_MODEL, ModelSchema, bundled

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MODEL = ModelSchema.from_json(
    "vendor/model",
    {
        "required": ["prompt", "steps", "scale"],
        "properties": {
            "prompt": {"type": "string"},
            "steps": {"type": "integer", "minimum": 1, "maximum": 50},
            "scale": {"type": "float", "default": 7.5},
            "fast": {"type": "boolean"},
            "size": {"enum": [512, 1024]},
            "image_url": {"type": "string", "format": "image_uri", "validations": [{"validation_rule": "max_mb"}]},
            "images": {"type": "array", "items": {"type": "string"}},
            "lora": {"type": "object"},
            "odd": {"type": "picture"},
            "far": {"$ref": "https://example.com/schema"},
            "shared": {"$ref": "#/$defs/small"},
        },
        "$defs": {"small": {"type": "integer", "maximum": 3}},
    },
)


def imagen() -> ModelSchema:
    schema = bundled(DEFAULT_MODEL)
    assert schema is not None
    return schema


def test_the_default_model_is_bundled_and_others_are_not() -> None:
    assert tuple(imagen().inputs) == ("prompt", "negative_prompt", "aspect_ratio", "seed")
    assert imagen().required == {"prompt"}
    assert imagen().input("seed").default == 37644189
    assert bundled("someone/else") is None


def test_an_input_that_is_required_and_has_a_default_need_not_be_given() -> None:
    assert MODEL.required == {"prompt", "steps"}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("steps", " 7 ", 7),
        ("steps", "7.0", 7),
        ("steps", "-7", -7),
        ("scale", "2.5", 2.5),
        ("fast", "TRUE", True),
        ("fast", "no", False),
        ("size", "512", 512),
        ("images", '["https://a.com/1"]', ["https://a.com/1"]),
        ("images", "https://a.com/1", ["https://a.com/1"]),
        ("lora", '{"path": "x"}', {"path": "x"}),
        ("prompt", "7", "7"),
    ],
)
def test_text_becomes_the_type_the_schema_asks_for(name: str, text: str, value: Any) -> None:
    converted = MODEL.input(name).convert(text)
    assert converted == value
    assert type(converted) is type(value)


@pytest.mark.parametrize(
    ("name", "text"), [("steps", "7.5"), ("steps", "1_0"), ("scale", "nan"), ("fast", "2"), ("lora", "{")]
)
def test_text_of_another_type_is_refused_with_a_reason(name: str, text: str) -> None:
    with pytest.raises(ValueError, match="must be"):
        MODEL.input(name).convert(text)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("steps", 51, "50"),
        ("steps", True, "must be an integer, not true"),
        ("steps", 2**64, "64 bits"),
        ("steps", 10**400, "an enormous number"),
        ("scale", float("nan"), "finite"),
        ("scale", "x", "a number"),
        ("size", 100, "must be one of 512, 1024, not 100"),
        ("prompt", "\ud800", "surrogate"),
        ("far", 1, "fetches no schemas"),
        ("shared", 4, "3"),
        ("stpes", 1, "is not an input of vendor/model"),
    ],
)
def test_a_wrong_value_is_described(name: str, value: Any, words: str) -> None:
    assert words in (MODEL.input(name).check(value) or "")


@pytest.mark.parametrize(("name", "value"), [("steps", 1.0), ("scale", 1), ("odd", [1]), ("shared", 3)])
def test_values_that_fit_have_no_problem(name: str, value: Any) -> None:
    assert MODEL.input(name).check(value) is None


def test_media_inputs_are_told_by_format_and_by_name() -> None:
    assert MODEL.media_inputs == {"image_url", "images"}


@pytest.mark.parametrize("url", ["https://a.com/x.png", "https://a.com:8443/x?sig=1%2F", "https://8.8.8.8/x"])
def test_public_https_urls_pass(url: str) -> None:
    assert MODEL.input("image_url").check(url) is None
    assert MODEL.input("images").check([url]) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://a.com/x.png",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "https://u:p@a.com/",
        "https://u@a.com/",
        "https://localhost/x",
        "https://a.localhost/x",
        "https://printer/x",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f.0.0.1/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[fe80::1]/",
        "https://a.internal/x",
        "https://a.com\\@b.com/",
        "https://a.com:99999/",
        "https:///x",
        "https://a b.com/",
        "picture.png",
    ],
)
def test_other_places_do_not(url: str) -> None:
    assert MODEL.input("image_url").check(url)
    assert MODEL.input("images").check(["https://a.com/x.png", url])


@given(json_values, json_values)
def test_a_nonsense_schema_costs_an_error_and_nothing_else(schema: Any, value: Any) -> None:
    try:
        model = ModelSchema.from_json("x", {"properties": {"a": schema}, "required": schema})
        model.input("a").check(value)
        model.input("a").convert("text")
    except ValueError:
        pass


def test_reading_schemas_does_not_load_the_validator() -> None:
    code = (
        "import sys, batcher.manifest.schema as m; m.bundled(m.DEFAULT_MODEL);"
        " assert 'jsonschema_rs' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
