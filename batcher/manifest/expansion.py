"""A checked manifest, and the second pass: its jobs, made one by one while the files are read again."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from batcher.errors import ManifestError
from batcher.job import Job, job_key
from batcher.manifest import variables
from batcher.manifest.copies import Counter, Occurrences
from batcher.manifest.counts import count_by_axis
from batcher.manifest.paths import Facts, prompt_name
from batcher.manifest.plan import Plan
from batcher.manifest.problems import Problems, failure
from batcher.manifest.rows import Row
from batcher.manifest.spool import Spool
from batcher.naming import TemplateError


class Manifest:
    """Everything in it is right, as far as can be known before paying.

    name: stem for the default run directory. source: the path as given.
    fingerprint: hex, over all that was read, the flags and the model's schema.
    total: jobs after ``--limit``; whole: jobs before it. prompts: how many there are in all files.
    axes: the matrix, in order; values are tuples, or ranges. warnings: one line each.
    """

    def __init__(
        self,
        plan: Plan,
        occurrences: Occurrences,
        spool: Spool,
        *,
        source: str,
        name: str,
        fingerprint: str,
        whole: int,
        prompts: int,
        limit: int | None,
    ) -> None:
        self._plan = plan
        self._occurrences = occurrences
        self._spool = spool
        self.source = source
        self.name = name
        self.model = plan.model
        self.fingerprint = fingerprint
        self.whole = whole
        self.total = whole if limit is None else min(whole, limit)
        self.prompts = prompts
        self.axes: Mapping[str, Sequence[Any]] = {name: axis.values for name, axis in plan.sweep.axes.items()}
        self.warnings = tuple(plan.terms.warnings)

    def jobs(self) -> Iterator[Job]:
        """The jobs in manifest order; each call begins anew.

        Raises ManifestError when a file is not what was checked: at its first line where the file system tells, else at
        its end.
        """
        if not self.total:
            return
        counter, index = self._occurrences.counter(), 0
        for row in self._rows():
            for inputs, texts in variables.renderings(row):
                for job in self._of_prompt(row, inputs, texts, counter, index):
                    yield job
                    index += 1
                    if index == self.total:
                        return

    def _rows(self) -> Iterator[Row]:
        """The rows as before. What was right in the check and is wrong now was changed in between."""
        problems = Problems()
        for row in self._plan.rows(problems):
            if problems.total or not isinstance(row.inputs.get("prompt"), str):
                raise _changed(row.source)
            yield row
        if problems.total:
            raise _changed(problems.first[0].file)

    def _of_prompt(
        self, row: Row, inputs: dict[str, Any], texts: Mapping[str, str], counter: Counter, index: int
    ) -> Iterator[Job]:
        plan, sweep, base = self._plan, self._plan.sweep, self._plan.sweep.base
        model, meta, source, line = plan.model, row.meta, row.source, row.line
        name = row.id or prompt_name(inputs["prompt"])
        facts = Facts(name, model, sweep.keys, texts, meta)
        watched = counter.watches(inputs)
        make_path = plan.paths.path
        for at, combination in enumerate(sweep.combinations(sweep.pins(inputs)), index):
            sent = {**base, **combination, **inputs}
            key, copy = job_key(model, sent), 1
            if watched and (copy := counter.next_copy(key)) > 1:
                key = job_key(model, sent, copy)
            try:
                path = make_path(facts, sent, at, copy, key)
            except TemplateError as error:
                raise failure(source, line, 1, f"`output.path` does not fit: {error.what}", error.mend) from None
            yield Job(
                key=key,
                model=model,
                inputs=sent,
                copy=copy,
                prompt_id=name,
                meta=meta,
                source=source,
                line=line,
                path=path,
            )

    def count_by_axis(self) -> Mapping[str, Mapping[str, int]]:
        """Jobs per value of each axis, after ``--limit``. Reads the prompts once more."""
        return count_by_axis(self._plan.sweep, self._rows(), self.total, limited=self.total < self.whole)

    def close(self) -> None:
        """Removes what standard input was spooled to; the jobs can't be read after that."""
        self._spool.close()


def _changed(file: str) -> ManifestError:
    return failure(file, 0, 0, "changed while batcher was reading it", "run the same command again")
