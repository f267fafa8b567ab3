"""Schemas as services publish them: capitals, null, lists of URLs, data: URIs, and a person who overrules."""

from typing import Any

import pytest

from batcher.manifest.schema import ModelSchema

A, B = "https://example.com/a,b.png", "https://example.com/b.png"


def schema(**properties: Any) -> ModelSchema:
    return ModelSchema.from_json("a/b", {"properties": properties, "required": list(properties)})


def test_types_in_capitals_are_types() -> None:
    assert schema(steps={"type": "Integer"}).input("steps").convert("4") == 4


def test_null_may_be_sent_where_it_is_the_default() -> None:
    seed = schema(seed={"type": "integer", "default": None})
    assert seed.input("seed").check(None) is None
    assert seed.input("seed").convert("null") is None
    assert schema(seed={"type": "integer"}).input("seed").check(None) is not None


@pytest.mark.parametrize("between", [" ", "\n", ", ", ";", " | "])
def test_a_cell_with_several_urls_for_a_list_is_several(between: str) -> None:
    images = schema(images={"type": "array", "items": {"type": "string"}, "format": "image_uris"})
    assert images.input("images").convert(f"{A}{between}{B}") == [A, B]
    assert images.input("images").convert(A) == [A]


def test_a_list_of_files_without_items_takes_one_url_too() -> None:
    assert schema(images={"type": "array", "format": "image_uris"}).input("images").convert(A) == [A]


def test_a_data_uri_is_sent_only_where_the_schema_says_so() -> None:
    uri = "data:image/png;base64,AAAA"
    says = schema(image={"type": "string", "format": "image_uri", "description": "URL or data URI"})
    assert says.input("image").check(uri) is None
    assert "data: URI" in (schema(image={"type": "string", "format": "image_uri"}).input("image").check(uri) or "")


@pytest.mark.parametrize("path", ["cat.png", "./cat", "/home/x/cat.png", "C:\\cat.png", "~/cat.png", "file:///cat"])
def test_a_local_path_is_told_to_be_uploaded(path: str) -> None:
    image = schema(image={"type": "string", "format": "image_uri"})
    assert "upload it" in (image.input("image").check(path) or "")


def test_a_person_overrules_one_input() -> None:
    strict = schema(prompt={"type": "string"}, ratio={"type": "string", "enum": ["1:1"]})
    loose = strict.unchecked({"ratio", "extra"})
    assert strict.input("ratio").check("7:1") is not None
    assert loose.input("ratio").check("7:1") is None
    assert loose.required == {"prompt"}
    assert "extra" in loose.inputs


@pytest.mark.parametrize("name", ["num_images", "number_of_images", "max_images", "n"])
def test_the_default_number_of_images_counts_under_every_name(name: str) -> None:
    assert schema(**{name: {"type": "integer", "default": 4}}).default_images == 4
