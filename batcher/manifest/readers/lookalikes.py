"""Whether a text file of prompts is plainly another format: each line a prompt would be paid for as one.

Told from all lines that were read, as a single line may be anything: a prompt may be JSON, or begin with a dash.
"""

import json
import re
from collections.abc import Sequence

from batcher.core.suggest import fold_name
from batcher.manifest.readers.meanings import kind_of_name, text_columns

_MIDJOURNEY = r"v|no|iw|cw|sw|niji|style|stylize|chaos|weird|tile|raw|sref|cref|stop|quality|version|fast|relax|draft"
_KOHYA = r"n|w|h|d|l|g|ss|t|nl|am|ow|oh|neg"
_A1111 = r"prompt|negative_prompt|width|height|steps|cfg_scale|sampler_name|sampler_index|batch_size|n_iter|styles"
_OPTION = re.compile(
    rf"(?:^|\s)--(?:(?P<mj>{_MIDJOURNEY})|(?P<a1111>{_A1111})|(?P<kohya>{_KOHYA})|ar|aspect|seed)(?=[\s=]|$)"
)
_KEYS = "model|defaults|dynamic|prompts|groups|matrix|zip|output|run"
_TABLE = "give a table (CSV) with the columns prompt and negative_prompt"
# By name: how a line of it looks, in words, how to go on. One line of these is enough, of the others there are several.
_Looks = dict[str, tuple[str, str, str]]
_KINDS: _Looks = {
    "imagine": (
        r"/imagine\b",
        "Midjourney's commands",
        "remove `/imagine prompt:`; --format kohya reads --ar, --neg and --seed",
    ),
    "rule": (
        r"(-{3,}|={3,}|_{3,}|\*{3,}|~{3,})\Z",
        "lines that separate blocks",
        "give one prompt a line, or one file a prompt in a folder",
    ),
    "bars": (r".*\|\|", "prompts separated by ||", "give one prompt a line"),
    "fence": (r"```", "a block of code in Markdown", "remove the lines with ```"),
    "block": (
        r"(?i:(positive|negative)( prompt)?\s*:)",
        "blocks of positive and negative prompts",
        _TABLE,
    ),
    "infotext": (r"Steps: [0-9]+, ", "the infotext of an image", f"keep only its prompt, or {_TABLE}"),
    "chat": (
        r"(?i:(sure|certainly|of course|here (are|is)|here's)\b.{0,120}\bprompts?\b.{0,60}:\Z)",
        "the words of an assistant before its list",
        "remove that line",
    ),
    "page": (r"(?i:<!doctype|<html|<\?xml)", "a page of HTML or XML", "give its prompts alone, one a line"),
    "yaml": (rf"({_KEYS}):(\s|\Z)", "YAML", "--format yaml reads a manifest"),
}
_SEVERAL: _Looks = {
    "labelled": (
        r"(?i:prompt( ?[0-9]{1,4})?\s*:\s*\S)",
        "the word `prompt:` before each prompt",
        "remove it: sed -E 's/^ *[Pp]rompt ?[0-9]* *: *//'",
    ),
    "quoted": (
        r'"[^"]+",?\Z',
        "prompts in quotes",
        """remove the quotes: sed -E 's/^ *"(.*)",? *$/\\1/'""",
    ),
    "cells": (
        r"[^\t]+\t+[^\t]|.*[;|]\s*[0-9]{1,19}(\s*[:x]\s*[0-9]{1,4})?\Z",
        "rows of a table without a header",
        "put the names of its columns into a first line, and add --format csv (or tsv)",
    ),
    "addresses": (
        r"(?i:https?://\S+\Z)",
        "addresses instead of prompts",
        "give a table (CSV) with the columns prompt and that of the model's input",
    ),
    "captioned": (
        r"(?i:\S{1,200}\.(png|jpe?g|webp)[\"']?\s*[:,|])",
        "names of images before their captions",
        "give a table (CSV) with the columns id and prompt",
    ),
    "markup": (
        r"(?i:<[a-z]{2,20}>.*</[a-z]{2,20}>\Z)",
        "markup",
        "remove it: sed -E 's/<[^>]*>//g'",
    ),
    "json": (
        r'[{\[]\s*("[^"]{1,60}"\s*:|[{"])',
        "JSON",
        "--format jsonl reads one JSON value a line, --format json a list (--format records, those of a run)",
    ),
    "table": (r"\|.*\|\Z", "a table in Markdown", "give the table as CSV"),
    "heading": (r"(#{1,6}|//)\s", "headings or comments", "remove the lines with #"),
    "numbered": (
        r"(\*\*)?[0-9]{1,4}[.)](\*\*)?\s",
        "a numbered list",
        "remove the numbers: sed -E 's/^[0-9]+[.)] //'",
    ),
    "list": (r"[-*\u2022]\s", "a list with dashes", "remove the dashes: sed -E 's/^[-*] //'"),
}
_ANY = re.compile("|".join(f"(?P<{name}>{pattern})" for name, (pattern, _, _) in (_KINDS | _SEVERAL).items()))
_SIGNS = re.compile(r"[|:;\t]|\.(?:png|jpe?g|webp)")  # a line that begins with a letter and has none is a prompt
_LONGEST = 2_000  # characters of a line that are looked at
_FLAG = "--format txt sends the lines unchanged"


class Lookalikes:
    """Looks at the lines of one file as they go by."""

    def __init__(self, *, takes_files: bool = False) -> None:
        self._lines = 0
        self._takes_files = takes_files  # in the place of prompts: then an address, or the name of a file, is one
        self._first: dict[str, int] = {}  # line of the first one of each kind
        self._many: dict[str, int] = {}
        self._options: set[str] = set()
        self._header: tuple[str, str] | None = None

    def see(self, text: str, line: int) -> None:
        """text: one that is not blank."""
        stripped = text[:_LONGEST].strip() or "-"
        self._lines += 1
        if self._lines == 1 and (form := table_header(stripped)):
            self._header = form
        for match in _OPTION.finditer(stripped) if "--" in stripped else ():
            self._count("options", line)
            self._options.update(name for name in match.groupdict() if match[name])
        first = stripped[0]
        if first.isalnum() and not first.isdigit() and not _SIGNS.search(stripped):
            return  # nearly all prompts: nothing below looks like them
        alike = _ANY.match(stripped)
        if alike is not None and alike.lastgroup and self._is_meant(alike.lastgroup, stripped):
            self._count(alike.lastgroup, line)

    def _is_meant(self, name: str, text: str) -> bool:
        if name in {"addresses", "captioned"} and self._takes_files:
            return False
        return _is_json(text) if name == "json" else name not in {"yaml", "chat"} or self._lines == 1

    def _count(self, name: str, line: int) -> None:
        self._first.setdefault(name, line)
        self._many[name] = self._many.get(name, 0) + 1

    def likeness(self) -> tuple[int, str, str] | None:
        """Line, what, and how to fix it, of the first that is plainly something else; None when nothing is."""
        if self._header is not None:
            form, words = self._header
            what = f"its first line is the header of a table ({words}), and each line is read as a prompt"
            return 1, what, f"--format {form} reads its columns; {_FLAG}"
        seen = [(self._first["options"], *self._of_options())] if "options" in self._many else []
        seen += [(self._first[name], *_KINDS[name][1:]) for name in _KINDS if name in self._many]
        seen += [(self._first[name], *_SEVERAL[name][1:]) for name in _SEVERAL if self._is_several(name)]
        if not seen:
            return None
        line, words, mend = seen[0] if "options" in self._many else min(seen)
        return line, f"it has {words} in it, and each line is read as a prompt", f"{mend}; {_FLAG}"

    def _is_several(self, name: str) -> bool:
        if name not in self._many:
            return False
        if name == "json":
            return self._first[name] == 1 or self._many[name] >= 2
        if name == "heading":
            return (self._first[name] == 1 and self._lines > 1) or self._many[name] >= 3
        return self._many[name] >= 2 and 2 * self._many[name] >= self._lines

    def _of_options(self) -> tuple[str, str]:
        if "a1111" in self._options:
            return "options as A1111 reads them", "--format a1111 reads them"
        if "mj" in self._options:
            return (
                "options as Midjourney reads them",
                "--format kohya reads --ar, --neg and --seed; remove the others",
            )
        return "options as kohya reads them", "--format kohya reads them"


def table_header(line: str) -> tuple[str, str] | None:
    """The format and the columns, where a line is the header of a table of prompts."""
    if fold_name(line.strip('"')) in {"prompt", "prompts"}:
        return "csv", line.strip('"')
    for separator, form in ((",", "csv"), (";", "csv"), ("\t", "tsv"), ("|", "csv")):
        cells = [cell.strip().strip('"') for cell in line.strip("|").split(separator)]
        if len(cells) > 1 and _are_names(cells) and (_has_prompts(cells) or _are_known(cells)):
            return form, ", ".join(cells[:6])
    return None


def _has_prompts(cells: Sequence[str]) -> bool:
    return any(fold_name(cell) in {"prompt", "prompts"} for cell in cells)


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
