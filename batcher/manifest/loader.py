"""From a path to jobs, in two steps, as the model must be known before its schema can be fetched."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import PurePath, PurePosixPath
from types import TracebackType
from typing import Any, BinaryIO, Self
from urllib.parse import unquote, urlsplit

from batcher.core.errors import ManifestError
from batcher.core.job import Job, canonical_json
from batcher.core.suggest import suggestion
from batcher.manifest.final_checks import final_checks
from batcher.manifest.flags import Overrides, bad_flag
from batcher.manifest.plan import Compiler, Plan, named_inputs
from batcher.manifest.problems import Problems, failure
from batcher.manifest.readers.columns import word
from batcher.manifest.readers.formats import FORMATS, format_of
from batcher.manifest.readers.json.records import model_of
from batcher.manifest.readers.source import Source, Spool
from batcher.manifest.readers.texts import hash_of_folder
from batcher.manifest.schema import DEFAULT_MODEL, ModelSchema
from batcher.manifest.schema.inputs import COMMON, ModelInputs
from batcher.manifest.schema.media_files import Contents, MediaFiles
from batcher.manifest.sweep.counts import merged
from batcher.manifest.totals import Totals
from batcher.manifest.walk import Copies, Walk
from batcher.manifest.yaml.document import Document, RunOption, read_document
from batcher.manifest.yaml.dynamics import Dynamics
from batcher.manifest.yaml.groups import groups_of
from batcher.manifest.yaml.named import NamedFiles, word_path

EXPANSION_VERSION = 2  # goes up when the same manifest would make other jobs


def open_manifest(
    path: str, overrides: Overrides, *, stdin: BinaryIO | None = None, fetched: str | None = None
) -> "Loader":
    """Reads a manifest as far as it goes without a schema: a YAML file whole, another file not at all.

    path: of a file or a folder; ``-`` for standard input; a URL. fetched: the path of its bytes, where that is another,
    as for a URL. Raises ManifestError for what can't be read, UsageError for flags that can't be meant.
    """
    form = overrides.named_format()
    overrides.axes_as_text()
    spool = Spool()
    try:
        return _opened(path, form, overrides, spool, stdin, fetched)
    except BaseException:
        spool.close()
        raise


def _opened(
    path: str, form: str | None, overrides: Overrides, spool: Spool, stdin: BinaryIO | None, fetched: str | None
) -> "Loader":
    if fetched is not None:
        source = Source(fetched, word_path(path))
        form = form or format_of(fetched)
    elif path == "-":
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
        raise failure(source.label, 0, 0, "its name does not show its format", mend)
    document = read_document(source) if form == "yaml" else None
    loader = Loader(path, source, form, document, overrides, spool)
    if fetched is not None and "://" in path:
        loader.is_remote, loader.name = True, name_of_url(path)
    if document is not None and document.problems.total and (document.model is None) == ("model" in document.sections):
        for _ in loader.jobs(None):  # the model can't be told: say so, with all else that is wrong
            pass
    return loader


def name_of_url(url: str) -> str:
    """The stem of the default run directory of a manifest that is a URL."""
    parts = urlsplit(url)
    stem = PurePosixPath(unquote(parts.path)).stem.strip(". ")
    return word_path(stem) or parts.netloc.partition(":")[0] or "manifest"


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A manifest compared with one schema, which is kept from ``digest`` to ``jobs``."""

    schema: ModelSchema | None
    plan: Plan
    problems: Problems
    dynamics: Dynamics
    files: NamedFiles


class Loader:
    """A manifest whose syntax has been read. Closing it removes what standard input was kept in.

    name: stem for the default run directory. source: the path as given. model: the flag's, else the manifest's, else
    the default one. run_options: the ``run:`` block, by flag name with ``_``. totals: what ``jobs`` came to, None until
    it is exhausted.
    """

    def __init__(
        self, path: str, source: Source, form: str, document: Document | None, overrides: Overrides, spool: Spool
    ) -> None:
        self.source = path
        self._source = source
        self._form = form
        self._document = document or Document(source.label, Problems())
        self._is_yaml = document is not None
        self._overrides = overrides
        self._spool = spool
        self._compiled: _Compiled | None = None
        self.is_remote = False  # a URL: then it names no files of this machine
        self.totals: Totals | None = None
        self.unchecked: frozenset[str] = frozenset()  # names that are inputs whatever the schema says
        self.contents: Contents | None = None  # looks into the files that inputs are; set by whoever can upload them
        whole = PurePath(os.path.abspath(path))  # noqa: PTH100  only its name is wanted
        stem = whole.name if form == "folder" else whole.stem
        self.name = "stdin" if path == "-" else word_path(stem) or "manifest"
        named = overrides.model or (document.model if document else None)
        self._model_is_named = named is not None
        self.model = named or (model_of(source.path) if form == "records" else None) or DEFAULT_MODEL
        self.run_options: Mapping[str, RunOption] = document.run if document else {}
        self.media = document.media if document else None  # where inputs that are files are uploaded to

    @property
    def path(self) -> str | None:
        """Where the manifest lies, from the root; None for standard input and for a URL."""
        return None if self.source == "-" or self.is_remote else word_path(os.path.abspath(self.source))  # noqa: PTH100

    @property
    def piped(self) -> str | None:
        """The hash of what came through a pipe, by which it can be told from another; None for a file or a URL."""
        return self._source.hash() if self._spool.is_used else None

    def __repr__(self) -> str:
        return f"<Loader of {self.source!r} as {self._form}, for {self.model}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Removes what standard input was kept in; nothing can be read after that. Closing it twice is fine."""
        self._spool.close()

    def digest(self, schema: ModelSchema | None, *, progress: Callable[[int], None] | None = None) -> str:
        """Hex, the same for the same jobs: over the bytes of every file that it names, flags and schema; ``--limit``
        only says how many of them. "" when something is wrong with it, which reading the jobs will say.

        progress: called now and then with the number of bytes read so far of a file.
        """
        compiled = self._compiled = self._compile(schema)
        if compiled.problems.total:
            return ""
        named = [(self._source, self._form), *compiled.files.opened.values()]
        try:
            files = [_hash(source, form, progress) for source, form in named]
            lists = compiled.dynamics.digests()
        except ManifestError:
            return ""
        its_schema = compiled.plan.model_inputs.schema
        mark: list[Any] | None = sorted(self.unchecked) or None
        if its_schema is not None:
            mark = [its_schema.fingerprint(), sorted(its_schema.media_inputs)]
        facts = [EXPANSION_VERSION, self.source, self.model, self._flags(), self._form, files, lists, mark]
        return blake2b(canonical_json(facts).encode(errors="surrogateescape"), digest_size=16).hexdigest()

    def jobs(
        self,
        schema: ModelSchema | None,
        *,
        limit: int | None = None,
        copies: Copies | None = None,
        progress: Callable[[int], None] | None = None,
        lenient: bool = False,
    ) -> Iterator[Job]:
        """The jobs in manifest order, each row checked as it is read. Every file is read once.

        schema: None when the model's is not to be had, which its asker warns of: names and values then go unchecked.
        limit: only so many jobs; files are read no further than they need.
        copies: of keys as first copies, in order, the number of the occurrence that each is (1, 2, ...); by default
        they are counted in memory. progress: called now and then with the number of prompts read so far.
        lenient: what is right by the letter and can hardly be meant is a warning, for a plan, and no error.

        Raises ManifestError at the end, with everything that is wrong: what was made of the jobs until then is to be
        undone. Raises UsageError for flags at the beginning.
        """
        compiled, self._compiled = self._compiled, None
        if compiled is None or compiled.schema is not schema:
            compiled = self._compile(schema)
        plan, problems = compiled.plan, compiled.problems
        walk = Walk(plan, problems, limit=limit, copies=copies, progress=progress)
        yield from walk.jobs()
        final_checks(plan, walk, problems)
        problems.raise_if_any(lenient=lenient)
        self.totals = Totals(
            model=self.model,
            prompts=walk.prompts,
            texts=walk.texts,
            jobs=walk.planned,
            whole=walk.whole if walk.counted_all else None,
            axes=merged(share.axes for share in walk.shares),
            shares=tuple(walk.shares),
            warnings=(*map(str, problems.doubts), *problems.warnings, *plan.model_inputs.warnings),
            columns=plan.model_inputs.seen,
        )

    def _compile(self, schema: ModelSchema | None) -> _Compiled:
        """Raises UsageError."""
        problems = self._document.problems.copy()
        document = replace(self._document, problems=problems)
        parts = groups_of(document) if self._is_yaml else [document]
        holders = [document, *parts] if self._is_yaml else []
        prompt_input = self._overrides.prompt_input or self._document.prompt_input
        names = [*named_inputs(holders, self._overrides), *self.unchecked]
        only = None if self._model_is_named else self.model
        files = MediaFiles(self._base(), self.contents)
        model_inputs = ModelInputs(schema, names, only, prompt_input, files)
        if schema is not None and model_inputs.schema is None:
            model_inputs.warn(f"the schema of {word(self.model)} names no inputs: names and values were not checked")
        if prompt_input is not None and not model_inputs.knows("prompt"):
            self._refuse_prompt_input(prompt_input, model_inputs, problems)
        flat = None if self._is_yaml else (self._source, self._form)
        texts, dynamics = NamedFiles(self._base()), Dynamics(document, model_inputs, self._base())
        plan = Compiler(document, parts, texts, flat, self._overrides, model_inputs, dynamics).plan(self.model)
        return _Compiled(schema, plan, problems, dynamics, texts)

    def _refuse_prompt_input(self, name: str, model_inputs: ModelInputs, problems: Problems) -> None:
        what, mend = (
            f"the model has no input `{word(name)}`",
            suggestion(name, model_inputs.schema.inputs if model_inputs.schema else COMMON),
        )
        if self._overrides.prompt_input is not None:
            raise bad_flag(f"--prompt-input {word(name)}: {what}", mend)
        node = self._document.sections["prompt_input"]
        problems.add(self._source.label, node.line, node.column, what, mend)

    def _base(self) -> str | None:
        """The folder that file names are relative to; None for a URL."""
        if self.is_remote:
            return None
        return "" if self.source == "-" else os.path.dirname(self.source)  # noqa: PTH120

    def _flags(self) -> dict[str, Any]:
        """All that shape the jobs; ``--limit`` only says how many of them."""
        return {name: getattr(self._overrides, name) for name in Overrides.__slots__ if name != "limit"}


def _hash(source: Source, form: str, progress: Callable[[int], None] | None) -> str:
    """Raises ManifestError."""
    return hash_of_folder(source) if form == "folder" else source.hash(progress)
