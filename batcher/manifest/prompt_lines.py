"""Lines with options, as other tools read them: asked for by name, and with every option understood or refused.

``a1111``: lines of "Prompts from file or textbox", split as a shell does: ``--prompt "a kite" --seed 7 --width 832``.
``kohya``: prompts of sd-scripts, ``a kite --n blurry --w 832 --h 1216 --d 7,8``; every seed is a prompt of its own, and
a line that begins with ``#`` is a comment. Both take ``--ar``, ``--neg`` and ``--seed`` as well. There, what a line
gets wrong becomes part of the prompt or is dropped; here it is an error, as its picture would be paid for.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import gcd, log
from typing import Any

from batcher.manifest.columns import word
from batcher.manifest.problems import suggestion
from batcher.manifest.rows import Reading, Row, Wanted
from batcher.manifest.source import Source
from batcher.models.words import shown

_STEPS, _SCALE = ("steps", "num_inference_steps"), ("cfg_scale", "guidance_scale", "cfg")
_BOTH = {"ar": ("aspect_ratio",), "neg": ("negative_prompt",), "seed": ("seed",)}
_ONLY_THERE = (
    *("batch_size", "do_not_save_grid", "do_not_save_samples", "n_iter", "outpath_grids", "outpath_samples"),
    *("prompt_for_display", "restore_faces", "sampler_index", "sampler_name", "sd_model", "seed_resize_from_h"),
    *("seed_resize_from_w", "styles", "subseed", "subseed_strength", "tiling"),
)
_LONG = {"--prompt", "--negative_prompt", "--neg"}  # their values go on to the next option
_A1111: dict[str, tuple[str, ...]] = {
    **_BOTH,
    **{name: (name,) for name in ("prompt", "negative_prompt", "width", "height")},
    **{name: (name,) for name in _ONLY_THERE},
    "steps": _STEPS,
    "cfg_scale": _SCALE,
}
_KOHYA: dict[str, tuple[str, ...]] = {
    **_BOTH,
    "n": ("negative_prompt",),
    "w": ("width",),
    "h": ("height",),
    "d": ("seed",),
    "s": _STEPS,
    "l": _SCALE,
    "g": ("guidance_scale",),
    **dict.fromkeys(("t", "nl", "am", "ow", "oh", "nw", "nh", "ct", "cl", "c", "f", "ss", "cn", "fs"), ()),
}
_OPTION = re.compile(r"(?:^|(?<=[ \t]))--")
_RATIO = re.compile(r"([1-9][0-9]{0,4}):([1-9][0-9]{0,4})")
_BLANKS = re.compile(r"[ \t\r\n]*")
_WORD = re.compile(r"""(?:[^ \t\r\n'"\\]++|\\.|'[^']*'|"(?:[^"\\]++|\\.)*+")++""")
_PIECE = re.compile(r"""([^'"\\]++)|\\(.)|'([^']*)'|"((?:[^"\\]++|\\.)*+)\"""")
_ESCAPED = re.compile(r"\\([\"\\])")
_PIXELS = re.compile(r"[1-9][0-9]{0,4}")
# Pixels of Imagen 4, which are its own idea of these ratios.
_TRUE_SIZES = {(1408, 768): "16:9", (1280, 896): "4:3", (896, 1280): "3:4", (768, 1408): "9:16"}


class _BadLine(Exception):  # noqa: N818  it says what the line is
    def __init__(self, column: int, what: str, mend: str) -> None:
        super().__init__(what)
        self.problem = (column, what, mend)


@dataclass(frozen=True, slots=True)
class _Given:
    """One option of a line. option: as it is written, empty for a prompt that needs none. column: where it begins."""

    option: str
    value: str
    column: int


class PromptLines:
    """``style`` is a1111 or kohya."""

    def __init__(self, source: Source, style: str, reading: Reading) -> None:
        self._source, self._reading = source, reading
        self._kohya = style == "kohya"
        self._known = _KOHYA if self._kohya else _A1111
        self._refused: set[str] = set()  # options: one message each, not one a line

    def rows(self, wanted: Wanted | None = None) -> Iterator[Row]:
        label, carried = self._source.label, self._reading.carried
        with self._source.text() as stream:
            for line, text in enumerate(stream, 1):
                if text.isspace() or self._is_comment(text):
                    continue
                try:
                    for own, places in self._prompts(text.rstrip(), line):
                        if not (wanted and wanted.passes()):
                            inputs, meta = {**carried.inputs, **own}, dict(carried.meta)
                            yield Row(label, line, inputs, None, meta, carried.vars, self, places, carried.repeat)
                except _BadLine as error:
                    self._reading.problems.add(label, line, *error.problem)

    def place(self, row: Row, name: str) -> tuple[str, int, int]:
        if name not in row.raw and name in self._reading.carried.places:
            return self._reading.carried.places[name]
        return row.source, row.line, row.raw.get(name, 1)

    def _is_comment(self, text: str) -> bool:
        if not (self._kohya and text.startswith("#")):
            return False
        self._reading.terms.warn(f"{self._source.label}: lines that begin with # are left out as comments, as there")
        return True

    def _prompts(self, text: str, line: int) -> Iterator[tuple[dict[str, Any], dict[str, int]]]:
        """Inputs, and where each of them stands, of each prompt of a line. Raises _BadLine."""
        inputs: dict[str, Any] = {}
        places: dict[str, int] = {}
        seeds: list[Any] = []
        for given in _suffixed(text) if self._kohya else _as_a_shell(text):
            name = self._input(given, line)
            if name is None:
                continue
            if name in places:
                raise _BadLine(given.column, f"`--{given.option}` gives `{name}` a second time", "keep one of them")
            places[name] = given.column
            if name == "seed" and given.option == "d" and "," in given.value:
                seeds = [self._value(name, one.strip(), given) for one in given.value.split(",")]
            elif not (name == "seed" and given.value == "-1" and not self._kohya):  # -1: any, so none is sent
                inputs[name] = self._value(name, given.value, given)
        self._sized(inputs, places)
        yield from (({**inputs, "seed": seed}, places) for seed in seeds) if seeds else [(inputs, places)]

    def _input(self, given: _Given, line: int) -> str | None:
        """The model's input that an option means; None, and a problem, when there is none."""
        if not given.option:
            return "prompt"
        columns = self._reading.terms.columns
        means = self._known.get(given.option, (given.option,))
        if means[:1] in {("width",), ("height",)} and "aspect_ratio" in columns:
            return means[0]
        found = next((name for name in means if name in columns), None)
        if found is None and given.option not in self._refused:
            self._refused.add(given.option)
            if given.option in self._known:
                what = f"`--{given.option}`: the model has no input for it"
                mend = f'take it out of every line: sed -E \'s/ --{given.option} +("[^"]*"|[^ ]+)//g\''
            else:
                what = f"unknown option `--{word(given.option)}`"
                mend = suggestion(given.option, [name for name in self._known if self._has_input(name)])
            self._reading.problems.add(self._source.label, line, given.column, what, mend)
        return found

    def _has_input(self, option: str) -> bool:
        columns = (*self._reading.terms.columns, *(("width", "height") if self._takes_ratio() else ()))
        return any(name in columns for name in self._known[option])

    def _takes_ratio(self) -> bool:
        return "aspect_ratio" in self._reading.terms.columns

    def _value(self, name: str, text: str, given: _Given) -> Any:
        terms = self._reading.terms
        if not text.strip():
            raise _BadLine(given.column, f"`--{given.option}` has no value", "give one, or remove it")
        if name in {"width", "height"} and not _PIXELS.fullmatch(text):
            raise _BadLine(given.column, f"`--{given.option}` is a number of pixels, not {shown(text)}", "correct it")
        try:
            return terms.convert(name, text) if name in terms.columns else int(text)
        except ValueError as error:
            raise _BadLine(given.column, f"`--{given.option}`: `{name}` {error}", terms.mend(name)) from None

    def _sized(self, inputs: dict[str, Any], places: dict[str, int]) -> None:
        """Width and height as an aspect ratio, for a model that takes no others. Raises _BadLine."""
        given = [name for name in ("width", "height") if name in inputs]
        if not given or {"width", "height"} <= set(self._reading.terms.columns):
            return
        column = places[given[0]]
        if len(given) == 1:
            raise _BadLine(column, f"a {given[0]} alone is no size", "give width and height")
        if "aspect_ratio" in inputs:
            raise _BadLine(column, "a size beside --ar", "keep one of them")
        width, height = inputs.pop("width"), inputs.pop("height")
        inputs["aspect_ratio"], places["aspect_ratio"] = self._ratio(width, height, column), column

    def _ratio(self, width: int, height: int, column: int) -> str:
        schema, common = self._reading.terms.schema, gcd(width, height)
        exact = f"{width // common}:{height // common}"
        allowed = schema.allowed("aspect_ratio") if schema else None
        if allowed is None:
            return exact
        ratios = {}
        for value in allowed:
            if isinstance(value, str) and (found := _RATIO.fullmatch(value)):
                ratios[value] = int(found[1]) / int(found[2])
                if int(found[1]) * height == int(found[2]) * width:
                    return value
        if (true := _TRUE_SIZES.get((width, height))) in ratios:
            return str(true)
        near = min(ratios, key=lambda ratio: abs(log(ratios[ratio] * height / width)), default=None)
        what = f"{width}x{height} is {exact}, and `aspect_ratio` takes {', '.join(map(str, allowed))}"
        mend = f"write --ar {near} instead, the nearest" if near else "remove the size"
        raise _BadLine(column, what, f"{mend}; batcher does not change what is asked for")


def _suffixed(text: str) -> Iterator[_Given]:
    """Of a kohya line: what comes before the first option is the prompt."""
    starts = [found.start() for found in _OPTION.finditer(text)]
    prompt = text[: starts[0]] if starts else text
    if not prompt.strip():
        raise _BadLine(1, "a line that begins with an option", "put the prompt first: a kite --n blurry --d 7")
    yield _Given("", prompt.strip(), 1 + len(prompt) - len(prompt.lstrip()))
    for start, end in pairwise([*starts, len(text)]):
        name, _, value = text[start + 2 : end].partition(" ")
        if not name:
            raise _BadLine(start + 1, "`--` without the name of an option", "write a dash that is text as - or —")
        yield _Given(name.lower(), value.strip(), start + 1)


def _as_a_shell(text: str) -> Iterator[_Given]:
    """Of an a1111 line, which is a prompt as it stands when there is no option in it."""
    if not _OPTION.search(text):
        yield _Given("", text.strip(), 1 + len(text) - len(text.lstrip()))
        return
    words = _words(text)
    at = 0
    while at < len(words):
        option, column, is_option = words[at]
        if not is_option:
            mend = "begin with --prompt, quote values of several words, or use --format kohya (the prompt comes first)"
            raise _BadLine(column, f"{shown(option, 30)} belongs to no option", mend)
        at += 1
        values: list[str] = []
        while at < len(words) and not words[at][2] and (not values or option in _LONG):
            values.append(words[at][0])
            at += 1
        if not option[2:]:
            raise _BadLine(
                column, "`--` without the name of an option", 'put text with dashes in it in quotes: "a -- b"'
            )
        yield _Given(option[2:], " ".join(values), column)


def _words(text: str) -> list[tuple[str, int, bool]]:
    """As ``shlex.split``, each with its column and whether it is an option: begins with -- outside of quotes."""
    found: list[tuple[str, int, bool]] = []
    at = 0
    while (at := _BLANKS.match(text, at).end()) < len(text):  # type: ignore[union-attr]  # it matches ""
        match = _WORD.match(text, at)
        end = match.end() if match else at
        if end < len(text) and text[end] not in " \t\r\n":
            mend = "close it, put a prompt with an apostrophe in double quotes, or write \\ before it"
            raise _BadLine(end + 1, f"{text[end]} begins a quote that does not end", mend)
        raw, column, at = text[at:end], at + 1, end
        found.append((_unquoted(raw), column, raw.startswith("--")))
    return found


def _unquoted(raw: str) -> str:
    return "".join(
        plain or escaped or single or _ESCAPED.sub(r"\1", double)
        for plain, escaped, single, double in _PIECE.findall(raw)
    )
