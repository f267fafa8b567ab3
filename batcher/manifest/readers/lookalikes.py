"""Finds out whether a text file of prompts is another format: each of its lines would be paid for as a prompt.

It looks at all lines before it decides. One line alone says little: a prompt may be JSON, or begin with a dash.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from batcher.core.suggest import fold_name
from batcher.manifest.readers.special_columns import PROMPTS, kind_of_name, text_columns

MIDJOURNEY = (
    "v", "no", "q", "iw", "cw", "sw", "niji", "style", "stylize", "chaos", "weird", "tile", "raw", "sref", "cref",
    "stop", "quality", "version", "fast", "relax", "draft",
)  # fmt: skip
# Options of other tools: names, what messages call them, the way out. The first tool with an option in the file wins.
_TOOLS = {
    "a1111": (
        "prompt|negative_prompt|width|height|steps|cfg_scale|sampler_name|sampler_index|batch_size|n_iter|styles",
        "options as A1111 reads them", "--format a1111 reads them",
    ),
    "mj": (
        "|".join(MIDJOURNEY),
        "options as Midjourney reads them", "--format kohya reads --ar, --neg and --seed; remove the others",
    ),
    "kohya": (
        "n|w|h|d|l|g|ss|t|nl|am|ow|oh|neg|ar|aspect|seed",
        "options as kohya reads them", "--format kohya reads them",
    ),
}  # fmt: skip
_OPTION = re.compile(
    rf"(?:^|\s)--(?:{'|'.join(f'(?P<{tool}>{names})' for tool, (names, *_) in _TOOLS.items())})(?=[\s=]|$)"
)
_KEYS = "model|defaults|dynamic|prompts|groups|matrix|zip|output|run"
_CSV = "give a table (CSV) with the columns"


class _Kind(NamedTuple):
    """One kind of line that is not a prompt.

    pattern: regular expression of the beginning of such a line. words, mend: what messages call it, and the way out.
    least: number of such lines that make the file this format. Where it is more than 1, they must be half of all lines.
    top: number of lines from which a file is this format when its first line is of this kind; 0: of no such file.
    """

    pattern: str
    words: str
    mend: str
    least: int = 1
    top: int = 0


_KINDS = {
    "imagine": _Kind(r"/imagine\b", "Midjourney's commands",
        "remove `/imagine prompt:`; --format kohya reads --ar, --neg and --seed"),
    "rule": _Kind(r"(-{3,}|={3,}|_{3,}|\*{3,}|~{3,})\Z", "lines that separate blocks",
        "give one prompt a line, or one file a prompt in a folder"),
    "bars": _Kind(r".*\|\|", "prompts separated by ||", "give one prompt a line"),
    "fence": _Kind(r"```", "a block of code in Markdown", "remove the lines with ```"),
    "block": _Kind(r"(?i:(positive|negative)( prompt)?\s*:)", "blocks of positive and negative prompts",
        f"{_CSV} prompt and negative_prompt"),
    "infotext": _Kind(r"Steps: [0-9]+, ", "the infotext of an image",
        f"keep only its prompt, or {_CSV} prompt and negative_prompt"),
    "chat": _Kind(r"(?i:(sure|certainly|of course|here (are|is)|here's)\b.{0,120}\bprompts?\b.{0,60}:\Z)",
        "the words of an assistant before its list", "remove that line"),
    "page": _Kind(r"(?i:<!doctype|<html|<\?xml)", "a page of HTML or XML", "give its prompts alone, one a line"),
    "yaml": _Kind(rf"({_KEYS}):(\s|\Z)", "YAML", "--format yaml reads a manifest", least=2),
    "labelled": _Kind(r"(?i:prompt( ?[0-9]{1,4})?\s*:\s*\S)", "the word `prompt:` before each prompt",
        "remove it: sed -E 's/^ *[Pp]rompt ?[0-9]* *: *//'", least=2),
    "quoted": _Kind(r'"[^"]+",?\Z', "prompts in quotes",
        """remove the quotes: sed -E 's/^ *"(.*)",? *$/\\1/'""", least=3),
    "cells": _Kind(r"[^\t]+\t+[^\t]|.*[;|]\s*[0-9]{1,19}(\s*[:x]\s*[0-9]{1,4})?\Z",
        "rows of a table without a header",
        "put the names of its columns into a first line, and add --format csv (or tsv)", least=3),
    "addresses": _Kind(r"(?i:https?://\S+\Z)", "addresses instead of prompts",
        f"{_CSV} prompt and that of the model's input", least=2),
    "captioned": _Kind(r"(?i:\S{1,200}\.(png|jpe?g|webp)[\"']?\s*[:,|])", "names of images before their captions",
        f"{_CSV} id and prompt", least=2),
    "markup": _Kind(r"(?i:<[a-z]{2,20}>.*</[a-z]{2,20}>\Z)", "markup", "remove it: sed -E 's/<[^>]*>//g'", least=2),
    "json": _Kind(r'[{\[]\s*("[^"]{1,60}"\s*:|[{"])', "JSON",
        "--format jsonl reads one JSON value a line, --format json a list (--format records, those of a run)",
        least=2, top=1),
    "table": _Kind(r"\|.*\|\Z", "a table in Markdown", "give the table as CSV", least=2),
    "heading": _Kind(r"(#{1,6}|//)\s", "headings or comments", "remove the lines with #", least=3, top=2),
    "numbered": _Kind(r"(\*\*)?[0-9]{1,4}[.)](\*\*)?\s", "a numbered list",
        "remove the numbers: sed -E 's/^[0-9]+[.)] //'", least=2),
    "list": _Kind(r"[-*\u2022]\s", "a list with dashes", "remove the dashes: sed -E 's/^[-*] //'", least=2),
}  # fmt: skip
_ANY = re.compile("|".join(f"(?P<{name}>{kind.pattern})" for name, kind in _KINDS.items()))
_SIGNS = re.compile(r"[|:;\t]|\.(?:png|jpe?g|webp)")  # a line that begins with a letter and has none is a prompt
_LONGEST = 2_000  # characters of a line to look at
_FLAG = "--format txt sends the lines unchanged"


class Lookalikes:
    """Looks at the lines of one file in order, and says at the end which other format they are.

    takes_files: whether the model takes files in the place of prompts. A line may then be an address or a file name.
    """

    def __init__(self, *, takes_files: bool = False) -> None:
        self._takes_files = takes_files
        self._lines = 0  # that are not blank
        self._first: dict[str, int] = {}  # line number of the first line of each kind
        self._many: Counter[str] = Counter()  # lines of each kind
        self._options: set[str] = set()
        self._header: tuple[str, str] | None = None

    def see(self, text: str, line: int) -> None:
        """Look at one line. text: not blank. line: its number, from 1."""
        stripped = text[:_LONGEST].strip() or "-"
        self._lines += 1
        if self._lines == 1:
            self._header = table_header(stripped)
        for match in _OPTION.finditer(stripped) if "--" in stripped else ():
            self._first.setdefault("options", line)
            self._options.update(name for name in match.groupdict() if match[name])
        first = stripped[0]
        if first.isalnum() and not first.isdigit() and not _SIGNS.search(stripped):
            return  # nearly all prompts: nothing below looks like them
        if (alike := _ANY.match(stripped)) and (name := alike.lastgroup) and self._counts(name, stripped):
            self._first.setdefault(name, line)
            # `prompts:` above a block, or `[` behind it, is no prompt. `model: a woman in red` may be one.
            self._many[name] += 2 if name == "yaml" and stripped[-1] in ":]}|>" else 1

    def _counts(self, name: str, text: str) -> bool:
        if name in {"addresses", "captioned"}:
            return not self._takes_files
        if name in {"yaml", "chat"}:
            return self._lines == 1 or name in self._many
        return name != "json" or _is_json(text)

    def likeness(self) -> tuple[int, str, str] | None:
        """Line, what is wrong and how to fix it, for the first line that shows another format; None without one."""
        if self._header is not None:
            form, words = self._header
            what = f"its first line is the header of a table ({words}), and each line is read as a prompt"
            return 1, what, f"--format {form} reads its columns; {_FLAG}"
        if "options" in self._first:
            line = self._first["options"]
            _, words, mend = _TOOLS[next(tool for tool in _TOOLS if tool in self._options)]
        else:
            certain = [(self._first[name], name) for name in self._many if self._is_certain(name)]
            if not certain:
                return None
            line, name = min(certain)
            _, words, mend, *_ = _KINDS[name]
        return line, f"it has {words} in it, and each line is read as a prompt", f"{mend}; {_FLAG}"

    def _is_certain(self, name: str) -> bool:
        kind, many = _KINDS[name], self._many[name]
        if kind.top:
            return many >= kind.least or (self._first[name] == 1 and self._lines >= kind.top)
        return many >= kind.least and (kind.least == 1 or name == "yaml" or 2 * many >= self._lines)


def table_header(line: str) -> tuple[str, str] | None:
    """The format and the columns, where a line is the header of a table of prompts."""
    if fold_name(line.strip('"')) in PROMPTS:
        return "csv", line.strip('"')
    for separator, form in ((",", "csv"), (";", "csv"), ("\t", "tsv"), ("|", "csv")):
        cells = [cell.strip().strip('"') for cell in line.strip("|").split(separator)]
        if len(cells) > 1 and _are_names(cells) and (PROMPTS & set(map(fold_name, cells)) or _are_known(cells)):
            return form, ", ".join(cells[:6])
    return None


def _are_known(cells: Sequence[str]) -> bool:
    """Whether all are names of columns as people have them, one of them that of a text: ``id,caption,seed``."""
    texts = [cell for cell in cells if text_columns([cell])]
    others = [cell for cell in cells if fold_name(cell) == "id" or kind_of_name(cell)]
    return bool(texts and others) and len(texts) + len(others) == len(cells)


def _are_names(cells: Sequence[str]) -> bool:
    return len(set(cells)) == len(cells) and all(len(cell) <= 30 and len(cell.split()) <= 3 for cell in cells)


def _is_json(text: str) -> bool:
    """Whether it is a JSON object or list with a name or a text in it, whole or the beginning of one."""
    if text.rstrip("-").endswith(("{", "[", ",")) or len(text) < 3:
        return True
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict | list) and bool(value) and not text[end:].strip(" ,-")
