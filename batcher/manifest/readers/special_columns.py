"""Special columns: a model, a size, a ratio, a number of images, a seed, a text to avoid.

A column called like an input of the model is that input (``columns.py``). The others are carried out here, or refused:
as metadata nobody would see them, and every row would be paid for without them.
"""

import re
from collections.abc import Iterable, Mapping
from math import gcd, log
from shlex import quote
from typing import Any

from batcher.core.errors import Mistake
from batcher.core.job import COUNT_INPUTS
from batcher.core.suggest import fold_name, printable, quoted, suggestion
from batcher.manifest.readers.rows import Row
from batcher.manifest.schema.input import RATIO
from batcher.manifest.schema.inputs import ModelInputs
from batcher.manifest.schema.words import shown
from batcher.manifest.sweep.axes import BadAxis
from batcher.manifest.sweep.repeats import Repeats

# By kind: what messages say that such a column means, and its names.
_KINDS = {
    "model": (
        "a model", "model", "modelid", "modelname", "modelpath", "aimodel", "imagemodel", "basemodel", "checkpoint",
        "sdmodel",
    ),
    "aspect_ratio": (
        "an aspect ratio", "aspectratio", "ratio", "ar", "aspect", "imageratio", "imageaspectratio",
    ),
    "negative_prompt": (
        "what to avoid", "negativeprompt", "negative", "neg", "negprompt", "negativeprompts", "negativetext",
    ),
    "seed": ("a seed", "seed", "seeds", "seednumber", "randomseed", "noiseseed", "rngseed"),
    "width": ("a size", "width", "imagewidth"),
    "height": ("a size", "height", "imageheight"),
    "size": ("a size", "size", "imagesize", "resolution", "dimensions"),
    "pictures": (
        "a number of images", "numimages", "numberofimages", "maximages", "numoutputs", "batchsize", "niter",
        "numimagesperprompt", "imagesperprompt", "imagecount", "samplecount", "numsamples", "nsamples",
    ),
    "repeat": ("a number of copies", "repeat", "repeats", "copies"),
    "sections": ("a section of a manifest", "vars", "matrix", "defaults", "dynamic"),
}  # fmt: skip
_KIND_OF = {name: kind for kind, (_, *names) in _KINDS.items() for name in names}
_TEXTS = (
    "text", "caption", "captions", "description", "positive", "positiveprompt", "prompttext", "prompten", "sentence",
)  # fmt: skip
PROMPTS = frozenset({"prompt", "prompts"})  # names of the column of prompts, as ``fold_name`` has them
_COUNTS = (*COUNT_INPUTS, "batch_size")
_SIZE = re.compile(r"\s*([1-9][0-9]{0,4})\s*[x\u00d7*]\s*([1-9][0-9]{0,4})\s*(?:px)?\s*", re.IGNORECASE)
_COARSE = re.compile(r"\s*([1-9][0-9]?\s*k|[0-9]{3,4}p|(u|f|q)?hd|(square|landscape|portrait)(_.*)?)\s*", re.IGNORECASE)
_REMARK = re.compile(r"\s*[(\[][^()\[\]]{0,40}[)\]]\s*\Z")
_PIXELS = re.compile(r"\s*([1-9][0-9]{0,4})(?:\.0)?\s*(?:px)?\s*", re.IGNORECASE)
# Sizes of Imagen 4 that are only nearly these ratios.
_TRUE_SIZES = {(1408, 768): "16:9", (1280, 896): "4:3", (896, 1280): "3:4", (768, 1408): "9:16"}


def kind_of_name(name: str) -> str | None:
    """What a column of that name means, None for metadata. Brackets at the end are ignored: ``aspect ratio (w:h)``."""
    return _KIND_OF.get(fold_name(_REMARK.sub("", name).strip()))


def suggested_input(name: str, inputs: Iterable[str]) -> str:
    """How to fix the name of an input that the model does not have, by what it stands for, else by its spelling."""
    names, kind = list(inputs), kind_of_name(name)
    if kind == "model":
        return "a manifest has one model, at its top or with --model: run it once for each, with an -o of its own"
    if kind in names:
        return f"did you mean `{kind}`?"
    if "prompt" in names and text_columns([name]):
        return "did you mean `prompt`?"
    if kind in {"width", "height", "size"} and "aspect_ratio" in names:
        return "the model takes an aspect ratio, as in `aspect_ratio: 16:9`"
    return suggestion(name, names)


def prompt_names(prompt_column: str | None) -> frozenset[str]:
    """Folded names of the column of prompts. prompt_column: as the user named it."""
    return PROMPTS if prompt_column is None else frozenset({fold_name(prompt_column)})


def text_columns(names: list[str]) -> list[str]:
    """The names under which other tools keep the text of a prompt."""
    folded = {name: fold_name(name.strip()) for name in names}
    return [n for n in names if folded[n] in _TEXTS or ("prompt" in folded[n] and kind_of_name(n) is None)]


class SpecialColumns:
    """Carries out what such columns say.

    model: of the run. model_inputs: its inputs. repeats: reads a number of copies.
    """

    def __init__(self, model: str, model_inputs: ModelInputs, repeats: Repeats) -> None:
        self._model, self._model_inputs, self._repeats = model, model_inputs, repeats
        self._warned = False

    def apply(self, given: Mapping[str, tuple[str, Any]], row: Row) -> list[tuple[str, str, str]]:
        """Changes a row as its columns say. Returns (column, what is wrong, how to fix it) of those that are refused.

        given: by kind, the column and its value, which is not empty. A value that does not fit the kind is metadata.
        """
        refused = []
        for kind, (column, value) in given.items():
            try:
                self._apply(kind, column, value, row, given)
            except Mistake as error:
                refused.append((column, error.what, error.mend))
        return refused

    def _apply(self, kind: str, column: str, value: Any, row: Row, given: Mapping[str, tuple[str, Any]]) -> None:
        """Raises Mistake for a column that is refused."""
        if kind == "model":
            self._refuse_other_model(column, value)
        elif kind == "repeat":
            self._copies(column, value, row)
        elif kind == "pictures":
            self._pictures(column, value, row)
        elif kind == "sections":
            what = f"{quoted(column)} is a section of a YAML manifest, and means nothing in this file"
            mend = f"write a YAML manifest with `{fold_name(column)}` beside `file:`, or {_aside(column)}"
            raise Mistake(0, what, mend)
        elif kind == "size":
            self._size(column, value, row)
        elif kind == "width" and "height" in given:
            wide, high = (_PIXELS.fullmatch(str(one)) for one in (value, given["height"][1]))
            if not wide or not high:
                raise _no_input(column, "size")
            self._shape(column, int(wide[1]), int(high[1]), row)
        elif kind == "width" or (kind == "height" and "width" not in given):
            raise _no_input(column, kind)
        elif kind != "height":
            self._input(kind, column, value, row)

    def _input(self, kind: str, column: str, value: Any, row: Row) -> None:
        if kind == "aspect_ratio" and fold_name(column) != "aspectratio" and not RATIO.fullmatch(str(value)):
            row.meta[column] = value  # another number: `ratio` is 0.31 in many tables
            return
        if not self._model_inputs.knows(kind):
            raise _no_input(column, kind)
        if kind in row.inputs:
            raise Mistake(0, f"both {quoted(column)} and another column are the input `{kind}`", "keep one of them")
        its_input = self._model_inputs.of(kind)
        try:
            row.inputs[kind] = (its_input.convert if isinstance(value, str) else its_input.normal)(value)
        except ValueError as error:
            raise Mistake(0, f"{quoted(column)} {error}", self._model_inputs.mend(kind)) from None

    def _refuse_other_model(self, column: str, value: Any) -> None:
        if value != self._model:
            what = f"{quoted(column)} names {shown(str(value))} for this row, and the run is for `{self._model}`"
            one = f"--model {quote(printable(str(value), 100))}"
            raise Mistake(0, what, f"add {one} if all rows name it, split the file by its models, or {_aside(column)}")

    def _copies(self, column: str, value: Any, row: Row) -> None:
        try:
            times = int(str(value).strip())
        except ValueError:
            row.meta[column] = value
            return
        try:
            if times != 1:
                row.repeat = self._repeats.read(times)
        except BadAxis as error:
            raise Mistake(0, f"{quoted(column)}: {error.what}", error.mend) from None

    def _pictures(self, column: str, value: Any, row: Row) -> None:
        name = next((name for name in _COUNTS if self._model_inputs.names(name)), None)
        if name is not None and name not in row.inputs:
            self._input(name, column, value, row)
        elif str(value).strip() not in {"1", "1.0"}:
            what = f"{quoted(column)} asks for {shown(str(value))} images, and the model makes one at a time"
            raise Mistake(0, what, f"call the column `repeat`, or {_aside(column)}")

    def _size(self, column: str, value: Any, row: Row) -> None:
        if match := _SIZE.fullmatch(str(value)):
            self._shape(column, int(match[1]), int(match[2]), row)
        elif _COARSE.fullmatch(str(value)):
            raise _no_input(column, "size")
        else:
            row.meta[column] = value
            if not self._warned:
                self._warned = True
                what = f"{quoted(column)} goes to meta: {shown(str(value))}, for one, is not a size in pixels"
                self._model_inputs.warn(what)

    def _shape(self, column: str, width: int, height: int, row: Row) -> None:
        """Without effect where the row gives the ratio: the model could do nothing with the pixels."""
        if "aspect_ratio" not in row.inputs:
            if not self._model_inputs.knows("aspect_ratio"):
                raise _no_input(column, "size")
            row.inputs["aspect_ratio"] = ratio_of(width, height, self._model_inputs)


def _no_input(column: str, kind: str) -> Mistake:
    what = f"{quoted(column)} means {_KINDS[kind][0]}, and the model has no input for it"
    return Mistake(0, what, f"remove the column, or {_aside(column)}")


def _aside(column: str) -> str:
    name = printable(column)
    return f"keep it as metadata: --meta {quote(name)} (`meta: [{name}]` beside `file:`)"


def ratio_of(width: int, height: int, model_inputs: ModelInputs) -> str:
    """Width and height as an aspect ratio of the model. Raises Mistake if there is none."""
    common = gcd(width, height)
    exact = f"{width // common}:{height // common}"
    allowed = model_inputs.of("aspect_ratio").allowed
    if allowed is None:
        return exact
    ratios = {}
    for value in allowed:
        if isinstance(value, str) and (match := RATIO.fullmatch(value)):
            ratios[value] = int(match[1]) / int(match[2])
            if int(match[1]) * height == int(match[2]) * width:
                return value
    if (true := _TRUE_SIZES.get((width, height), "")) in ratios:
        return true
    near = min(ratios, key=lambda ratio: abs(log(ratios[ratio] * height / width)), default=None)
    what = f"{width}x{height} is {exact}, and `aspect_ratio` takes {', '.join(map(str, allowed))}"
    raise Mistake(0, what, f"{near} is the nearest" if near else "remove the size")
