"""A checked manifest, and the second pass: its jobs, made one by one while the files are read again."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from batcher.core.errors import ManifestError
from batcher.core.job import Job, job_key
from batcher.core.naming import TemplateError
from batcher.manifest.check_cache import Memory
from batcher.manifest.paths import Facts, prompt_name
from batcher.manifest.plan import Group, Plan
from batcher.manifest.problems import Problems, failure
from batcher.manifest.readers.rows import Row, Wanted, everything
from batcher.manifest.readers.spool import Spool
from batcher.manifest.sweep.copies import Counter, Enough, Repeated, Watched
from batcher.manifest.sweep.counts import count_by_axis, count_evenly, merged
from batcher.manifest.templates import variables
from batcher.manifest.yaml.entries import FromFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A group's part of a manifest. prompts: its own and shared ones; texts: with their variants and vars
    filled in. axes: its jobs by the values of each axis.
    """

    name: str | None
    prompts: int
    texts: int
    jobs: int
    axes: Mapping[str, Mapping[str, int]]


class Manifest:
    """Everything in it is right, as far as can be known before paying.

    name: stem for the default run directory. source: the path as given. memory: what the check came to.
    fingerprint: hex, over all that was read, the flags and the model's schema. mark: the same and all else that the
    order of the jobs depends on.
    total: jobs after ``--limit``; whole: jobs before it. prompts: how many there are in all files. texts: how
    many with their variants and vars filled in.
    groups: names of those it has. warnings: one line each.
    """

    def __init__(self, plan: Plan, memory: Memory, spool: Spool, *, source: str, name: str, limit: int | None) -> None:
        self._plan = plan
        self._spool = spool
        self.memory = memory
        self.source = source
        self.name = name
        self.model = plan.model
        self.fingerprint = memory.fingerprint
        self.mark = memory.mark
        self.whole = memory.whole
        self.total = self.whole if limit is None else min(self.whole, limit)
        self.prompts, self.texts = memory.prompts, memory.texts
        self.groups = tuple(group.name for group in plan.groups if group.name)
        self.warnings = memory.warnings

    def jobs(self, start: int = 0) -> Iterator[Job]:
        """The jobs in manifest order, from number ``start`` on; each call begins anew. Those before it are not made,
        but counted where they occur again.

        Raises ManifestError when a file is not what was checked: at its first line where the file system tells, else at
        its end.
        """
        if start < self.total:
            for index, job in self._walk(start, Counter()):
                yield job
                if index + 1 == self.total:
                    return

    def repeated(self) -> Repeated:
        """What is asked for more than once. Takes a look at the prompts that may be, and only at them."""
        counter = Repeated()
        with suppress(Enough):
            for _ in self._walk(self.whole, counter):
                pass
            counter.ended = True
        return counter

    def _walk(self, start: int, counter: Counter) -> Iterator[tuple[int, Job]]:
        index = prompt = 0  # numbers of the next job, and of the next prompt with its vars filled in
        for group in self._plan.groups:
            counter.group = group.name
            index, prompt = yield from self._of_group(group, index, prompt, start, counter)

    def _of_group(
        self, group: Group, index: int, prompt: int, start: int, counter: Counter
    ) -> Generator[tuple[int, Job], None, tuple[int, int]]:
        """index, prompt: the numbers of its first ones; those of the first ones after it are returned."""
        watched, sweep, problems = self.memory.watched, group.sweep, Problems()
        for entry, reader in self._plan.readers(group, problems):
            row_is_job = not sweep.keys and isinstance(entry, FromFile) and entry.row_is_prompt()
            began, first = index, prompt
            wanted = _from_job(start - began, watched, first) if row_is_job else everything()
            for row in _sound(reader.rows(wanted), problems):
                if row_is_job:
                    index, prompt = began + wanted.number, first + wanted.number
                for inputs, texts in variables.renderings(row):
                    many = sweep.count(sweep.pins(inputs))
                    if prompt in watched:
                        counter.source, counter.line = row.source, row.line
                        yield from self._of_prompt(group, row, inputs, texts, index, start, counter)
                    elif index + many > start:
                        yield from self._of_prompt(group, row, inputs, texts, index, start, None)
                    index, prompt = index + many, prompt + 1
            if row_is_job:
                index, prompt = began + wanted.number + 1, first + wanted.number + 1
        return index, prompt

    def _of_prompt(
        self,
        group: Group,
        row: Row,
        inputs: dict[str, Any],
        texts: Mapping[str, str],
        index: int,
        start: int,
        counter: Counter | None,
    ) -> Iterator[tuple[int, Job]]:
        """counter: for a prompt whose jobs may occur elsewhere: those before ``start`` are counted all the same."""
        model, sweep, base = self._plan.model, group.sweep, group.sweep.base
        meta, source, line = row.meta, row.source, row.line
        if group.name is not None and "group" not in meta:
            meta = {**meta, "group": group.name}
        name = row.id or prompt_name(inputs["prompt"])
        swept = (*sweep.keys, "seed") if variables.repeats(row) else sweep.keys
        facts = Facts(name, model, swept, texts, meta)
        make_path = group.paths.path
        for at, combination in enumerate(sweep.combinations(sweep.pins(inputs)), index):
            if at < start and counter is None:
                continue
            sent = {**base, **combination, **inputs}
            key = job_key(model, sent)
            copy = 1 if counter is None else counter.next_copy(key)
            if at < start:
                continue
            if copy > 1:
                key = job_key(model, sent, copy)
            try:
                path = make_path(facts, sent, at, copy, key)
            except TemplateError as error:
                raise failure(source, line, 1, f"`output.path` does not fit: {error.what}", error.mend) from None
            yield (
                at,
                Job(
                    key=key,
                    model=model,
                    inputs=sent,
                    copy=copy,
                    prompt_id=name,
                    meta=meta,
                    source=source,
                    line=line,
                    path=path,
                ),
            )

    def count_by_axis(self) -> Mapping[str, Mapping[str, int]]:
        """Jobs per value of each axis, after ``--limit``; of groups, those that have it. Reads the prompts once more if
        any pins an axis.
        """
        return merged(share.axes for share in self.by_group())

    def by_group(self) -> Iterator[Share]:
        """Each group's part of the jobs, in order; of a manifest without groups, all of them."""
        left = self.total
        for group, (prompts, texts, whole) in zip(self._plan.groups, self.memory.groups, strict=True):
            jobs = min(left, whole)
            left -= jobs
            axes = self._axes(group, jobs, limited=jobs < whole) if jobs else {}
            yield Share(name=group.name, prompts=prompts, texts=texts, jobs=jobs, axes=axes)

    def _axes(self, group: Group, jobs: int, *, limited: bool) -> Mapping[str, Mapping[str, int]]:
        if not group.sweep.axes:
            return {}
        if not self.memory.pins:
            return count_evenly(group.sweep, jobs)
        rows = _sound(self._plan.rows(group, problems := Problems()), problems)
        return count_by_axis(group.sweep, rows, jobs, limited=limited)

    def close(self) -> None:
        """Removes what standard input was spooled to; the jobs can't be read after that."""
        self._spool.close()


def _from_job(number: int, watched: Watched, first: int) -> Wanted:
    """The rows of a file, whose first prompt has the number ``first``, that a walk from its job ``number`` on needs."""
    if number <= 0:
        return everything()
    return Wanted(number, (prompt - first for prompt in watched.between(first, first + number)))


def _sound(rows: Iterator[Row], problems: Problems) -> Iterator[Row]:
    """The rows as before. What was right in the check and is wrong now was changed in between."""
    for row in rows:
        if problems.total or not isinstance(row.inputs.get("prompt"), str):
            raise _changed(row.source)
        yield row
    if problems.total:
        raise _changed(problems.first[0].file)


def _changed(file: str) -> ManifestError:
    return failure(file, 0, 0, "changed while batcher was reading it", "run the same command again")
