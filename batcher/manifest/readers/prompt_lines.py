"""Prompt lines with options, as other tools read them. The user names the format, and every option counts.

``a1111``: lines of "Prompts from file or textbox", split as a shell does: ``--prompt "a kite" --seed 7 --width 832``.
``kohya``: prompts of sd-scripts, ``a kite --n blurry --w 832 --h 1216 --d 7,8``; every seed is a prompt of its own, and
a line that begins with ``#`` is a comment. Both take ``--ar``, ``--neg`` and ``--seed`` as well. These tools drop what
they can't read, or make it part of the prompt. Here it is an error, as the image would be paid for.
"""

import re
from collections.abc import Iterator
from typing import Any

from batcher.core.errors import Mistake
from batcher.core.suggest import printable, suggestion
from batcher.manifest.readers.lookalikes import MIDJOURNEY
from batcher.manifest.readers.reading import FileReader, Reading
from batcher.manifest.readers.rows import Row
from batcher.manifest.readers.source import Source
from batcher.manifest.readers.special_columns import ratio_of
from batcher.manifest.schema.words import shown

_Options = dict[str, tuple[str, ...]]  # by option, the model's inputs that it may be; the first that there is counts
_BOTH: _Options = {"ar": ("aspect_ratio",), "neg": ("negative_prompt",), "seed": ("seed",)}
_STEPS, _SCALE = ("steps", "num_inference_steps"), ("cfg_scale", "guidance_scale", "cfg")
_SAME = (
    "prompt", "negative_prompt", "width", "height", "batch_size", "do_not_save_grid", "do_not_save_samples",
    "n_iter", "outpath_grids", "outpath_samples", "prompt_for_display", "restore_faces", "sampler_index",
    "sampler_name", "sd_model", "seed_resize_from_h", "seed_resize_from_w", "styles", "subseed",
    "subseed_strength", "tiling",
)  # fmt: skip
_A1111: _Options = {**_BOTH, **{name: (name,) for name in _SAME}, "steps": _STEPS, "cfg_scale": _SCALE}
_KOHYA: _Options = {
    **_BOTH, "n": ("negative_prompt",), "w": ("width",), "h": ("height",), "d": ("seed",), "s": _STEPS, "l": _SCALE,
    "g": ("guidance_scale",),
    **dict.fromkeys(("t", "nl", "am", "ow", "oh", "nw", "nh", "ct", "cl", "c", "f", "ss", "cn", "fs"), ()),
}  # fmt: skip
_LONG = {"--prompt", "--negative_prompt", "--neg"}  # their values end at the next option
_OPTION = re.compile(r"(?:^|(?<=[ \t]))--")
_BLANKS = re.compile(r"[ \t\r\n]*")
_WORD = re.compile(r"""(?:[^ \t\r\n'"\\]++|\\.|'[^']*'|"(?:[^"\\]++|\\.)*+")++""")
_PIECE = re.compile(r"""([^'"\\]++)|\\(.)|'([^']*)'|"((?:[^"\\]++|\\.)*+)\"""")
_ESCAPED = re.compile(r"\\([\"\\])")
_PIXELS = re.compile(r"[1-9][0-9]{0,4}")


class _BadLine(Mistake):
    pass


# One option of a line: its name (empty for a prompt that needs none), its value, and the column where it begins.
_Given = tuple[str, str, int]


class PromptLines(FileReader):
    """Reads such lines. form: a1111 or kohya.

    source, reading: as of ``FileReader``.
    """

    def __init__(self, source: Source, form: str, reading: Reading) -> None:
        super().__init__(source, form, reading)
        self._kohya = form == "kohya"
        self._options = _KOHYA if self._kohya else _A1111
        self._names: dict[str, str | None] = {}  # input by option; None after its one message

    def rows(self) -> Iterator[Row]:
        with self._source.text() as stream:
            for line, text in enumerate(stream, 1):
                if text.isspace() or self._is_comment(text):
                    continue
                try:
                    for own, places in self._prompts(text.rstrip(), line):
                        yield self._row_of(line, own, places)
                except _BadLine as error:
                    self._wrong((line, error.column), error.what, error.mend, error.what)

    def _at(self, row: Row, name: str) -> tuple[int, int] | None:
        return (row.line, row.raw[name]) if name in row.raw else None

    def _is_comment(self, text: str) -> bool:
        is_comment = self._kohya and text.startswith("#")
        if is_comment:
            self._warn("lines that begin with # are left out as comments, as kohya does")
        return is_comment

    def _prompts(self, text: str, line: int) -> list[tuple[dict[str, Any], dict[str, int]]]:
        """Inputs and their columns, for each prompt of a line. Raises _BadLine."""
        inputs: dict[str, Any] = {}
        places: dict[str, int] = {}
        seeds: list[Any] = []
        for given in _suffixed(text) if self._kohya else _as_a_shell(text):
            option, written, column = given
            name = self._names[option] if option in self._names else self._input(option, line, column)
            if name is None:
                continue
            if name in places:
                raise _BadLine(column, f"`--{option}` gives `{name}` a second time", "keep one of them")
            places[name] = column
            if option == "d" and "," in written:
                seeds = [self._value(name, (option, one.strip(), column)) for one in written.split(",")]
            elif not (name == "seed" and written == "-1" and not self._kohya):  # -1: any, so none is sent
                inputs[name] = self._value(name, given)
        self._sized(inputs, places)
        return [({**inputs, "seed": seed}, places) for seed in seeds] if seeds else [(inputs, places)]

    def _input(self, option: str, line: int, column: int) -> str | None:
        """The model's input for an option; None with a problem if there is none."""
        candidates = self._options.get(option, (option,)) if option else ("prompt",)
        name = self._names[option] = next(filter(self._is_input, candidates), None)
        if name is None:
            if option in self._options:
                what = f"`--{option}`: the model has no input for it"
                mend = f"""remove it from every line: sed -E 's/ --{option} +("[^"]*"|[^ ]+)//g'"""
                if option in {"n_iter", "batch_size"}:
                    mend += "; --repeat N makes copies"
            elif option in MIDJOURNEY:
                what = f"`--{option}` is Midjourney's, and the model has no input for it"
                mend = f"remove it from every line: sed -E 's/ --{option}( +[^ -][^ ]*)?//g'"
                if option == "no":
                    mend = "write it as --neg: sed 's/ --no / --neg /'"
            else:
                what = f"unknown option `--{printable(option)}`"
                taken = [other for other, inputs in self._options.items() if any(map(self._is_input, inputs))]
                mend = suggestion(option, taken)
            self._wrong((line, column), what, mend)
        return name

    def _is_input(self, name: str) -> bool:
        """Whether the model has an input. Width and height count where the model takes an aspect ratio."""
        columns = self._reading.model_inputs.columns
        return name in columns or (name in {"width", "height"} and "aspect_ratio" in columns)

    def _value(self, name: str, given: _Given) -> Any:
        model_inputs, (option, text, column) = self._reading.model_inputs, given
        if not text.strip():
            raise _BadLine(column, f"`--{option}` has no value", "give one, or remove it")
        if name in {"width", "height"} and not _PIXELS.fullmatch(text):
            raise _BadLine(column, f"`--{option}` is a number of pixels, not {shown(text)}", "fix it")
        try:
            return model_inputs.of(name).convert(text) if name in model_inputs.columns else int(text)
        except ValueError as error:
            raise _BadLine(column, f"`--{option}`: `{name}` {error}", model_inputs.mend(name)) from None

    def _sized(self, inputs: dict[str, Any], places: dict[str, int]) -> None:
        """Replaces width and height by an aspect ratio, for a model without these inputs. Raises _BadLine."""
        given = [name for name in ("width", "height") if name in inputs]
        if not given or {"width", "height"} <= set(self._reading.model_inputs.columns):
            return
        column = places[given[0]]
        if len(given) == 1:
            raise _BadLine(column, f"a {given[0]} alone is not a size", "give width and height")
        if "aspect_ratio" in inputs:
            raise _BadLine(column, "a size beside --ar", "keep one of them")
        width, height = inputs.pop("width"), inputs.pop("height")
        try:
            inputs["aspect_ratio"] = ratio_of(width, height, self._reading.model_inputs)
        except Mistake as error:
            near = error.mend.partition(" ")[0]
            mend = f"write --ar {near} instead, the nearest" if ":" in near else error.mend
            raise _BadLine(column, error.what, f"{mend}; batcher does not change what is asked for") from None
        places["aspect_ratio"] = column


def _suffixed(text: str) -> list[_Given]:
    """Prompt and options of a kohya line. The prompt is what comes before the first option."""
    prompt, *options = _OPTION.split(text)
    if not prompt.strip():
        raise _BadLine(1, "a line that begins with an option", "put the prompt first: a kite --n blurry --d 7")
    parts, column = [("", prompt.strip(), 1 + len(prompt) - len(prompt.lstrip()))], len(prompt) + 1
    for option in options:
        name = option.split(None, 1)[:1]
        if not name or not option.startswith(name[0]):
            raise _BadLine(column, "`--` without the name of an option", "write a dash that is text as - or —")
        parts.append((name[0].lower(), option[len(name[0]) :].strip(), column))
        column += len("--") + len(option)
    return parts


def _as_a_shell(text: str) -> list[_Given]:
    """Prompt and options of an a1111 line. A line without options is a prompt."""
    if not _OPTION.search(text):
        return [("", text.strip(), 1 + len(text) - len(text.lstrip()))]
    words, parts, at = _words(text), [], 0
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
            mend = 'put text with dashes in it in quotes: "a -- b"'
            raise _BadLine(column, "`--` without the name of an option", mend)
        parts.append((option[2:], " ".join(values), column))
    return parts


def _words(text: str) -> list[tuple[str, int, bool]]:
    """Words as ``shlex.split`` makes them, each with its column and whether it begins with -- outside of quotes."""
    words: list[tuple[str, int, bool]] = []
    at = 0
    while (at := _BLANKS.match(text, at).end()) < len(text):  # type: ignore[union-attr]  # it matches ""
        match = _WORD.match(text, at)
        end = match.end() if match else at
        if end < len(text) and text[end] not in " \t\r\n":
            mend = "close it, put a prompt with an apostrophe in double quotes, or write \\ before it"
            raise _BadLine(end + 1, f"{text[end]} begins a quote that does not end", mend)
        raw, column, at = text[at:end], at + 1, end
        words.append((_unquoted(raw), column, raw.startswith("--")))
    return words


def _unquoted(raw: str) -> str:
    return "".join(
        plain or escaped or single or _ESCAPED.sub(r"\1", double)
        for plain, escaped, single, double in _PIECE.findall(raw)
    )
