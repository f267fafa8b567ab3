"""A YAML manifest before it is compared with a schema: which sections it has, and where."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from batcher.core.settings import PARSERS
from batcher.core.suggest import printable, quoted, suggestion
from batcher.manifest.problems import Problems
from batcher.manifest.readers.source import Source
from batcher.manifest.readers.special_columns import kind_of_name
from batcher.manifest.schema.input import COMMON
from batcher.manifest.yaml.tree import Node, read_tree

RUN_OPTIONS = tuple(PARSERS)
_TOP = (
    "model", "prompt_input", "media", "defaults", "dynamic", "prompts", "matrix", "zip", "exclude", "include", "groups",
    "output", "run",
)  # fmt: skip
_NO_BLANK = re.compile(r"[A-Za-z_]+:\S")
_LONGEST = 64 * 2**20  # characters of YAML: all of it is held, unlike the files it names


@dataclass(frozen=True, slots=True)
class RunOption:
    """One flag in the manifest (``media:``, and those of ``run:``): its text as written, its file, line and column."""

    text: str
    file: str
    line: int
    column: int


@dataclass(slots=True)
class Document:
    """A manifest, or one of its groups (``groups.py``).

    label: how messages name the file. problems: what is wrong so far. sections: the top-level values by name. model,
    prompt_input: as written, None where it is not. media, run: flags in the manifest, those of ``run:`` by name.
    template: the text of ``output.path`` and its node. group, place: name and node of a group. shares_prompts: whether
    a group uses the prompts of the whole manifest.
    """

    label: str
    problems: Problems
    sections: dict[str, Node] = field(default_factory=dict)
    model: str | None = None
    prompt_input: str | None = None
    media: RunOption | None = None
    run: dict[str, RunOption] = field(default_factory=dict)
    template: tuple[str, Node] | None = None
    group: str | None = None
    place: Node | None = None
    shares_prompts: bool = False

    def add(self, node: Node, what: str, mend: str, at: int | None = None) -> None:
        """Adds a problem. at: of which character of the node's text, from 0; None for all of it."""
        column = node.column if at is None else node.column + node.quoted + at
        self.problems.add(self.label, node.line, column, what, mend)

    def doubt(self, node: Node, what: str, mend: str) -> None:
        self.problems.doubt(self.label, *node.place, what, mend)

    def warn(self, node: Node, what: str) -> None:
        self.problems.warn(f"{self.label}:{node.line}:{node.column}: {what}")

    def section(self, name: str) -> Node | None:
        """A section that has something in it."""
        node = self.sections.get(name)
        return None if node is None or node.kind == "null" else node

    def mapping(self, node: Node, what: str, keys: Iterable[str] | None = None) -> dict[str, tuple[Node, Node]]:
        """Key and value by name. A node that is not a mapping, or a key that is not among ``keys``, is a problem."""
        if node.kind != "mapping":
            mend = "write `key: value` lines below it"
            if node.kind == "text" and _NO_BLANK.match(node.text):
                mend = f"put a space after the colon: {quoted(node.text.replace(':', ': ', 1))}"
            self.add(node, f"{what} must be a mapping, not {kind_of(node)}", mend)
            return {}
        if keys is None:
            return node.pairs
        names = list(keys)
        for name, (key, _) in node.pairs.items():
            if name not in names:
                self.add(key, f"unknown key {quoted(name)} in {what}", instead_of(name, names))
        return {name: pair for name, pair in node.pairs.items() if name in names}


def read_document(source: Source) -> Document:
    """Reads a manifest. Raises ManifestError for what is no YAML mapping; all else that is wrong is in ``problems``."""
    with source.text() as stream:
        text = stream.read(_LONGEST + 1)
        if len(text) > _LONGEST:
            raise source.failure("is too long for YAML", "put the prompts into a CSV, JSONL or text file")
    problems = Problems()
    root = read_tree(text, source, problems)
    if root is None or root.kind == "null":
        raise source.failure("is empty", "give it a `prompts:` list")
    if root.kind != "mapping":
        mend = "begin with `prompts:` and put the prompts below it; one prompt a line is --format txt"
        raise source.failure(f"a manifest is a mapping, not {kind_of(root)}", mend, *root.place)
    document = Document(source.label, problems)
    document.sections = {name: node for name, (_, node) in document.mapping(root, "the manifest", _TOP).items()}
    _read_model(document)
    _read_run(document)
    read_output(document)
    return document


def instead_of(name: str, names: Sequence[str]) -> str:
    """How to fix an unknown key. names: the keys that may stand in its place."""
    if "defaults" in names and name in {"vars", "meta"}:
        return f"put it beside the prompt, or the file, that it is for: {{prompt: ..., {name}: {{...}}}}"
    if "matrix" in names and (kind := kind_of_name(name)) in COMMON:
        return f"put `{kind}` into `matrix` for several values, or into `defaults`"
    if name == "prompt":
        return "write `prompts:`, with a list below it"
    of_jobs = name == "repeat" or name in COMMON
    return "put it into `defaults`" if of_jobs and "defaults" in names else suggestion(name, names)


def kind_of(node: Node) -> str:
    """What a node is, for messages: ``a list``, ``42 (read as a number)``."""
    if node.kind in {"list", "mapping", "text"}:
        return "text" if node.kind == "text" else f"a {node.kind}"
    return (
        "nothing" if node.kind == "null" and not node.text else f"{printable(node.text)} (read as {_KINDS[node.kind]})"
    )


_KINDS = {"integer": "a number", "number": "a number", "boolean": "true or false", "null": "nothing", "date": "a date"}


def text_of(document: Document, node: Node, what: str) -> str | None:
    """The text of a node; None with a problem for one that is empty or that YAML takes for another type."""
    if node.kind == "text" and node.text.strip():
        return node.text
    if node.kind == "text":
        document.add(node, f"{what} is empty", "write it out, or remove it")
    elif node.kind in {"list", "mapping"} or not node.text:
        document.add(node, f"{what} must be text, not {kind_of(node)}", "write it as text, in quotes")
    else:
        document.add(node, f"{what} must be text, not {kind_of(node)}", f'put it in quotes: "{printable(node.text)}"')
    return None


def _read_model(document: Document) -> None:
    if "model" in document.sections:
        document.model = text_of(document, document.sections["model"], "`model`")
    if "prompt_input" in document.sections:
        document.prompt_input = text_of(document, document.sections["prompt_input"], "`prompt_input`")
    if (node := document.sections.get("media")) is not None and (url := text_of(document, node, "`media`")):
        document.media = RunOption(url, document.label, *node.place)


def _read_run(document: Document) -> None:
    if (node := document.section("run")) is None:
        return
    for name, (key, value) in document.mapping(node, "`run`").items():
        option = name.replace("-", "_").lower()
        if option not in RUN_OPTIONS:
            document.add(key, f"unknown run option {quoted(name)}", suggestion(name, RUN_OPTIONS))
        elif option in document.run:
            document.add(key, f"the run option `{option}` appears twice", "keep one of them")
        elif value.kind in {"list", "mapping"} or not value.text:
            document.add(value, f"`{option}` needs one value, not {kind_of(value)}", "write it as on the command line")
        else:
            document.run[option] = RunOption(value.text, document.label, *value.place)


def read_output(document: Document) -> None:
    """Sets the template of a document from its ``output`` section."""
    if (node := document.section("output")) is None:
        return
    pairs = document.mapping(node, "`output`", ("path",))
    if "path" in pairs:
        text = text_of(document, pairs["path"][1], "`path`")
        document.template = (text, pairs["path"][1]) if text else None
