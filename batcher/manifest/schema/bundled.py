"""Schemas that come with batcher, so that the default model is checked without a call to the service."""

import json
from functools import cache

from batcher.manifest.schema.schema import ModelSchema

DEFAULT_MODEL = "google-deepmind/imagen-4/fast/text-to-image"


@cache
def bundled(model_id: str) -> ModelSchema | None:
    """The schema of a model that comes with batcher; None for any other model."""
    from importlib.resources import files  # noqa: PLC0415  start-up time

    if model_id != DEFAULT_MODEL:
        return None
    file = files(__package__ or "batcher.manifest.schema").joinpath("imagen-4-fast.json")
    return ModelSchema.from_json(model_id, json.loads(file.read_text(encoding="utf-8")))
