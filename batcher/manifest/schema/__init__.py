"""The input schemas of models, against which manifests are checked before anything is spent."""

from batcher.manifest.schema.bundled import DEFAULT_MODEL, bundled
from batcher.manifest.schema.schema import ModelSchema

__all__ = ["DEFAULT_MODEL", "ModelSchema", "bundled"]
