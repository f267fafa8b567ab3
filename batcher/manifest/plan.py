"""What a manifest comes to once its sections and the flags are compared with the model's inputs: all that reading the
prompts needs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from batcher.core.naming import Template, TemplateError
from batcher.manifest.flags import Overrides
from batcher.manifest.paths import DefaultPaths, Paths, TemplatePaths
from batcher.manifest.problems import Problems
from batcher.manifest.readers.rows import Carried, Row
from batcher.manifest.readers.source import Source
from batcher.manifest.schema.inputs import ModelInputs
from batcher.manifest.sweep.repeats import Repeat, Repeats
from batcher.manifest.sweep.sweep import Sweep
from batcher.manifest.templates.dynamic import Dynamic
from batcher.manifest.yaml.document import Document
from batcher.manifest.yaml.dynamics import Dynamics
from batcher.manifest.yaml.entries import Entries, Entry, FromFile, Inline
from batcher.manifest.yaml.named import NamedFiles
from batcher.manifest.yaml.sections import Sections


@dataclass(frozen=True, slots=True)
class Group:
    """A sweep over some prompts: a named group of the manifest, or all of it.

    document: where it stands. paths: how pictures are named. template: of ``output.path``, None for the default.
    whole_sweep, whole_entries: whether nothing was wrong with them so far, so that nothing was left out.
    """

    document: Document
    sweep: Sweep
    entries: tuple[Entry, ...]
    paths: Paths
    template: Template | None
    whole_sweep: bool = True
    whole_entries: bool = True

    @property
    def name(self) -> str | None:
        return self.document.group

    def least_jobs(self) -> int:
        """How many jobs its inline prompts make at least: known without reading a file."""
        rows = (row for entry in self.entries if isinstance(entry, Inline) for row in entry.held)
        return sum(self.sweep.count(self.sweep.pins(row.inputs)) for row in rows)


@dataclass(frozen=True, slots=True)
class Plan:
    """groups: in order; one without a name where the manifest has none."""

    model: str
    model_inputs: ModelInputs
    groups: tuple[Group, ...]

    def rows(self, entry: Entry, problems: Problems) -> Iterator[Row]:
        """The prompts of one entry. Raises ManifestError where the reading of a file ends."""
        return iter(entry.held) if isinstance(entry, Inline) else entry.rows(self.model, self.model_inputs, problems)


@dataclass(frozen=True, slots=True)
class Compiler:
    """document: of a YAML manifest. parts: its groups, or itself alone. flat: one that is no YAML, and its format;
    then the document is empty.
    """

    document: Document
    parts: Sequence[Document]
    files: NamedFiles
    flat: tuple[Source, str] | None
    overrides: Overrides
    model_inputs: ModelInputs
    dynamics: Dynamics

    def plan(self, model: str) -> Plan:
        """Raises UsageError; all other problems go to the document's."""
        dynamic = self.dynamics.for_all(flag=self.overrides.dynamic)
        return Plan(model, self.model_inputs, tuple(self._group(part, dynamic) for part in self.parts))

    def _group(self, part: Document, dynamic: Dynamic | None) -> Group:
        model_inputs, overrides, problems = self.model_inputs, self.overrides, self.document.problems
        at_first = problems.added
        shared, sections = Sections(self.document, model_inputs), Sections(part, model_inputs)
        base = {**shared.defaults(), **sections.defaults(), **overrides.values(model_inputs)}
        axes = {**sections.matrix(), **overrides.axes(model_inputs)}
        zipped = sections.zip(axes)
        named = axes | zipped.axes
        sweep = Sweep(axes, sections.exclude(named), sections.include(named, base), base, zipped)
        repeats = Repeats(model_inputs, "seed" in sweep.keys or "seed" in sweep.base, part.group)
        repeat = overrides.copies(repeats) or sections.repeat(repeats) or shared.repeat(repeats)
        template = overrides.template() or _template(part)
        paths = DefaultPaths(part.group) if template is None else TemplatePaths(template, part.group)
        if part.group is not None and "dynamic" in part.sections:
            dynamic = self.dynamics.read(part.sections["dynamic"], dynamic)
        before = problems.added
        entries = tuple(self._entries(part, repeats, repeat, dynamic))
        return Group(part, sweep, entries, paths, template, before == at_first, problems.added == before)

    def _entries(self, part: Document, repeats: Repeats, repeat: Repeat | None, dynamic: Dynamic | None) -> list[Entry]:
        column, aside = self.overrides.prompt_column, frozenset(self.overrides.meta)
        if self.flat is not None:
            carried, is_named = Carried(repeat=repeat, aside=aside), self.overrides.format is not None
            return [FromFile(*self.flat, carried, column, dynamic, is_named, repeats)]
        return Entries(
            part, self.model_inputs, self.files, column, repeats, repeat, self.dynamics, dynamic, aside
        ).read()


def named_inputs(documents: Sequence[Document], overrides: Overrides) -> Iterator[str]:
    """Names that flags and sections use for inputs: without a schema, columns called so are inputs too."""
    yield from overrides.names()
    for document in documents:
        for section in ("defaults", "matrix", "zip"):
            if section in document.sections:
                yield from (name for name in document.sections[section].pairs if name != "repeat")


def _template(document: Document) -> Template | None:
    if document.template is None:
        return None
    text, node = document.template
    try:
        return Template(text)
    except TemplateError as error:
        column = node.column + node.quoted + error.column - 1
        document.problems.add(document.label, node.line, column, error.what, error.mend)
        return None
