"""What the fuzzer found, made small: each was a traceback, a hang or a message unfit for a terminal once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import ManifestError, UsageError
from batcher.core.naming import Template, TemplateError
from batcher.core.settings import Given, fold
from batcher.core.units import parse_clock, parse_count, parse_duration, parse_rate, parse_usd
from batcher.manifest import Overrides, open_manifest
from batcher.manifest.schema import DEFAULT_MODEL, ModelSchema, bundled
from tests.support.effort import at_most
from tests.support.terminal import harmless

IMAGEN = bundled(DEFAULT_MODEL)


def refused(folder: Path, name: str, text: str, schema: ModelSchema | None = IMAGEN) -> list[str]:
    path = folder / name
    path.write_text(text)
    with pytest.raises(ManifestError) as caught:
        list(open_manifest(str(path), Overrides()).jobs(schema))
    lines = str(caught.value).splitlines()
    assert all(harmless(line) and len(line) < 500 for line in lines), lines
    return lines


@pytest.mark.parametrize("name", ["image", "image_url", "note"])
def test_a_schema_may_give_several_types_as_a_list(name: str) -> None:
    schema = ModelSchema.from_json("a/b", {"properties": {name: {"type": ["string", "null"]}}})
    assert (name in schema.media_inputs) is (name != "note")
    assert schema.input(name).check(None) is None
    listed = ModelSchema.from_json("a/b", {"properties": {name: {"type": ["integer", "null"]}}})
    assert name not in listed.media_inputs


@pytest.mark.parametrize("schema", [{"anyOf": 5}, {"oneOf": {"a": 1}}, {"anyOf": "string"}, {"type": 7, "anyOf": [7]}])
def test_alternatives_that_are_no_list_are_none(schema: Any) -> None:
    assert ModelSchema.from_json("a/b", {"properties": {"image": schema}}).input("image").convert("x") == "x"


def test_a_flag_whose_name_is_not_text_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "m.txt").write_text("a\n")
    for name in ("se\udc9bed", "\x1b[31m", "a" * 5_000):
        for flags in (Overrides(set=((name, "1"),)), Overrides(matrix=(f"{name}=1",))):
            with pytest.raises(UsageError) as caught:
                list(open_manifest(str(tmp_path / "m.txt"), flags).jobs(None))
            assert all(harmless(line) and len(line) < 500 for line in str(caught.value).splitlines())


def test_half_of_a_surrogate_pair_in_the_key_of_a_prompt_is_an_error(tmp_path: Path) -> None:
    assert "a key that is not text" in refused(tmp_path, "m.json", '{"\\ud800": "a heron"}')[0]


def test_an_exclude_over_a_trillion_values_is_refused_and_not_walked(tmp_path: Path) -> None:
    text = "prompts: [a]\nmatrix: {seed: 1..9}\nexclude: [{seed: {start: 1, count: 999999999999}}]\n"
    assert "in a list" in refused(tmp_path, "m.yaml", text)[0]


def test_a_model_name_that_a_terminal_would_obey_is_shown_escaped(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text('prompts: [a]\nmodel: "\\e]0;owned\\a"\n')
    with open_manifest(str(path), Overrides()) as loader:
        assert len(list(loader.jobs(ModelSchema.from_json("", {})))) == 1
        assert loader.totals is not None
        assert [harmless(warning) for warning in loader.totals.warnings] == [True]


def test_a_name_that_is_suggested_is_shown_escaped(tmp_path: Path) -> None:
    text = 'prompts: [{prompt: a, "\\u202eabd": 1}]\ndefaults: {"\\u202eabc": 1}\n'
    assert len(refused(tmp_path, "m.yaml", text, None)) == 3


def test_an_option_of_ten_thousand_letters_is_cut_in_its_message() -> None:
    for given in (Given("x" * 10_000, flag="--budget"), Given("x" * 10_000, file="m.yaml", line=1, column=1)):
        with pytest.raises((UsageError, ManifestError)) as caught:
            fold({"budget": given} if given.flag else {}, {} if given.flag else {"budget": given})
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "text", ["9" * 20_000, "9" * 20_000 + "x", "." * 20_000, "1" + " " * 20_000 + "x", "1.5" * 9_000, "1d" * 9_000]
)
@pytest.mark.parametrize("parse", [parse_rate, parse_duration, parse_clock, parse_count, parse_usd])
def test_no_text_takes_a_parser_of_options_long(parse: Callable[[str], Any], text: str) -> None:
    with at_most(10), pytest.raises(ValueError):
        parse(text)


def test_a_field_of_ten_thousand_letters_is_cut_in_its_message(tmp_path: Path) -> None:
    text = f'prompts: [a]\noutput: {{path: "{{{"x" * 10_000}}}"}}\n'
    assert "unknown field" in refused(tmp_path, "m.yaml", text)[0]


def test_a_format_of_ten_thousand_digits_is_cut_in_its_message() -> None:
    for template in ("{seed:" + "9" * 10_000 + "}", "{prompt:" + "q" * 10_000 + "}"):
        with pytest.raises(TemplateError) as caught:
            Template(template).render({"seed": 1, "prompt": "a"})
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize("depth", [61, 500, 900])
def test_data_too_deep_for_a_sidecar_is_refused_while_reading(tmp_path: Path, depth: int) -> None:
    deep = "[" * depth + "]" * depth
    assert "nested" in refused(tmp_path, "m.jsonl", f'{{"prompt": "a", "note": {deep}}}\n')[0]
    schema = ModelSchema.from_json("a/b", {"properties": {"x": {"type": "array"}}})
    assert schema.input("x").check(schema.input("x").convert(deep)) == "is nested more than 60 deep"
