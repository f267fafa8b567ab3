"""From a path to a checked manifest, in two steps, as the model must be known before its schema can be fetched."""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, BinaryIO

from batcher import __version__
from batcher.errors import ManifestError
from batcher.manifest.check import Check, unknown_fields
from batcher.manifest.columns import word
from batcher.manifest.document import Document, RunOption, read_document
from batcher.manifest.dynamic import Dynamics
from batcher.manifest.entries import Entries, Entry, FromFile, named_files, word_path
from batcher.manifest.expansion import Manifest
from batcher.manifest.flags import Overrides
from batcher.manifest.formats import FORMATS, format_of, reader
from batcher.manifest.memory import Memory, digest
from batcher.manifest.paths import MOST_ENTRIES, DefaultPaths, TemplatePaths, fullest_folder
from batcher.manifest.plan import Plan
from batcher.manifest.problems import Problems, failure
from batcher.manifest.records import model_of
from batcher.manifest.repeats import Repeats
from batcher.manifest.rows import Carried, Reading
from batcher.manifest.sections import Sections
from batcher.manifest.source import Source
from batcher.manifest.spool import Spool
from batcher.manifest.sweep import Sweep
from batcher.manifest.terms import Terms
from batcher.models import DEFAULT_MODEL, ModelSchema
from batcher.naming import Template, TemplateError

EXPANSION_VERSION = 1  # goes up when the same manifest would make other jobs


def open_manifest(path: str, overrides: Overrides, *, stdin: BinaryIO | None = None) -> "Draft":
    """Reads a manifest as far as it goes without a schema: a YAML file whole, another file not at all.

    Raises ManifestError for what can't be read, UsageError for flags that can't be meant.
    """
    form = overrides.named_format()
    overrides.axes_as_text()
    spool = Spool()
    try:
        return _opened(path, form, overrides, spool, stdin)
    except BaseException:
        spool.close()
        raise


def _opened(path: str, form: str | None, overrides: Overrides, spool: Spool, stdin: BinaryIO | None) -> "Draft":
    if path == "-":
        source = Source(spool.keep(stdin or sys.stdin.buffer), "<stdin>")
        form = form or "txt"
    else:
        source = Source(spool.keep_pipe(path), word_path(path))
        form = form or format_of(path)
        if form == "folder" and not os.path.isdir(path):  # noqa: PTH112  a text, which may be odd
            raise failure(source.label, 0, 0, "is not a folder", "give a folder of .txt files, or another --format")
    if not os.path.exists(source.path):  # noqa: PTH110
        raise failure(source.label, 0, 0, "there is no such file", "check the path and the working directory")
    if form is None:
        mend = f"add --format with one of {', '.join(FORMATS)}"
        raise failure(source.label, 0, 0, "its name does not say what format it has", mend)
    document = read_document(source) if form == "yaml" else None
    draft = Draft(path, source, form, document, overrides, spool)
    if document is not None and document.problems.total and (document.model is None) == ("model" in document.sections):
        draft.check(None)  # the model can't be told: say so, with all else that is wrong
    return draft


class Draft:
    """A manifest whose syntax has been read.

    name: stem for the default run directory. model: the flag's, else the manifest's, else the default one.
    run_options: the ``run:`` block, by flag name with ``_``.
    """

    def __init__(
        self, path: str, source: Source, form: str, document: Document | None, overrides: Overrides, spool: Spool
    ) -> None:
        self._path = path
        self._source = source
        self._form = form
        self._document = document
        self._overrides = overrides
        self._spool = spool
        self._recalled: Memory | None = None
        self._read: list[Source] = []  # its files of prompts, where they were hashed already
        whole = PurePath(os.path.abspath(path))  # noqa: PTH100  only its name is wanted
        stem = whole.name if form == "folder" else whole.stem
        self.name = "stdin" if path == "-" else word_path(stem) or "manifest"
        named = overrides.model or (document.model if document else None)
        self._model_is_named = named is not None
        self.model = named or (model_of(source.path) if form == "records" else None) or DEFAULT_MODEL
        self.run_options: Mapping[str, RunOption] = document.run if document else {}

    def recall(self, memory: Memory | None, *, progress: Callable[[int], None] | None = None) -> bool:
        """Whether this is the very manifest, every byte of it, that an earlier run checked; ``check`` then has no more
        to do, as long as the schema is the same. progress: called now and then with the number of bytes read so far.
        """
        if memory is None or memory.said != self._said():
            return False
        files = [] if self._document is None else named_files(self._document, self._base())
        lists = [(Source(path, label), None) for path, label, _ in memory.lists]
        named: list[tuple[Source, str | None]] = [(self._source, self._form), *files, *lists]
        known = [memory.source, *memory.files, *(mark for _, _, mark in memory.lists)]
        try:
            if [_hash(source, form, progress) for source, form in named] != known:
                return False
        except ManifestError:  # the check says what is wrong
            return False
        self._recalled, self._read = memory, [source for source, _ in files]
        return True

    def check(self, schema: ModelSchema | None, *, progress: Callable[[int], None] | None = None) -> Manifest:
        """The manifest, all of it right; raises ManifestError with everything that is wrong (UsageError for flags).

        schema: None when the model's is not to be had; then names and values go unchecked, and a warning says so.
        progress: called now and then with the number of prompts checked so far.
        """
        try:
            return self._checked(schema, progress)
        except BaseException:
            self._spool.close()
            raise

    def close(self) -> None:
        """For a draft that is not going to be checked: removes what standard input was spooled to."""
        self._spool.close()

    def _checked(self, schema: ModelSchema | None, progress: Callable[[int], None] | None) -> Manifest:
        terms = Terms(schema, self._named_inputs(), None if self._model_is_named else self.model)
        if terms.schema is None:
            terms.warn(f"the inputs of {word(self.model)} are not known: names and values were not checked")
        document = self._document or Document(self._source.label, Problems())
        problems = document.problems
        if not terms.knows("prompt"):
            problems.add(self._source.label, 0, 0, f"{word(self.model)} has no input `prompt`", "choose another model")
        memory = self._recalled
        known = {path: mark for path, _, mark in memory.lists} if memory else {}
        dynamics = Dynamics(document, terms, self._base(), known)
        plan = self._plan(document, terms, dynamics)
        if memory is None or memory.schema != _mark(terms.schema):
            memory = self._looked_at(document, plan, dynamics, progress)
        else:
            problems.raise_if_any()
            for source, read in zip(plan.sources(), self._read, strict=False):  # a flat file is its own source
                source.is_read(read)
        limit = self._overrides.limit
        return Manifest(plan, memory, self._spool, source=self._path, name=self.name, limit=limit)

    def _looked_at(
        self, document: Document, plan: Plan, dynamics: Dynamics, progress: Callable[[int], None] | None
    ) -> Memory:
        """Every row, in the first pass. Raises ManifestError."""
        problems = document.problems
        check = Check(plan, problems, progress)
        check.run()
        self._check_template(document, plan, check.names)
        problems.raise_if_any()
        if not check.whole:
            what = "there is no prompt in it" if not check.prompts else "`exclude` leaves no combination"
            raise failure(self._source.label, 0, 0, what, "add one" if not check.prompts else "exclude less")
        axes = {name: len(axis) for name, axis in plan.sweep.axes.items()}
        if plan.template and (most := fullest_folder(plan.template, check.whole, check.prompts, axes)) > MOST_ENTRIES:
            plan.terms.warn(f"`output.path` puts about {most:,} names into one folder: begin it with {{shard}}/")
        return Memory(
            said=self._said(),
            schema=_mark(plan.terms.schema),
            source=self._source.digest or "",
            files=tuple(source.digest or "" for source in plan.sources()) if self._document else (),
            fingerprint=self._fingerprint(plan, dynamics),
            whole=check.whole,
            prompts=check.prompts,
            pins=check.pins,
            warnings=tuple(plan.terms.warnings),
            watched=check.occurrences.close(),
            lists=tuple((source.path, source.label, source.digest or "") for source in dynamics.sources()),
        )

    def _named_inputs(self) -> list[str]:
        """Names that flags and sections use for inputs: without a schema, columns called so are inputs too."""
        sections = self._document.sections if self._document else {}
        nodes = [sections[part] for part in ("defaults", "matrix", "zip") if part in sections]
        return [*self._overrides.names(), *(name for node in nodes for name in node.pairs if name != "repeat")]

    def _plan(self, document: Document, terms: Terms, dynamics: Dynamics) -> Plan:
        sections = Sections(document, terms)
        base = {**sections.defaults(), **self._overrides.values(terms)}
        axes = {**sections.matrix(), **self._overrides.axes(terms)}
        zipped = sections.zip(axes)
        named = axes | zipped.axes
        sweep = Sweep(axes, sections.exclude(named), sections.include(named, base), base, zipped)
        template = _template(document)
        paths = DefaultPaths() if template is None else TemplatePaths(template)
        entries = self._entries(document, terms, sweep, dynamics)
        return Plan(self.model, terms, sweep, tuple(entries), paths, template)

    def _entries(self, document: Document, terms: Terms, sweep: Sweep, dynamics: Dynamics) -> list[Entry]:
        column = self._overrides.prompt_column
        repeats = Repeats(terms, "seed" in sweep.keys or "seed" in sweep.base)
        repeat = self._overrides.copies(repeats) or Sections(document, terms).repeat(repeats)
        dynamic = dynamics.for_all(flag=self._overrides.dynamic)
        if self._document is None:
            return [FromFile(self._source, self._form, Carried(repeat=repeat), column, dynamic)]
        return Entries(document, terms, self._base(), column, repeats, repeat, dynamics, dynamic).read()

    def _check_template(self, document: Document, plan: Plan, names: set[str]) -> None:
        if document.template is None:
            return
        for field, mend in unknown_fields(plan, names):
            text, node = document.template
            column = node.column + node.quoted + max(text.find("{" + field), 0)
            document.problems.add(document.label, node.line, column, f"unknown field {{{word(field)}}} in `path`", mend)

    def _base(self) -> str:
        """The folder that file names are relative to."""
        return "" if self._path == "-" else os.path.dirname(self._path)  # noqa: PTH120

    def _flags(self) -> dict[str, Any]:
        """All that shape the jobs; ``--limit`` only says how many of them."""
        flags = {name: getattr(self._overrides, name) for name in Overrides.__slots__ if name != "limit"}
        if flags["repeat"] is None:
            del flags["repeat"]  # runs made before there was such a flag are still known by the others
        if not flags["dynamic"]:
            del flags["dynamic"]
        return flags

    def _said(self) -> str:
        return digest([__version__, EXPANSION_VERSION, self._path, self.model, self._flags(), self._form])

    def _fingerprint(self, plan: Plan, dynamics: Dynamics) -> str:
        schema = plan.terms.schema.fingerprint() if plan.terms.schema else None
        read = [source.digest for source in (*plan.sources(), *dynamics.sources())]
        return digest([EXPANSION_VERSION, self.model, self._flags(), self._form, self._source.digest, read, schema])


def _mark(schema: ModelSchema | None) -> str | None:
    return None if schema is None else digest([schema.fingerprint(), sorted(schema.media_inputs)])


def _hash(source: Source, form: str | None, progress: Callable[[int], None] | None) -> str:
    """Raises ManifestError."""
    if form == "folder":
        for _ in reader(source, form, Reading(Terms(None), Problems(), Carried())).rows():
            pass
    if source.digest is None:
        source.hash(progress)
    return source.digest or ""


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
