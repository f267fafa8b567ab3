"""``prompts:`` of a YAML manifest: strings, mappings, and files with what they carry for all of their prompts."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

from batcher.core.suggest import printable, quoted
from batcher.manifest.problems import Problems
from batcher.manifest.readers import leftovers
from batcher.manifest.readers.formats import format_of, reader
from batcher.manifest.readers.reading import Reading
from batcher.manifest.readers.rows import Carried, Row
from batcher.manifest.readers.source import Source
from batcher.manifest.readers.special_columns import SpecialColumns, suggested_input
from batcher.manifest.schema.inputs import ModelInputs
from batcher.manifest.schema.words import shown
from batcher.manifest.sweep.repeats import Repeat, Repeats
from batcher.manifest.templates.dynamic import Dynamic
from batcher.manifest.yaml.document import kind_of, text_of
from batcher.manifest.yaml.sections import Sections
from batcher.manifest.yaml.tree import Node
from batcher.manifest.yaml.var_texts import VarTexts

_PROMPT_KEYS = ("prompt", "id", "meta", "vars", "repeat", "dynamic")
_CURLY = "\u201c\u201d\u201e\u2018\u2019"
_FILE = re.compile(r"[^\s{}|]{1,200}\.(txt|csv|tsv|jsonl?|ndjson|ya?ml|parquet|xlsx?)", re.IGNORECASE)
_NO_BLANK = re.compile(r"(prompt|file|seed|aspect_ratio|negative_prompt|id|vars|repeat|format|prompt_column):\S")
_FILE_KEYS = ("file", "prompt_column", "format", "meta", "vars", "repeat", "dynamic")


class Inline:
    """Prompts that stand in the manifest itself; held in memory, as the manifest is."""

    def __init__(self) -> None:
        self.held: list[Row] = []

    def place(self, row: Row, name: str) -> tuple[str, int, int]:
        line, column = row.raw.get(name, row.raw[""])
        return row.source, line, column


@dataclass(frozen=True, slots=True)
class FromFile:
    """Prompts of one file.

    source: the file. form: its format. carried: what each of its prompts gets. prompt_column: None for ``prompt``.
    dynamic: how its prompts are expanded, None for no templates. is_named: whether the user named the format. repeats:
    reads a number of copies.
    """

    source: Source
    form: str
    carried: Carried
    prompt_column: str | None
    dynamic: Dynamic | None
    is_named: bool
    repeats: Repeats

    @property
    def templates(self) -> Dynamic | None:
        """How its prompts are expanded, None for no templates. What a run sent is sent again unchanged."""
        return None if self.form == "records" else self.dynamic

    def rows(self, model: str, model_inputs: ModelInputs, problems: Problems) -> Iterator[Row]:
        """Its prompts in order. Raises ManifestError where reading ends."""
        is_named = self.is_named or self.dynamic is not None  # templates may look like another format
        special = SpecialColumns(model, model_inputs, self.repeats)
        reading = Reading(model_inputs, problems, self.carried, self.prompt_column, is_named, special)
        rows = reader(self.source, self.form, reading).rows()
        if self.form in leftovers.FORMATS and not is_named:
            rows = leftovers.Leftovers(self.form, reading).among(rows)
        dynamic = self.templates
        return rows if dynamic is None else (row for row in rows if dynamic.expand(row, model_inputs, problems))


Entry = Inline | FromFile


@dataclass(frozen=True, slots=True)
class Entries(Sections):
    """Reads the ``prompts`` section of a document.

    prompt_column: of files that name none. repeats: reads a number of copies. copies: of prompts and files that name
    none. outer: how those are expanded that do not say it. aside: columns of all files that are plain metadata.
    """

    prompt_column: str | None
    repeats: Repeats
    copies: Repeat | None
    outer: Dynamic | None
    aside: frozenset[str]

    @property
    def _takes_files(self) -> bool:
        return self.model_inputs.of("prompt").takes is not None

    def read(self) -> list[Entry]:
        """The entries in order. What is wrong goes to the document's problems."""
        if (node := self.document.section("prompts")) is None:
            self._no_prompts()
            return []
        if node.kind == "list" and not node.items:
            self.document.add(node, "`prompts` is empty", "list at least one")
            return []
        if node.kind == "text" and (lines := max(node.lines, node.text.strip().count("\n") + 1)) > 1:
            mend = f"write `- ` before each line to make it {lines} prompts"
            self.document.warn(node, f"`prompts` is one prompt of {lines} lines; {mend}")
        entries: list[Entry] = []
        for item in node.items if node.kind == "list" else [node]:
            if item.kind == "mapping" and "file" in item.pairs and not self._is_media(item):
                entry = self._file(item)
                entries += [entry] if entry else []
                continue
            last = entries[-1] if entries else None
            if not isinstance(last, Inline):
                entries.append(last := Inline())
            row = self._prompt(item, last)
            last.held += [row] if row and self._expands(row, item) else []
        return entries

    def _is_media(self, node: Node) -> bool:
        """Whether ``{file: cat.png}`` is a file that the model takes in the place of a prompt."""
        if node.pairs.keys() != {"file"} or not self._takes_files:
            return False
        named = node.pairs["file"][1]
        return named.kind == "text" and format_of(named.text) is None

    def _no_prompts(self) -> None:
        if self.document.place is None:
            self.document.problems.add(self.document.label, 1, 1, "there are no prompts", "add a `prompts:` list")
        elif self.document.group and self.document.place.pairs:  # an empty group has a problem already
            what = f"there are no prompts for the group `{self.document.group}`"
            self.document.add(self.document.place, what, "add a `prompts:` list to it, or one for all at the top")

    def _prompt(self, node: Node, inline: Inline) -> Row | None:
        label, here = self.document.label, node.place
        if node.kind == "text" or self._is_media(node):
            self._check_keys(node)
            places = {"": here, "prompt": here}
            return Row(label, node.line, {"prompt": node.value()}, None, {}, {}, inline, places, self.copies)
        if node.kind != "mapping":
            self._not_a_prompt(node)
            return None
        before = self.document.problems.total
        places = {"": here, **{name: value.place for name, (_, value) in node.pairs.items()}}
        row = Row(label, node.line, {}, None, {}, {}, inline, places, self.copies)
        for name, (key, value) in node.pairs.items():
            self._prompt_key(row, name, key, value)
        # Without a prompt there is a problem already, or one to come: one of them says enough.
        return row if "prompt" in row.inputs or self.document.problems.total == before else None

    def _expands(self, row: Row, node: Node) -> bool:
        """Expands the prompt of a row where it is a template; False with a problem."""
        own = node.get("dynamic") if self.model_inputs.is_key("dynamic", "dynamic") else None
        dynamic = self.dynamic_of(own, self.outer) if own else self.outer
        return dynamic is None or dynamic.expand(row, self.model_inputs, self.document.problems)

    def _prompt_key(self, row: Row, name: str, key: Node, value: Node) -> None:
        if name in {"prompt", self.model_inputs.prompt}:
            if value.kind == "text" or (self._takes_files and value.pairs.keys() == {"file"}):
                self._check_keys(value)
                row.inputs["prompt"] = value.value()
            else:
                self._not_a_prompt(value)
        elif name == "id":
            row.id = text_of(self.document, value, "`id`") if value.kind != "integer" else value.text
        elif name == "meta":
            row.meta = self._meta(value)
        elif name == "vars":
            row.vars = VarTexts(self.document, self.files).read(value, row.raw)
        elif self.model_inputs.is_key(name, "repeat"):
            row.repeat = self._copies(key, value, row.raw)
        elif not self.model_inputs.is_key(name, "dynamic") and self._is_input(name, key, _PROMPT_KEYS):
            self.value_into(row.inputs, name, value)

    def _copies(self, key: Node, value: Node, names: Collection[str]) -> Repeat | None:
        """The number of copies. names: of the keys beside it."""
        if "seed" in names:
            self.document.add(key, "`repeat` beside `seed`: each copy would need its own", "keep one of them")
        return self.repeat_of(value, self.repeats)

    def _check_keys(self, node: Node) -> None:
        """Warns of a prompt that is plainly something else: a file name, a key without a space after its colon."""
        if self._takes_files:
            return
        text = node.text
        if _FILE.fullmatch(text) and not text.startswith(("http:", "https:")):
            what = f"{shown(text)} is the name of a file, and is read as a prompt"
            mend = f"write {{file: {printable(text)}}} to read the prompts in it"
            if self.files.is_there(text):
                self.document.doubt(node, what, mend)
            else:
                self.document.warn(node, f"{what}; {mend}")
        elif not node.quoted and (match := _NO_BLANK.match(text)):
            what = f"{shown(text, 40)} is read as a prompt: a key has a space after its colon"
            self.document.doubt(node, what, f"write `{match[1]}: ...`, or put a prompt like this one in quotes")
        elif text and text[0] in _CURLY and text[-1] in _CURLY:
            what = "this prompt begins and ends with curly quotes, and is sent with them"
            self.document.warn(node, f"{what}; in YAML only \" and ' quote")

    def _not_a_prompt(self, node: Node) -> None:
        what = f"a prompt must be text, not {kind_of(node)}"
        if node.kind in {"list", "mapping"}:
            self.document.add(node, what, "put a prompt with brackets or braces at its beginning in quotes")
        elif not node.text:
            self.document.add(node, "a prompt is missing here", "write it out, or remove the entry")
        else:
            self.document.add(node, what, f'put it in quotes: "{printable(node.text)}"')

    def _is_input(self, name: str, key: Node, others: tuple[str, ...]) -> bool:
        if self.model_inputs.knows(name):
            return True
        mend = suggested_input(name, list(dict.fromkeys([*self.model_inputs.columns, *others])))
        if name[:1] in _CURLY:
            mend = 'its quotes are curly, and quote nothing: replace them by plain ones (")'
        elif " " in name.strip() and not mend.startswith("did you mean"):
            mend = "put a prompt with a colon in it in quotes"
        self.document.add(key, f"unknown key {quoted(name)}: the model has no such input", mend)
        return False

    def _meta(self, node: Node) -> dict[str, Any]:
        if node.kind == "null":
            return {}
        if node.kind != "mapping":
            self.document.add(node, f"`meta` must be a mapping, not {kind_of(node)}", "write {category: birds}")
            return {}
        return dict(node.value())

    def _file(self, node: Node) -> FromFile | None:
        places: dict[str, Any] = {}
        carried, dynamic = Carried(repeat=self.copies, aside=self.aside), self.outer
        options: dict[str, str] = {}
        for name, (key, value) in node.pairs.items():
            carried.places[name] = (self.document.label, *value.place)
            if name == "meta":
                # `meta: [model, width]` names columns that are plain metadata. A mapping is what each prompt gets.
                columns = {item.text for item in value.items if item.kind not in {"list", "mapping"}}
                carried = replace(carried, aside=carried.aside | columns)
                for item in [i for i in value.items if i.kind == "mapping"] if value.kind == "list" else [value]:
                    carried.meta.update(self._meta(item))
            elif name == "vars":
                carried.vars.update(VarTexts(self.document, self.files).read(value, places))
            elif self.model_inputs.is_key(name, "repeat"):
                carried = replace(carried, repeat=self._copies(key, value, node.pairs))
            elif name in {"file", "prompt_column", "format"}:
                text = text_of(self.document, value, f"`{name}`")
                options.update({name: text} if text is not None else {})
            elif self.model_inputs.is_key(name, "dynamic"):
                dynamic = self.dynamic_of(value, self.outer)
            elif name in {"prompt", "id"}:
                self.document.add(key, f"`{name}` beside `file`: each prompt of the file has its own", "remove it")
            elif self._is_input(name, key, _FILE_KEYS):
                self.value_into(carried.inputs, name, value)
        carried.places.update({name: (self.document.label, *place) for name, place in places.items()})
        file = self.files.find(self.document, node, options)
        column = options.get("prompt_column", self.prompt_column)
        return file and FromFile(*file, carried, column, dynamic, "format" in options, self.repeats)
