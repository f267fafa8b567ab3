"""Inputs that are files: known by what is in them, wherever they are named, with the place of what is wrong."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import ManifestError
from batcher.core.job import Job, job_key
from batcher.manifest import Overrides, open_manifest
from batcher.manifest.schema import ModelSchema
from batcher.manifest.schema.media import Wanted, wanted
from batcher.manifest.schema.media_files import Unusable

MODEL = "v/edit"
SCHEMA = ModelSchema.from_json(
    MODEL,
    {
        "required": ["prompt"],
        "properties": {
            "prompt": {"type": "string"},
            "image": {"type": "string", "format": "image_uri"},
            "images": {"type": "array", "items": {"type": "string", "format": "image_uri"}},
        },
    },
)


class Contents:
    """Every file and object whose name has no ``gone`` in it has its own name as content."""

    def ahead(self, name: str, wanted: Wanted) -> None: ...

    def of_file(self, path: str, wanted: Wanted) -> str:
        return self.of_object(Path(path).name, wanted)

    def of_object(self, url: str, wanted: Wanted) -> str:
        assert wanted.kind == "image"
        if "gone" in url:
            raise Unusable("is not there")
        return hashlib.sha256(url.removeprefix("same-as-").encode()).hexdigest()

    def of_hash(self, sha256: str) -> str:
        return sha256


def content(name: str) -> str:
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def jobs(folder: Path, name: str, text: str, schema: ModelSchema | None = SCHEMA) -> list[Job]:
    (folder / name).write_text(text, encoding="utf-8")
    with open_manifest(str(folder / name), Overrides(model=MODEL)) as loader:
        loader.contents = Contents()
        return list(loader.jobs(schema))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.yaml", "prompts: [{prompt: a, image: {file: cat.png}}]"),
        ("m.yaml", "prompts: [{prompt: a, image: cat.png}]"),
        ("m.yaml", "prompts: [{prompt: a, image: /elsewhere/same-as-cat.png}]"),
        ("m.yaml", "prompts: [a]\ndefaults: {image: {file: cat.png}}"),
        ("m.yaml", "prompts: [a]\nmatrix: {image: [{file: cat.png}]}"),
        ("m.yaml", "prompts: [{prompt: a, image: {file: '{which}.png'}, vars: {which: cat}}]"),
        ("m.csv", "prompt,image\na,cat.png"),
        ("m.csv", 'prompt,image\na,"{""file"": ""cat.png""}"'),
        ("m.jsonl", '{"prompt": "a", "image": {"file": "./cat.png"}}'),
        ("m.jsonl", f'{{"prompt": "a", "image": "{content("cat.png")}"}}'),
    ],
)
def test_a_file_is_its_content_wherever_it_is_named(tmp_path: Path, name: str, text: str) -> None:
    (job,) = jobs(tmp_path, name, text)
    assert job.inputs["image"] == content("cat.png")
    assert job.key == job_key(MODEL, {"prompt": "a", "image": content("cat.png")})


@pytest.mark.parametrize(
    "cell", ["cat.png;dog.png", "cat.png | dog.png", "cat.png, dog.png", '[{"file": "cat.png"}, "dog.png"]']
)
def test_a_cell_may_have_several(tmp_path: Path, cell: str) -> None:
    quoted = cell.replace('"', '""')
    (job,) = jobs(tmp_path, "m.csv", f'prompt,images\na,"{quoted}"\n')
    assert job.inputs["images"] == [content("cat.png"), content("dog.png")]
    assert job.meta == {"images_file": ["cat.png", "dog.png"]}


def test_one_file_for_an_input_that_takes_lists_is_a_list_of_one(tmp_path: Path) -> None:
    (job,) = jobs(tmp_path, "m.yaml", "prompts: [{prompt: a, images: {file: cat.png}}]")
    assert job.inputs["images"] == [content("cat.png")]


def test_a_public_url_is_sent_as_it_is_and_keeps_its_key(tmp_path: Path) -> None:
    url = "https://example.com/cat.png"
    (job,) = jobs(tmp_path, "m.csv", f"prompt,image\na,{url}\n")
    assert job.key == job_key(MODEL, {"prompt": "a", "image": url})
    assert job.meta == {}


def test_a_name_that_the_user_gave_as_meta_stays(tmp_path: Path) -> None:
    (job,) = jobs(tmp_path, "m.csv", "prompt,image,image_file\na,cat.png,mine\n")
    assert job.meta == {"image_file": "mine"}


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("m.yaml", "prompts:\n- {prompt: a, image: {file: gone.png}}", "m.yaml:2:22"),
        ("m.yaml", "prompts: [a]\ndefaults:\n  image: {file: gone.png}", "m.yaml:3:10"),
        ("m.yaml", "prompts: [a]\nmatrix:\n  image: [cat.png, gone.png]", "m.yaml:3:20"),
        ("m.csv", "prompt,image\na,cat.png\nb,gone.png", "m.csv:3:3"),
        ("m.csv", "prompt,image\na,s3://bucket/gone.png", "m.csv:2:3"),
    ],
)
def test_a_file_that_can_not_be_used_is_said_with_its_place(tmp_path: Path, name: str, text: str, place: str) -> None:
    with pytest.raises(ManifestError) as caught:
        jobs(tmp_path, name, text)
    (problem,) = caught.value.problems
    assert str(problem).removeprefix(f"{tmp_path}/").startswith(place)
    assert "gone.png is not there" in problem.what


def test_without_a_schema_only_what_can_be_nothing_else_is_a_file(tmp_path: Path) -> None:
    text = "prompts: [{prompt: a, image_url: {file: cat.png}, style: cat.png}]"
    (job,) = jobs(tmp_path, "m.yaml", text, None)
    sent: dict[str, Any] = {"prompt": "a", "image_url": content("cat.png"), "style": "cat.png"}
    assert job.inputs == sent
    assert job.meta == {"image_url_file": "cat.png"}


@pytest.mark.parametrize(
    ("name", "schema", "kind", "most"),
    [
        ("image", {"type": "string"}, "image", 50_000_000),
        ("source", {"type": "string", "format": "video_uri"}, "video", 100_000_000),
        ("video_url", {"type": "string"}, "video", 100_000_000),
        (
            "image",
            {"validations": [{"validation_rule": "max_file_size_mb", "validation_value": 30}]},
            "image",
            30_000_000,
        ),
    ],
)
def test_a_file_may_be_as_large_as_the_service_advises_or_as_the_model_says(
    name: str, schema: dict[str, Any], kind: str, most: int
) -> None:
    takes = wanted(name, schema)
    assert (takes.kind, takes.most) == (kind, most)
