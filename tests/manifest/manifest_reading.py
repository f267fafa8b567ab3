"""How the tests of manifests read one: written to a file, checked against Imagen 4 Fast, as jobs or as problems."""

from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import ManifestError, Problem
from batcher.core.job import Job
from batcher.manifest import Manifest, Overrides, open_manifest
from batcher.manifest.schema import DEFAULT_MODEL, ModelSchema, bundled

IMAGEN = bundled(DEFAULT_MODEL)
PARTI = Path(__file__).parents[3] / "shared" / "data" / "PartiPrompts.tsv"

needs_parti = pytest.mark.skipif(not PARTI.exists(), reason="PartiPrompts.tsv is not beside the repository")


def write(folder: Path, text: str | bytes, name: str = "m.yaml") -> str:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def checked(path: str, schema: ModelSchema | None = IMAGEN, **flags: Any) -> Manifest:
    return open_manifest(path, Overrides(**flags)).check(schema)


def jobs(path: str, schema: ModelSchema | None = IMAGEN, **flags: Any) -> list[Job]:
    manifest = checked(path, schema, **flags)
    found = list(manifest.jobs())
    assert len(found) == manifest.total
    return found


def problems(path: str, schema: ModelSchema | None = IMAGEN, **flags: Any) -> list[Problem]:
    with pytest.raises(ManifestError) as caught:
        checked(path, schema, **flags)
    return list(caught.value.problems)


def inputs(found: list[Job], name: str) -> list[Any]:
    return [job.inputs.get(name) for job in found]
