"""A manifest compared with the model's inputs and the flags: everything that reading its prompts needs.

``Compiler.plan`` reads the sections of a YAML manifest (``yaml/sections.py``, ``yaml/entries.py``), puts the flags over
them, and gives a ``Plan``: for each group its sweep, its entries of prompts and the way its images are named. A file
that is no YAML is a plan of one group with one entry.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate

from batcher.core.errors import ManifestError
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
from batcher.manifest.templates.variables import least
from batcher.manifest.yaml.document import Document
from batcher.manifest.yaml.entries import Entries, Entry, FromFile, Inline
from batcher.manifest.yaml.named import NamedFiles
from batcher.manifest.yaml.sections import WILDCARDS, Sections

_QUICKLY_READ = 200_000  # rows of a file: about two seconds


@dataclass(frozen=True, slots=True)
class Group:
    """A sweep over some prompts: a named group of the manifest, or all of it.

    document: where it stands. entries: its prompts, or the files that hold them, in order. paths: how images are named.
    template: of ``output.path``, None for the default. whole_sweep, whole_entries: whether nothing was wrong with them
    so far, so that nothing was left out.
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


@dataclass(frozen=True, slots=True)
class Plan:
    """What a manifest means for one model.

    model: its id. model_inputs: of that model. groups: in order; one without a name where the manifest has none.
    problems: what is wrong so far. files: those that the manifest names, for its digest.
    """

    model: str
    model_inputs: ModelInputs
    groups: tuple[Group, ...]
    problems: Problems
    files: NamedFiles

    def rows(self, entry: Entry, problems: Problems) -> Iterator[Row]:
        """The prompts of one entry. Raises ManifestError where the reading of a file ends."""
        return iter(entry.held) if isinstance(entry, Inline) else entry.rows(self.model, self.model_inputs, problems)

    def makes_more_jobs_than(self, most: int) -> bool:
        """True if the plan makes more than ``most`` jobs for certain. False if it does not, or if counting takes long.

        Makes no job. It reads a file only if its first _QUICKLY_READ rows can exceed ``most``.
        """
        counts = (
            group.sweep.count(group.sweep.pins(row.inputs)) * least(row)
            for group in self.groups
            for entry in group.entries
            if isinstance(entry, Inline) or group.sweep.count({}) * entry.carried.most_of_a_row * _QUICKLY_READ > most
            for row in self.rows(entry, Problems())
        )
        with suppress(ManifestError):  # it comes again when the jobs are made
            return any(total > most for total in accumulate(counts))
        return False


@dataclass(frozen=True, slots=True)
class Compiler:
    """Makes a plan.

    document: of a YAML manifest; empty for any other file. parts: its groups, or the document alone. files: opens the
    files that it names. flat: a prompt file that is not YAML, and its format. overrides: the flags. model_inputs: of
    the model; gets warnings too.
    """

    document: Document
    parts: Sequence[Document]
    files: NamedFiles
    flat: tuple[Source, str] | None
    overrides: Overrides
    model_inputs: ModelInputs

    def plan(self, model: str) -> Plan:
        """Raises UsageError for flags; all other problems go to the document's."""
        by_flag = Dynamic(self.files.lists(WILDCARDS)) if self.overrides.dynamic else None
        dynamic = self._sections(self.document).dynamic(by_flag) or by_flag
        groups = tuple(self._group(part, model, dynamic) for part in self.parts)
        return Plan(model, self.model_inputs, groups, self.document.problems, self.files)

    def _sections(self, document: Document) -> Sections:
        return Sections(document, self.model_inputs, self.files)

    def _group(self, part: Document, model: str, dynamic: Dynamic | None) -> Group:
        model_inputs, overrides, problems = self.model_inputs, self.overrides, self.document.problems
        at_first = problems.added
        shared, sections = self._sections(self.document), self._sections(part)
        base = {**shared.defaults(), **sections.defaults(), **overrides.values(model_inputs)}
        axes = {**sections.matrix(), **overrides.axes(model_inputs)}
        zipped = sections.zip(axes)
        named = axes | zipped.axes
        sweep = Sweep(axes, sections.exclude(named), sections.include(named, base), base, zipped)
        repeats = Repeats(model_inputs, "seed" in sweep.keys or "seed" in sweep.base, part.group)
        repeat = overrides.copies(repeats) or sections.repeat(repeats) or shared.repeat(repeats)
        template = overrides.template() or _template(part)
        paths: Paths = DefaultPaths(part.group)
        if template is not None:
            paths = TemplatePaths(template, model, model_inputs.own_name("prompt"), part.group)
        if part.group is not None:
            dynamic = sections.dynamic(dynamic)
        before = problems.added
        entries = tuple(self._entries(part, repeats, repeat, dynamic))
        return Group(part, sweep, entries, paths, template, before == at_first, problems.added == before)

    def _entries(self, part: Document, repeats: Repeats, repeat: Repeat | None, dynamic: Dynamic | None) -> list[Entry]:
        column, aside = self.overrides.prompt_column, frozenset(self.overrides.meta)
        if self.flat is not None:
            carried, is_named = Carried(repeat=repeat, aside=aside), self.overrides.format is not None
            return [FromFile(*self.flat, carried, column, dynamic, is_named, repeats)]
        return Entries(part, self.model_inputs, self.files, column, repeats, repeat, dynamic, aside).read()


def _template(document: Document) -> Template | None:
    if document.template is None:
        return None
    text, node = document.template
    try:
        return Template(text)
    except TemplateError as error:
        document.add(node, error.what, error.mend, error.column - 1)
        return None
