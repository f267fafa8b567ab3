"""How the tests of manifests read one: written to a file, checked against Imagen 4 Fast, as jobs or as problems."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from batcher.core.errors import ManifestError, Problem
from batcher.core.job import Job
from batcher.manifest import Overrides, Share, open_manifest
from batcher.manifest.schema import DEFAULT_MODEL, ModelSchema, bundled

IMAGEN = bundled(DEFAULT_MODEL)
PARTI = Path(__file__).parents[3] / "shared" / "data" / "PartiPrompts.tsv"

needs_parti = pytest.mark.skipif(not PARTI.exists(), reason="PartiPrompts.tsv is not beside the repository")


def write(folder: Path, text: str | bytes, name: str = "m.yaml") -> str:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


class Checked:
    """A manifest that was read to its end."""

    def __init__(self, path: str, schema: ModelSchema | None, /, **flags: Any) -> None:
        with open_manifest(path, Overrides(**flags)) as loader:
            self.digest = loader.digest(schema)
            self.made = list(loader.jobs(schema, limit=flags.get("limit")))
            assert loader.totals is not None
            self.totals, self.model, self.name = loader.totals, loader.model, loader.name
        self.total, self.whole = self.totals.jobs, self.totals.whole
        self.prompts, self.texts, self.warnings = self.totals.prompts, self.totals.texts, self.totals.warnings
        self.groups = tuple(share.name for share in self.totals.shares if share.name)

    def jobs(self) -> Iterator[Job]:
        return iter(self.made)

    def count_by_axis(self) -> Mapping[str, Mapping[str, int]]:
        return self.totals.axes

    def by_group(self) -> tuple[Share, ...]:
        return self.totals.shares


def checked(path: str, schema: ModelSchema | None = IMAGEN, /, **flags: Any) -> Checked:
    return Checked(path, schema, **flags)


def jobs(path: str, schema: ModelSchema | None = IMAGEN, /, **flags: Any) -> list[Job]:
    manifest = checked(path, schema, **flags)
    assert len(manifest.made) == manifest.total
    return manifest.made


def problems(path: str, schema: ModelSchema | None = IMAGEN, /, **flags: Any) -> list[Problem]:
    with pytest.raises(ManifestError) as caught:
        checked(path, schema, **flags)
    return list(caught.value.problems)


def inputs(all_jobs: list[Job], name: str) -> list[Any]:
    return [job.inputs.get(name) for job in all_jobs]
