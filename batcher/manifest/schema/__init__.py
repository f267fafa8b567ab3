"""What a model takes: the input schemas that manifests are checked against before anything is spent."""

from batcher.manifest.schema.bundled import DEFAULT_MODEL, bundled
from batcher.manifest.schema.schema import ModelSchema

__all__ = ["DEFAULT_MODEL", "ModelSchema", "bundled"]
