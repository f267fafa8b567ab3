"""The first pass: every row looked at, nothing kept but counts and one fingerprint a prompt.

A matrix is checked by its axes, once, and a row by its own values: the product of the two is never walked.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from batcher.core.errors import ManifestError
from batcher.core.naming import TemplateError
from batcher.manifest.inputs import Terms
from batcher.manifest.paths import RESERVED, Facts
from batcher.manifest.plan import Group, Plan
from batcher.manifest.problems import Problems, suggestion
from batcher.manifest.readers.columns import word
from batcher.manifest.readers.formats import Reader
from batcher.manifest.readers.rows import Carried, Row
from batcher.manifest.schema.words import shown
from batcher.manifest.sweep.copies import Occurrences
from batcher.manifest.templates import variables
from batcher.manifest.templates.dynamic import VARIANT
from batcher.manifest.yaml.entries import FromFile, Inline

_PROGRESS_EVERY = 10_000
_MOST_RENDERINGS = 1_000_000


class Check:
    """prompts, texts, whole: how many prompts, how many they are with their variants and vars filled in, and how many
    jobs they make. groups: the same of each group. sound: whether nothing was wrong with the prompts of each. pins:
    whether any has its own value for an axis. names: of all vars met, by the template of the groups they were met in.
    """

    def __init__(self, plan: Plan, problems: Problems, progress: Callable[[int], None] | None) -> None:
        self._plan = plan
        self._problems = problems
        self._progress = progress
        self._looked = self._made = 0
        self._checks: dict[str, Callable[[Any], str | None]] = {}
        self.occurrences = Occurrences([group.sweep for group in plan.groups])
        self.groups: list[tuple[int, int, int]] = []
        self.sound: list[bool] = []
        self.prompts = self.texts = self.whole = 0
        self.pins = False
        self.names: dict[str, set[str]] = {}

    def run(self) -> None:
        shared = shared_texts = 0
        for number, group in enumerate(self._plan.groups):
            self._turn_to(number, group)
            looked, made, whole, said = self._looked, self._made, self.whole, self._problems.said
            self._entries(group)
            prompts, texts = self._looked - looked, self._made - made
            self.groups.append((prompts, texts, self.whole - whole))
            self.sound.append(group.whole_entries and self._problems.said == said)
            if group.document.shares_prompts:
                shared, shared_texts = prompts, max(texts, shared_texts)  # the same ones each time
            else:
                self.prompts, self.texts = self.prompts + prompts, self.texts + texts
        self.prompts, self.texts = self.prompts + shared, self.texts + shared_texts
        if self._progress:
            self._progress(self._looked)

    def _turn_to(self, number: int, group: Group) -> None:
        self._number, self._group, self._sweep = number, group, group.sweep
        self._needed = self._plan.terms.required() - group.sweep.base.keys() - group.sweep.axes.keys() | {"prompt"}
        self._tries_path = group.template is not None and ":" in group.template.text
        self._names = self.names.setdefault(group.template.text if group.template else "", set())

    def _entries(self, group: Group) -> None:
        for entry, reader in self._plan.readers(group, self._problems):
            carried = entry.carried if isinstance(entry, FromFile) else Carried()
            unused = set(carried.vars)
            self._names.update(unused)
            try:
                for row in self._counted(reader):
                    unused -= self._row(row) if row.vars or row.repeat or row.variants else self._plain_row(row)
            except ManifestError as error:
                for problem in error.problems:
                    self._problems.add(problem.file, problem.line, problem.column, problem.what, problem.mend)
                continue
            for name in sorted(unused):
                place = carried.places[f"vars.{name}"]
                what = f"no prompt of this file uses the var `{word(name)}`"
                self._problems.add(*place, what, f"write {{{word(name)}}} in its prompts, or remove the var")

    def _counted(self, reader: Reader) -> Iterator[Row]:
        for row in reader.rows():
            self._looked += 1
            if self._progress and self._looked % _PROGRESS_EVERY == 0:
                self._progress(self._looked)
            yield row

    def _plain_row(self, row: Row) -> frozenset[str]:
        self._made += 1
        if self._inputs(row, row.inputs):
            self._count(row, row.inputs, {})
        return frozenset()

    def _row(self, row: Row) -> frozenset[str]:
        """A row with variants, vars or copies: each rendering is a prompt of its own."""
        used = frozenset(variables.used(row))
        self._names.update(row.vars)
        if isinstance(row.reader, Inline):  # its own vars; those of a file are for all of its rows
            self._unused(row, used)
        if row.variants is not None:
            self._names.add(VARIANT)
        if variables.bound(row) > _MOST_RENDERINGS:
            what = f"its variants, vars and copies make more than {_MOST_RENDERINGS:,} prompts of one"
            self._problems.add(*row.place("vars"), what, "use fewer values or copies, or a prompt file")
            return used
        made = 0
        for inputs, texts in variables.renderings(row):
            if not self._inputs(row, inputs):
                break
            self._count(row, inputs, texts)
            made += 1
        self._made += made // variables.copies(row)
        return used

    def _count(self, row: Row, inputs: dict[str, Any], texts: Mapping[str, str]) -> None:
        sweep = self._sweep
        if pins := sweep.pins(inputs):
            self.pins = True
        self.whole += sweep.count(pins)
        self.occurrences.add(inputs, self._number)
        if self._tries_path:
            self._try_path(row, inputs, dict(texts))

    def _unused(self, row: Row, used: frozenset[str]) -> None:
        for name in sorted(row.vars.keys() - used):
            near = suggestion(name, variables.braces(row)) if variables.braces(row) else ""
            mend = near.replace("`", "") if near.startswith("did you mean") else f"write {{{word(name)}}} in the prompt"
            self._problems.add(*row.place(f"vars.{name}"), f"no text uses the var `{word(name)}`", mend)

    def _inputs(self, row: Row, inputs: dict[str, Any]) -> bool:
        """Whether a row's inputs can be sent; if not, the problems say why."""
        before, checks = self._problems.total, self._checks
        if not self._needed <= inputs.keys():
            for name in sorted(self._needed - inputs.keys()):
                what = f"`{name}` is missing" + ("" if name == "prompt" else ", and the model needs it")
                self._problems.add(*row.place(name), what, f"add `{name}`")
        for name, value in inputs.items():
            check = checks.get(name)
            if check is None:
                check = checks[name] = self._plan.terms.check_of(name)
            if (reason := check(value)) is not None:
                self._wrong(row, name, value, reason)
        return self._problems.total == before

    def _wrong(self, row: Row, name: str, value: Any, reason: str) -> None:
        mend = "write one, or remove the row" if reason == "is empty" else self._plan.terms.mend(name)
        schema = self._plan.terms.schema
        free_text = schema and schema.takes_text(name) and schema.allowed(name) is None
        if free_text and isinstance(value, int | float):
            mend = f"put it in quotes: {shown(str(value).lower() if isinstance(value, bool) else repr(value))}"
        self._problems.add(*row.place(name), f"`{name}` {reason}", mend)

    def _try_path(self, row: Row, inputs: dict[str, Any], texts: dict[str, str]) -> None:
        """One path of each row: whether a format such as ``{seed:04d}`` fits its values."""
        sweep = self._sweep
        facts = Facts(row.id or "id", self._plan.model, sweep.keys, texts, row.meta)
        first: dict[str, Any] = next(sweep.combinations(sweep.pins(inputs)), {})
        try:
            self._group.paths.path(facts, {**sweep.base, **first, **inputs}, 0, 1, "0" * 32)
        except TemplateError as error:
            file, line, _ = row.place("")
            self._problems.add(file, line, 1, f"`output.path` does not fit this prompt: {error.what}", error.mend)


def unknown_fields(group: Group, terms: Terms, names: set[str]) -> list[tuple[str, str]]:
    """Fields of the path template that nothing fills, each with how to mend it."""
    if group.template is None or terms.schema is None:
        return []
    known = [*RESERVED, *(["group"] if group.name else []), *terms.columns, *sorted(names)]
    fields = sorted(field for field in group.template.fields if not field.startswith("meta."))
    return [(field, suggestion(field, [*known, "meta.<name>"])) for field in fields if field not in known]
