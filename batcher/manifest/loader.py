"""From a path to jobs, in two steps, as a schema can't be fetched before its model is known.

``open_manifest`` finds the file and its format, and parses YAML (``yaml/document.py``). The ``Loader`` that it returns
knows the model. Given the model's schema, ``Loader.jobs`` does the rest:

1. ``_plan`` compares the manifest's sections and the flags with the schema (``plan.py``).
2. ``Walk.jobs`` reads the prompts: file -> reader -> row -> checks -> sweep -> jobs (``walk.py``).
3. ``final_checks`` looks at what only the whole shows, and everything that is wrong is raised as one ManifestError.
4. ``Loader.totals`` has the numbers of the reading.

``Loader.digest`` says beforehand whether ``jobs`` would make the same jobs as another time.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from hashlib import blake2b
from pathlib import PurePath, PurePosixPath
from types import TracebackType
from typing import Any, BinaryIO, Self
from urllib.parse import unquote, urlsplit

from batcher.core.errors import ManifestError
from batcher.core.job import Job, canonical_json
from batcher.core.suggest import printable, quoted, suggestion
from batcher.manifest.final_checks import final_checks
from batcher.manifest.flags import Overrides, bad_flag
from batcher.manifest.plan import Compiler, Plan
from batcher.manifest.problems import Problems
from batcher.manifest.readers.formats import FORMATS, format_of
from batcher.manifest.readers.json.records import model_of
from batcher.manifest.readers.source import Source, Spool
from batcher.manifest.readers.texts import hash_of_folder
from batcher.manifest.schema import DEFAULT_MODEL, ModelSchema
from batcher.manifest.schema.input import COMMON
from batcher.manifest.schema.inputs import ModelInputs
from batcher.manifest.schema.media_files import Contents, MediaFiles
from batcher.manifest.sweep.counts import merged
from batcher.manifest.totals import Totals
from batcher.manifest.walk import Copies, Walk
from batcher.manifest.yaml.document import Document, RunOption, read_document
from batcher.manifest.yaml.groups import groups_of
from batcher.manifest.yaml.named import NamedFiles, printable_path

EXPANSION_VERSION = 2  # goes up when the same manifest would make other jobs


def open_manifest(
    path: str, overrides: Overrides, *, stdin: BinaryIO | None = None, fetched: str | None = None
) -> "Loader":
    """Reads a manifest as far as it goes without a schema: a YAML file whole, another file not at all.

    path: of a file or a folder; ``-`` for standard input; a URL. fetched: the file with its bytes, where that is
    another, as for a URL. Raises ManifestError for what can't be read, UsageError for flags that make no sense.
    """
    form = overrides.named_format()
    overrides.axes_as_text()
    spool = Spool()
    try:
        if fetched is not None:
            source = Source(fetched, printable_path(path))
        elif path == "-":
            source, form = Source(spool.keep(stdin or sys.stdin.buffer), "<stdin>"), form or "txt"
        else:
            source = Source(spool.keep_pipe(path), printable_path(path))
        form = form or format_of(fetched or path)
        if form == "folder" and not os.path.isdir(fetched or path):  # noqa: PTH112  a text, which may be odd
            raise source.failure("is not a folder", "give a folder of .txt files, or another --format")
        if not os.path.exists(source.path):  # noqa: PTH110
            raise source.failure("there is no such file", "check the path and the working directory")
        if form is None:
            raise source.failure("its name does not show its format", f"add --format with one of {', '.join(FORMATS)}")
        return Loader(path, source, form, overrides, spool, is_remote=fetched is not None and "://" in path)
    except BaseException:
        spool.close()
        raise


def name_of_url(url: str) -> str:
    """The stem of the default run directory of a manifest that is a URL."""
    parts = urlsplit(url)
    stem = PurePosixPath(unquote(parts.path)).stem.strip(". ")
    return printable_path(stem) or parts.netloc.partition(":")[0] or "manifest"


class Loader:
    """A manifest whose syntax has been read. Closing it removes the temporary file of standard input.

    path: as given. source: its file. form: its format. overrides: the flags. spool: keeps standard input.
    is_remote: whether it comes from a URL; then it may name no files of this machine.

    ``name``: stem of the default run directory. ``model``: that of the flag, else of the manifest, else the default.
    ``run_options``: the ``run:`` block, by flag name with ``_``. ``media``: the bucket for files that are inputs.
    ``totals``: what ``jobs`` came to, None until it is exhausted. To be set before ``jobs``: ``unchecked``, names that
    are inputs whatever the schema says; ``contents``, which looks into the files that inputs are.

    Raises ManifestError where YAML can't be read, and where its model can't: then with all else that is wrong.
    """

    def __init__(
        self, path: str, source: Source, form: str, overrides: Overrides, spool: Spool, *, is_remote: bool
    ) -> None:
        self.source = path
        self._source, self._form, self._overrides = source, form, overrides
        self._spool, self._is_remote = spool, is_remote
        self._document = read_document(source) if form == "yaml" else Document(source.label, Problems())
        self._kept: tuple[ModelSchema | None, Plan] | None = None  # from ``digest`` to ``jobs``
        self.totals: Totals | None = None
        self.unchecked: frozenset[str] = frozenset()
        self.contents: Contents | None = None
        self.run_options: Mapping[str, RunOption] = self._document.run
        self.media = self._document.media
        self.name = "stdin" if path == "-" else name_of_url(path) if is_remote else self._stem()
        named = overrides.model or self._document.model
        self._model_is_named = named is not None
        self.model = named or (model_of(source.path) if form == "records" else None) or DEFAULT_MODEL
        if self._document.model is None and "model" in self._document.sections:
            for _ in self.jobs(None):
                pass

    def _stem(self) -> str:
        whole = PurePath(os.path.abspath(self.source))  # noqa: PTH100  only its name is wanted
        return printable_path(whole.name if self._form == "folder" else whole.stem) or "manifest"

    @property
    def path(self) -> str | None:
        """The absolute path of the manifest; None for standard input and for a URL."""
        return None if self.source == "-" or self._is_remote else printable_path(os.path.abspath(self.source))  # noqa: PTH100

    @property
    def piped(self) -> str | None:
        """The hash of what came through a pipe, which tells it from another; None for a file or a URL."""
        return self._source.hash() if self._spool.is_used else None

    def __repr__(self) -> str:
        return f"<Loader of {self.source!r} as {self._form}, for {self.model}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Removes the copy of standard input; nothing can be read after that. Closing twice is fine."""
        self._spool.close()

    def digest(self, schema: ModelSchema | None, *, progress: Callable[[int], None] | None = None) -> str:
        """Hex, the same for the same jobs: over the bytes of every file that it names, the flags and the schema. The
        flag ``--limit`` does not count. "" when something is wrong: then ``jobs`` raises it.

        progress: called now and then with the number of bytes read so far of a file.
        """
        plan = self._plan(schema)
        self._kept = schema, plan
        if plan.problems.total:
            return ""
        named = [(self._source, self._form), *plan.files.opened.values()]
        try:
            files = [hash_of_folder(file) if form == "folder" else file.hash(progress) for file, form in named]
            lists = plan.files.digests()
        except ManifestError:
            return ""
        checked = plan.model_inputs.schema
        inputs: list[Any] | None = sorted(self.unchecked) or None
        if checked is not None:
            inputs = [checked.fingerprint(), sorted(checked.media_inputs)]
        flags = {name: getattr(self._overrides, name) for name in Overrides.__slots__ if name != "limit"}
        facts = [EXPANSION_VERSION, self.source, self.model, flags, self._form, files, lists, inputs]
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

        schema: of the model; None where there is none, of which the caller warns: names and values go unchecked.
        limit: the most jobs; files are read no further than they need.
        copies: gives for keys as first copies, in order, the number of the occurrence that each is (1, 2, ...); by
        default they are counted in memory. progress: called now and then with the number of prompts read so far.
        lenient: what is right by the letter and can hardly be meant is a warning, for a plan, and no error.

        Raises UsageError for flags at the beginning, and ManifestError at the end, with everything that is wrong: the
        caller undoes what it did with the jobs until then.
        """
        kept, self._kept = self._kept, None
        plan = kept[1] if kept is not None and kept[0] is schema else self._plan(schema)
        walk = Walk(plan, limit=limit, copies=copies, progress=progress)
        yield from walk.jobs()
        final_checks(plan, walk)
        plan.problems.raise_if_any(lenient=lenient)
        self.totals = Totals(
            model=self.model,
            prompts=walk.prompts,
            texts=walk.texts,
            jobs=walk.planned,
            whole=walk.whole if walk.counted_all else None,
            axes=merged(share.axes for share in walk.shares),
            shares=tuple(walk.shares),
            warnings=(*map(str, plan.problems.doubts), *plan.problems.warnings, *plan.model_inputs.warnings),
            columns=plan.model_inputs.seen,
            prompt_input=plan.model_inputs.prompt,
        )

    def _plan(self, schema: ModelSchema | None) -> Plan:
        """Raises UsageError."""
        document = replace(self._document, problems=deepcopy(self._document.problems))
        parts = groups_of(document)
        base = None if self._is_remote else "" if self.source == "-" else os.path.dirname(self.source)  # noqa: PTH120
        prompt_input = self._overrides.prompt_input or document.prompt_input
        sections = [part.sections.get(name) for part in (document, *parts) for name in ("defaults", "matrix", "zip")]
        keys = (key for node in sections if node is not None for key in node.pairs if key != "repeat")
        named = [*self._overrides.names(), *keys, *self.unchecked]  # without a schema, these are inputs of the model
        only = None if self._model_is_named else self.model
        model_inputs = ModelInputs(schema, named, only, prompt_input, MediaFiles(base, self.contents))
        if schema is not None and model_inputs.schema is None:
            what = f"the schema of {printable(self.model)} names no inputs"
            model_inputs.warn(f"{what}: names and values were not checked")
        if prompt_input is not None and not model_inputs.knows("prompt"):
            self._refuse_prompt_input(prompt_input, model_inputs, document)
        flat = None if self._form == "yaml" else (self._source, self._form)
        files = NamedFiles(base)
        return Compiler(document, parts, files, flat, self._overrides, model_inputs).plan(self.model)

    def _refuse_prompt_input(self, name: str, model_inputs: ModelInputs, document: Document) -> None:
        what = f"the model has no input {quoted(name)}"
        mend = suggestion(name, model_inputs.schema.inputs if model_inputs.schema else COMMON)
        if self._overrides.prompt_input is not None:
            raise bad_flag(f"--prompt-input {printable(name)}: {what}", mend)
        document.add(document.sections["prompt_input"], what, mend)
