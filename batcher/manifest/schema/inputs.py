"""What names and values mean for the model of a manifest: by its schema, or by a cautious guess where there is none."""

import string
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from batcher.manifest.schema import ModelSchema
from batcher.manifest.schema.input import COMMON, Check, GuessedInput, Input
from batcher.manifest.schema.media import Wanted
from batcher.manifest.schema.media_files import MediaFiles, names_of, shown
from batcher.manifest.schema.words import described

LONGEST_PROMPT = 2**20  # bytes
EXACT = 2**53  # beyond it, JSON readers that use floats round integers

_INVISIBLE = (
    string.whitespace
    + "\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff"
    + "".join(map(chr, range(0x2000, 0x2010)))
)  # blanks, and what has no width
_LONGEST_NAME = 100
_MOST_SEEN = 1_000  # columns of a file
_MOST_KEPT, _LONGEST_KEPT = 1_000, 1_000  # texts that were checked and are fine, and characters of one
_NO_FILES: dict[str, Any] = {}


class ModelInputs:
    """The model's inputs as the readers see them. Here the input that prompts go to is always called ``prompt``.

    schema: None where there is none. named: names that flags and sections use for inputs, which count without a schema.
    model: the one whose records may be run again; None for those of any model, as the user named one.
    prompt_input: the model's name for the input of prompts, where the user gave it. files: looks into media files.

    ``prompt``: the model's own name for the input of prompts; None when it has none. ``columns``: names that are inputs
    as names of columns or JSON keys. ``warnings``: what is odd but no error, each once, in order. ``seen``: by file,
    what its columns became. ``may_take_files``: whether an input may be a file.

    ``of`` gives the input of a name; where there is no schema, a guessed one. ``check_of`` gives the check of its
    values: what is wrong with one, as words that follow the name, or None.
    """

    def __init__(
        self,
        schema: ModelSchema | None,
        named: Iterable[str] = (),
        model: str | None = None,
        prompt_input: str | None = None,
        files: MediaFiles | None = None,
    ) -> None:
        self.files = files or MediaFiles("", None)
        self.model = model
        self.schema = schema if schema is not None and schema.inputs else None
        self.prompt = prompt_input or (_prompt_of(self.schema) if self.schema else "prompt")
        self._renames = self.prompt not in {"prompt", None}
        names = self.schema.inputs if self.schema else [*COMMON, *filter(_can_be_a_name, named)]
        # An input called prompt is hidden where prompts go to another one.
        shown_names = (self.our_name(name) for name in names if name != "prompt" or self.prompt == "prompt")
        self.columns = tuple(dict.fromkeys(shown_names))
        self.may_take_files = self.schema is None or bool(self.schema.media_inputs)
        self.warnings: dict[str, None] = {}
        self.seen: dict[str, dict[str, str]] = {}
        self.check_of: Callable[[str], Check] = cache(self._check_of)
        self.of: Callable[[str], Input] = cache(self._of)

    def __repr__(self) -> str:
        return f"<ModelInputs {', '.join(self.columns)}>"

    def our_name(self, name: str) -> str:
        """What readers call an input of the model."""
        return "prompt" if name == self.prompt else name

    def own_name(self, name: str) -> str:
        """What the model and messages call an input."""
        return self.prompt if name == "prompt" and self.prompt is not None else name

    def _of(self, name: str) -> Input:
        return self.schema.input(self.own_name(name)) if self.schema else GuessedInput(name)

    def knows(self, name: str) -> bool:
        """Whether there may be such an input: without a schema nearly any name may be one."""
        return _can_be_a_name(name) if self.schema is None else name in self.columns

    def names(self, name: str) -> bool:
        """Whether there certainly is such an input."""
        return name in self.columns

    def request(self, inputs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """The inputs of one request under the model's own names, twice: as they are sent, with the contents of files
        (``sha256:...``), and as names of images show them. Third, for ``meta``: the files' names, as ``image_file``.
        """
        if not (self.may_take_files and (media := self.media_among(inputs))):
            sent = self._own_names(inputs) if self._renames else inputs
            return sent, sent, _NO_FILES
        contents = {name: self.files.sent(inputs[name], takes) for name, takes in media.items()}
        files = {name: names_of(inputs[name], takes) for name, takes in media.items()}
        named = {f"{self.own_name(name)}_file": names for name, names in files.items() if names}
        return self._own_names({**inputs, **contents}), self._own_names(self.shown(inputs)), named

    def _own_names(self, inputs: dict[str, Any]) -> dict[str, Any]:
        return {self.own_name(name): value for name, value in inputs.items()}

    def shown(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The inputs with the names of files as they were written."""
        if not self.may_take_files:
            return inputs
        return {**inputs, **{name: shown(inputs[name]) for name in self.media_among(inputs)}}

    def note(self, label: str, became: Mapping[str, str]) -> None:
        """Keeps what the columns of a file became, for ``plan``."""
        seen = self.seen.setdefault(label, {})
        if len(seen) < _MOST_SEEN:
            seen.update(became)

    def is_key(self, name: str, key: str) -> bool:
        """Whether a name is this key of a manifest (``repeat``, ``dynamic``), and no input of the model."""
        return name == key and (self.schema is None or name not in self.schema.inputs)

    @property
    def default_images(self) -> int:
        """The number of images of a request that does not give it."""
        return self.schema.default_images if self.schema else 1

    def required(self) -> frozenset[str]:
        """Names that must be given; ``prompt`` is one wherever there is an input for it."""
        must = {self.our_name(name) for name in self.schema.required} if self.schema else set()
        return frozenset(must | ({"prompt"} if self.prompt is not None else set()))

    def wrong(self, name: str, value: Any) -> str | None:
        """What is wrong with a value, as words that follow the name; None if it is fine."""
        return self.check_of(name)(value)

    def _check_of(self, name: str) -> Check:
        fits, takes = self.of(name).check, self.of(name).takes
        if takes is not None:
            fits = self._with_files(fits, takes)
        if name == "prompt":
            return lambda value: _wrong_prompt(value) or fits(value) or _no_text(value)
        fine: set[str] = set()  # most inputs have few different texts, which come again and again

        def check(value: Any) -> str | None:
            if type(value) is str and value in fine:
                return None
            if (reason := fits(value)) is not None:
                return reason
            if type(value) is str and len(fine) < _MOST_KEPT and len(value) <= _LONGEST_KEPT:
                fine.add(value)
            elif type(value) is int and abs(value) > EXACT:
                self.warn(f"`{name}` has values above 2^53 ({value}, for one), which many JSON readers round")
            return None

        return check

    def _with_files(self, fits: Check, takes: Wanted) -> Check:
        return lambda value: self.files.reason(value, takes) or fits(self.files.sent(value, takes))

    def media_among(self, names: Iterable[str]) -> dict[str, Wanted]:
        """Those that take files, each with what it takes."""
        return {name: takes for name in names if (takes := self.of(name).takes)} if self.may_take_files else {}

    def ahead(self, inputs: Mapping[str, Any]) -> None:
        """Says that the files among these inputs are needed soon."""
        for name, takes in self.media_among(inputs).items():
            self.files.ahead(inputs[name], takes)

    def mend(self, name: str) -> str:
        """How to fix a value of this input, in words that follow what is wrong."""
        one = self.of(name)
        if one.takes:
            return "fix it (file names are relative to the manifest)"
        default = "" if name == "prompt" or one.default is None else str(one.default)
        is_short = default.isprintable() and 0 < len(default) <= 40
        return f"fix it, or leave it out to use the model's default ({default})" if is_short else "fix it"

    def warn(self, text: str) -> None:
        """Adds a warning of one line, the first 100."""
        if len(self.warnings) < 100:
            self.warnings.setdefault(text)


def _prompt_of(schema: ModelSchema) -> str | None:
    """The input that prompts go to: ``prompt``, else the one required text, else the one required file."""
    if "prompt" in schema.inputs:
        return "prompt"
    texts = [one for name, one in schema.inputs.items() if name in schema.asked and one.is_free_text]
    for names in ([one.name for one in texts if one.is_media is files] for files in (False, True)):
        if len(names) == 1:
            return names[0]
    return None


def _can_be_a_name(name: str) -> bool:
    """Of an input that no schema names: it will be sent as it is, and stand in messages."""
    return name.isprintable() and len(name) <= _LONGEST_NAME


def _no_text(value: Any) -> str | None:
    return None if type(value) is str else f"must be text, not {described(value)}"


def _wrong_prompt(value: Any) -> str | None:
    if type(value) is not str:
        return None  # the schema's own words come first
    if not (value[:1].isalnum() or value.strip(_INVISIBLE)):
        return "is empty"
    if len(value) > LONGEST_PROMPT // 4 and len(value.encode(errors="replace")) > LONGEST_PROMPT:
        return f"is longer than {LONGEST_PROMPT // 2**20} MB, the most that batcher sends"
    return None
