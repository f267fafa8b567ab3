"""From a path to a checked manifest, in two steps, as the model must be known before its schema can be fetched."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Any, BinaryIO

from batcher.core.errors import ManifestError
from batcher.core.version import __version__
from batcher.manifest.check import Check
from batcher.manifest.check_cache import Memory, digest
from batcher.manifest.compile import Comparison, named_inputs
from batcher.manifest.expansion import Manifest
from batcher.manifest.final_checks import judge
from batcher.manifest.flags import Overrides
from batcher.manifest.inputs import Terms
from batcher.manifest.plan import Plan
from batcher.manifest.problems import Problems, failure
from batcher.manifest.readers.columns import word
from batcher.manifest.readers.formats import FORMATS, format_of, reader
from batcher.manifest.readers.records import model_of
from batcher.manifest.readers.rows import Carried, Reading
from batcher.manifest.readers.source import Source
from batcher.manifest.readers.spool import Spool
from batcher.manifest.schema import DEFAULT_MODEL, ModelSchema
from batcher.manifest.templates.dynamic import Dynamics
from batcher.manifest.yaml.document import Document, RunOption, read_document
from batcher.manifest.yaml.groups import groups_of
from batcher.manifest.yaml.named import NamedFiles, word_path

_MOST_COMPARED = 100_000  # prompts without groups that are looked at for equal ones; groups are always
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
        self._parts = groups_of(document) if document else []
        self._files = NamedFiles(self._base())
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
        lists = [(Source(path, label), None) for path, label, _ in memory.lists]
        try:
            if _hash(self._source, self._form, progress) != memory.source:
                return False
            marks = [_hash(source, form, progress) for source, form in (*self._named(), *lists)]
            if marks != [*memory.files, *(mark for _, _, mark in memory.lists)]:
                self._files = NamedFiles(self._base())  # the check may find them changed once more
                return False
        except ManifestError:  # the check says what is wrong
            return False
        self._recalled = memory
        return True

    def check(self, schema: ModelSchema | None, *, progress: Callable[[int], None] | None = None) -> Manifest:
        """The manifest, all of it right; raises ManifestError with everything that is wrong (UsageError for flags).

        schema: None when the model's is not to be had, which its asker warns of: names and values then go unchecked.
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
        holders = [*([self._document] if self._document else []), *self._parts]
        terms = Terms(schema, named_inputs(holders, self._overrides), None if self._model_is_named else self.model)
        if schema is not None and terms.schema is None:
            terms.warn(f"the schema of {word(self.model)} names no inputs: names and values were not checked")
        document = self._document or Document(self._source.label, Problems())
        problems = document.problems
        if not terms.knows("prompt"):
            problems.add(self._source.label, 0, 0, f"{word(self.model)} has no input `prompt`", "choose another model")
        flat = None if self._document else (self._source, self._form)
        parts = self._parts if self._document else [document]
        memory = self._recalled
        known = {path: mark for path, _, mark in memory.lists} if memory else {}
        dynamics = Dynamics(document, terms, self._base(), known)
        plan = Comparison(document, parts, self._files, flat, self._overrides, terms, dynamics).plan(self.model)
        if memory is None or memory.schema != _mark(terms.schema):
            memory = self._looked_at(document, plan, dynamics, progress)
        else:
            problems.raise_if_any()
        limit = self._overrides.limit
        return Manifest(plan, memory, self._spool, source=self._path, name=self.name, limit=limit)

    def _looked_at(
        self, document: Document, plan: Plan, dynamics: Dynamics, progress: Callable[[int], None] | None
    ) -> Memory:
        """Every row, in the first pass. Raises ManifestError."""
        problems = document.problems
        check = Check(plan, problems, progress)
        check.run()
        judge(plan, check)
        problems.raise_if_any()
        memory = Memory(
            said=self._said(),
            schema=_mark(plan.terms.schema),
            source=self._source.digest or "",
            files=tuple(source.digest or "" for source, _ in self._named()),
            fingerprint=self._fingerprint(plan, dynamics),
            whole=check.whole,
            prompts=check.prompts,
            texts=check.texts,
            groups=tuple(check.groups),
            pins=check.pins,
            warnings=(),
            watched=check.occurrences.close(),
            lists=tuple((source.path, source.label, source.digest or "") for source in dynamics.sources()),
        )
        if memory.watched and (plan.groups[0].name or check.prompts <= _MOST_COMPARED):
            manifest = Manifest(plan, memory, self._spool, source=self._path, name=self.name, limit=None)
            if words := manifest.repeated().words():
                plan.terms.warn(words)
        return replace(memory, warnings=tuple(plan.terms.warnings))

    def _base(self) -> str:
        """The folder that file names are relative to."""
        return "" if self._path == "-" else os.path.dirname(self._path)  # noqa: PTH120

    def _named(self) -> list[tuple[Source, str | None]]:
        """The files that it names, and their formats. Only of a manifest in which nothing is wrong."""
        return self._files.all_of(self._document) if self._document else []

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
        named = [source.digest for source, _ in self._named()] if self._document else [self._source.digest]
        read = [*named, *(source.digest for source in dynamics.sources())]
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
