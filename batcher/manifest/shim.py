"""The two-pass interface of before, until ``plan`` and ``run`` read a manifest into the job table.

``Loader.check`` reads it once to check and count; each call of ``Manifest.jobs`` reads it again.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any

from batcher.core.job import Job
from batcher.manifest.schema import ModelSchema
from batcher.manifest.totals import Share, Totals


class Memory:
    """Nothing is remembered."""

    fingerprint, mark, whole = "", "", -1
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, _facts: Any) -> "Memory | None":
        return None

    def as_json(self) -> dict[str, Any]:
        return {}


class Manifest:
    def __init__(
        self,
        loader: Any,
        schema: ModelSchema | None,
        limit: int | None,
        progress: Callable[[int], None] | None,
        *,
        lenient: bool,
    ) -> None:
        for _ in loader.jobs(schema, limit=limit, progress=progress, lenient=lenient):
            pass
        totals: Totals = loader.totals

        self._loader, self._schema, self._limit, self._totals = loader, schema, limit, totals
        self.memory = Memory()
        self.source, self.name, self.model = loader.source, loader.name, totals.model
        self.fingerprint = self.mark = loader.digest(schema)
        self.whole = totals.jobs + 1 if totals.whole is None else totals.whole
        self.total, self.prompts, self.texts = totals.jobs, totals.prompts, totals.texts
        self.groups = tuple(share.name for share in totals.shares if share.name)
        self.warnings = totals.warnings

    def jobs(self, start: int = 0) -> Iterator[Job]:
        jobs: Iterator[Job] = self._loader.jobs(self._schema, limit=self._limit, lenient=True)
        return islice(jobs, start, None)

    def count_by_axis(self) -> Mapping[str, Mapping[str, int]]:
        return self._totals.axes

    def by_group(self) -> Iterator[Share]:
        return iter(self._totals.shares)

    def close(self) -> None:
        self._loader.close()
