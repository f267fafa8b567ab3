"""Columns with a meaning: a model, a size, a ratio, a number of images, a seed, a text to avoid.

A column called like an input of the model is that input (``columns.py``). The others are carried out here, or refused:
as metadata nobody would see them, and every row would be paid for without them.
"""

import re
from collections.abc import Iterable, Mapping
from math import gcd, log
from shlex import quote
from typing import Any

from batcher.core.job import COUNT_INPUTS
from batcher.core.suggest import fold_name, printable, suggestion
from batcher.manifest.readers.rows import Row
from batcher.manifest.schema.input import RATIO
from batcher.manifest.schema.inputs import ModelInputs
from batcher.manifest.schema.words import shown
from batcher.manifest.sweep.axes import BadAxis
from batcher.manifest.sweep.repeats import Repeats

_NAMES = {
    "model": (
        "model", "modelid", "modelname", "modelpath", "aimodel", "imagemodel", "basemodel", "checkpoint", "sdmodel",
    ),
    "aspect_ratio": ("aspectratio", "ratio", "ar", "aspect", "imageratio", "imageaspectratio"),
    "negative_prompt": ("negativeprompt", "negative", "neg", "negprompt", "negativeprompts", "negativetext"),
    "seed": ("seed", "seeds", "seednumber", "randomseed", "noiseseed", "rngseed"),
    "width": ("width", "imagewidth"),
    "height": ("height", "imageheight"),
    "size": ("size", "imagesize", "resolution", "dimensions"),
    "pictures": (
        "numimages", "numberofimages", "maximages", "numoutputs", "batchsize", "niter", "numimagesperprompt",
        "imagesperprompt", "imagecount", "samplecount", "numsamples", "nsamples",
    ),
    "repeat": ("repeat", "repeats", "copies"),
    "sections": ("vars", "matrix", "defaults", "dynamic"),
}  # fmt: skip
_KINDS = {name: kind for kind, names in _NAMES.items() for name in names}
_WORDS = {
    "model": "a model", "aspect_ratio": "an aspect ratio", "negative_prompt": "what to avoid", "seed": "a seed",
    "width": "a size", "height": "a size", "size": "a size", "pictures": "a number of images",
    "repeat": "a number of copies",
}  # fmt: skip
_TEXTS = (
    "text", "caption", "captions", "description", "positive", "positiveprompt", "prompttext", "prompten", "sentence",
)  # fmt: skip
_COUNTS = (*COUNT_INPUTS, "batch_size")
_SIZE = re.compile(r"\s*([1-9][0-9]{0,4})\s*[x\u00d7*]\s*([1-9][0-9]{0,4})\s*(?:px)?\s*", re.IGNORECASE)
_COARSE = re.compile(r"\s*([1-9][0-9]?\s*k|[0-9]{3,4}p|(u|f|q)?hd|(square|landscape|portrait)(_.*)?)\s*", re.IGNORECASE)
_REMARK = re.compile(r"\s*[(\[][^()\[\]]{0,40}[)\]]\s*\Z")
_PIXELS = re.compile(r"\s*([1-9][0-9]{0,4})(?:\.0)?\s*(?:px)?\s*", re.IGNORECASE)
# Sizes of Imagen 4 that are only nearly these ratios.
_TRUE_SIZES = {(1408, 768): "16:9", (1280, 896): "4:3", (896, 1280): "3:4", (768, 1408): "9:16"}


def kind_of_name(name: str) -> str | None:
    """What a column of that name means, None for metadata. Brackets at the end are ignored: ``aspect ratio (w:h)``."""
    return _KINDS.get(fold_name(_REMARK.sub("", name).strip()))


def input_meant(name: str, inputs: Iterable[str]) -> str:
    """How to fix the name of an input that the model does not have, by its meaning, else by its spelling."""
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


def text_columns(names: list[str]) -> list[str]:
    """The names under which other tools keep the text of a prompt."""
    folded = {name: fold_name(name.strip()) for name in names}
    return [n for n in names if folded[n] in _TEXTS or ("prompt" in folded[n] and kind_of_name(n) is None)]


class Meanings:
    """Carries out what such columns say.

    model: of the run. model_inputs: its inputs. repeats: reads a number of copies, None where copies are not allowed.
    """

    def __init__(self, model: str, model_inputs: ModelInputs, repeats: Repeats | None = None) -> None:
        self._model, self._model_inputs, self._repeats = model, model_inputs, repeats
        self._warned = False

    def apply(self, given: Mapping[str, tuple[str, Any]], row: Row) -> list[tuple[str, str, str]]:
        """Changes a row as its columns say. Returns (column, what is wrong, how to fix it) of those that are refused.

        given: by meaning, the column and its value, which is not empty. A value without that meaning is metadata.
        """
        self._row, self._refused = row, []
        for kind, (column, value) in given.items():
            if kind == "model":
                self._one_model(column, value)
            elif kind == "repeat":
                self._copies(column, value)
            elif kind == "pictures":
                self._pictures(column, value)
            elif kind == "sections":
                what = f"`{printable(column)}` is a section of a YAML manifest, and means nothing in this file"
                mend = f"write a YAML manifest with `{fold_name(column)}` beside `file:`, or {_aside(column)}"
                self._refused.append((column, what, mend))
            elif kind == "size":
                self._size(column, value)
            elif kind == "width" and "height" in given:
                self._pixels(column, value, given["height"][1])
            elif kind in {"width", "height"}:
                if kind == "width" or "width" not in given:
                    self._refuse(column, kind)
            else:
                self._input(kind, column, value)
        return self._refused

    def _input(self, kind: str, column: str, value: Any) -> None:
        if kind == "aspect_ratio" and fold_name(column) != "aspectratio" and not RATIO.fullmatch(str(value)):
            self._row.meta[column] = value  # another number: `ratio` is 0.31 in many tables
        elif not self._model_inputs.knows(kind):
            self._refuse(column, kind)
        elif kind in self._row.inputs:
            what = f"both `{printable(column)}` and another column are the input `{kind}`"
            self._refused.append((column, what, "keep one of them"))
        else:
            try:
                its_input = self._model_inputs.of(kind)
                self._row.inputs[kind] = (its_input.convert if isinstance(value, str) else its_input.normal)(value)
            except ValueError as error:
                self._refused.append((column, f"`{printable(column)}` {error}", self._model_inputs.mend(kind)))

    def _one_model(self, column: str, value: Any) -> None:
        if value == self._model:
            return
        what = f"`{printable(column)}` names {shown(str(value))} for this row, and the run is for `{self._model}`"
        one = f"--model {quote(printable(str(value), 100))}"
        mend = f"add {one} if all rows name it, split the file by its models, or {_aside(column)}"
        self._refused.append((column, what, mend))

    def _copies(self, column: str, value: Any) -> None:
        try:
            times = int(str(value).strip())
        except ValueError:
            self._row.meta[column] = value
            return
        try:
            if self._repeats and times != 1:
                self._row.repeat = self._repeats.read(times)
        except BadAxis as error:
            self._refused.append((column, f"`{printable(column)}`: {error.what}", error.mend))
            return
        if self._repeats is None and times != 1:
            self._refuse(column, "repeat")

    def _pictures(self, column: str, value: Any) -> None:
        name = next((name for name in _COUNTS if self._model_inputs.names(name)), None)
        if name is not None and name not in self._row.inputs:
            self._input(name, column, value)
        elif str(value).strip() not in {"1", "1.0"}:
            what = f"`{printable(column)}` asks for {shown(str(value))} images, and the model makes one at a time"
            self._refused.append((column, what, f"call the column `repeat`, or {_aside(column)}"))

    def _size(self, column: str, value: Any) -> None:
        if match := _SIZE.fullmatch(str(value)):
            self._shape(column, int(match[1]), int(match[2]))
        elif _COARSE.fullmatch(str(value)):
            self._refuse(column, "size")
        else:
            self._row.meta[column] = value
            if not self._warned:
                self._warned = True
                what = f"`{printable(column)}` goes to meta: {shown(str(value))}, for one, is not a size in pixels"
                self._model_inputs.warn(what)

    def _pixels(self, column: str, width: Any, height: Any) -> None:
        wide, high = _PIXELS.fullmatch(str(width)), _PIXELS.fullmatch(str(height))
        if wide and high:
            self._shape(column, int(wide[1]), int(high[1]))
        else:
            self._refuse(column, "size")

    def _shape(self, column: str, width: int, height: int) -> None:
        if "aspect_ratio" in self._row.inputs:
            return  # the row gives it; the model could do nothing with the pixels
        if not self._model_inputs.knows("aspect_ratio"):
            self._refuse(column, "size")
            return
        ratio, wrong = ratio_of(width, height, self._model_inputs)
        if ratio is not None:
            self._row.inputs["aspect_ratio"] = ratio
        else:
            self._refused.append((column, *wrong))

    def _refuse(self, column: str, kind: str) -> None:
        what = f"`{printable(column)}` means {_WORDS[kind]}, and the model has no input for it"
        self._refused.append((column, what, f"remove the column, or {_aside(column)}"))


def _aside(column: str) -> str:
    name = printable(column)
    return f"keep it as metadata: --meta {quote(name)} (`meta: [{name}]` beside `file:`)"


def ratio_of(width: int, height: int, model_inputs: ModelInputs) -> tuple[str | None, tuple[str, str]]:
    """Width and height as an aspect ratio of the model. None, what is wrong and how to fix it, if there is none."""
    common = gcd(width, height)
    exact = f"{width // common}:{height // common}"
    allowed = model_inputs.of("aspect_ratio").allowed
    if allowed is None:
        return exact, ("", "")
    ratios = {}
    for value in allowed:
        if isinstance(value, str) and (match := RATIO.fullmatch(value)):
            ratios[value] = int(match[1]) / int(match[2])
            if int(match[1]) * height == int(match[2]) * width:
                return value, ("", "")
    if (true := _TRUE_SIZES.get((width, height))) in ratios:
        return true, ("", "")
    near = min(ratios, key=lambda ratio: abs(log(ratios[ratio] * height / width)), default=None)
    what = f"{width}x{height} is {exact}, and `aspect_ratio` takes {', '.join(map(str, allowed))}"
    return None, (what, f"{near} is the nearest" if near else "remove the size")
