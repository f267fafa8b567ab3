"""From documents to a plan: the manifest's sections and the flags, compared with the model's inputs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from batcher.core.naming import Template, TemplateError
from batcher.manifest.flags import Overrides
from batcher.manifest.paths import DefaultPaths, TemplatePaths
from batcher.manifest.plan import Group, Plan
from batcher.manifest.readers.rows import Carried
from batcher.manifest.readers.source import Source
from batcher.manifest.schema.inputs import ModelInputs
from batcher.manifest.sweep.repeats import Repeat, Repeats
from batcher.manifest.sweep.sweep import Sweep
from batcher.manifest.templates.dynamic import Dynamic
from batcher.manifest.yaml.document import Document
from batcher.manifest.yaml.dynamics import Dynamics
from batcher.manifest.yaml.entries import Entries, Entry, FromFile
from batcher.manifest.yaml.named import NamedFiles
from batcher.manifest.yaml.sections import Sections


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
            carried, named = Carried(repeat=repeat, aside=aside), self.overrides.format is not None
            return [FromFile(*self.flat, carried, column, dynamic, is_named=named, repeats=repeats)]
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
