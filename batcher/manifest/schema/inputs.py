"""What names and values mean for the model of a manifest: by its schema, or by a cautious guess where there is none."""

import json
import re
import string
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from typing import Any

from batcher.manifest.schema import ModelSchema
from batcher.manifest.schema.media import Wanted, wanted
from batcher.manifest.schema.media_files import MediaFiles, as_text, names_of, shown
from batcher.manifest.schema.schema import Check
from batcher.manifest.schema.words import described

COMMON = ("prompt", "negative_prompt", "seed", "aspect_ratio")  # inputs of most models, when no schema says so
LONGEST_PROMPT = 2**20  # bytes
_HIGHEST_SEED = 2**31 - 1  # of drawn seeds: every model and every reader takes it
EXACT = 2**53  # beyond it, JSON readers that use floats round integers

_INVISIBLE = (
    string.whitespace
    + "\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff"
    + "".join(map(chr, range(0x2000, 0x2010)))
)  # blanks, and what has no width
_LONGEST_NAME = 100
_MOST_SEEN = 1_000  # columns of a file
_MOST_KEPT, _LONGEST_KEPT = 1_000, 1_000  # texts that were checked and are fine, and characters of one
_TEXTS = frozenset({"prompt", "negative_prompt", "aspect_ratio"})
RATIO = re.compile(r"\s*([1-9][0-9]{0,4})\s*[:x\u00d7/\uff1a]\s*([1-9][0-9]{0,4})\s*", re.IGNORECASE)
_NO_FILES: dict[str, Any] = {}
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,17})?\Z")


class ModelInputs:
    """The model's inputs as the readers see them. Here the input that prompts go to is always called ``prompt``.

    schema: None where there is none. named: names that flags and sections use for inputs, which count without a schema.
    model: the one whose records may be run again; None for those of any model, as the user named one.
    prompt_input: the model's name for the input of prompts, where the user gave it. files: looks into media files.

    ``prompt``: the model's own name for the input of prompts; None when it has none. ``columns``: names that are inputs
    as names of columns or JSON keys. ``warnings``: what is odd but no error, each once, in order. ``seen``: by file,
    what its columns became. ``may_take_files``: whether an input may be a file.

    ``check_of`` gives for a name the check of its values: what is wrong with one, as words that follow the name, or
    None. ``takes_files`` gives for a name what files it takes, None for an input that takes none.
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
        shown_names = (self._ours(name) for name in names if name != "prompt" or self.prompt == "prompt")
        self.columns = tuple(dict.fromkeys(shown_names))
        self.may_take_files = self.schema is None or bool(self.schema.media_inputs)
        self.warnings: dict[str, None] = {}
        self.seen: dict[str, dict[str, str]] = {}
        self.check_of: Callable[[str], Check] = cache(self._check_of)
        self.takes_files: Callable[[str], Wanted | None] = lru_cache(_MOST_SEEN)(self._takes_files)
        self._ratios = cache(self._ratios_of)
        self._anything = ModelSchema.from_json("", {"properties": {"": {}}})

    def __repr__(self) -> str:
        return f"<ModelInputs {', '.join(self.columns)}>"

    def _ours(self, name: str) -> str:
        return "prompt" if name == self.prompt else name

    def own_name(self, name: str) -> str:
        """What the model and messages call an input."""
        return self.prompt if name == "prompt" and self.prompt is not None else name

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

    def means_copies(self, name: str) -> bool:
        """``repeat`` is ours, unless the model has an input called so."""
        return name == "repeat" and (self.schema is None or name not in self.schema.inputs)

    @property
    def default_images(self) -> int:
        """The number of images of a request that does not give it."""
        return self.schema.default_images if self.schema else 1

    def required(self) -> frozenset[str]:
        """Names that must be given; ``prompt`` is one wherever there is an input for it."""
        must = {self._ours(name) for name in self.schema.required} if self.schema else set()
        return frozenset(must | ({"prompt"} if self.prompt is not None else set()))

    def takes_null(self, name: str) -> bool:
        """Whether a null that is written out is sent."""
        return self.schema is not None and self.schema.takes_null(self.own_name(name))

    def takes_ranges(self, name: str) -> bool:
        """Whether ``1..5`` under this name means five integers, not a text."""
        if self.schema:
            theirs = self.own_name(name)
            return self.schema.takes_integers(theirs) or not self.schema.takes_text(theirs)
        return name not in _TEXTS

    def takes_only_integers(self, name: str) -> bool:
        """Whether digits in a cell can mean nothing but their number."""
        return self.schema is not None and self.schema.takes_only_integers(self.own_name(name))

    def drawn_from(self, name: str) -> range:
        """The range that seeds are drawn from: 0 to 2^31 - 1, within the bounds of the schema."""
        low, high = self.schema.bounds(name) if self.schema else (None, None)
        return range(max(0, low or 0), min(_HIGHEST_SEED, _HIGHEST_SEED if high is None else high) + 1)

    def convert(self, name: str, text: str) -> Any:
        """Text from a cell or a flag as a value: ``"7"`` is 7. Raises ValueError with words that follow the name."""
        if self.takes_files(name):
            text = as_text(text)
        if self.schema:
            value = self.schema.convert(self.own_name(name), self._ratio(name, text))
            return value if type(value) is int else self.normal(name, value)
        if name in _TEXTS:
            return text
        if text in {"true", "false"} or _NUMBER.match(text):
            return json.loads(text)
        return text

    def normal(self, name: str, value: Any) -> Any:
        """A value from YAML or JSON in the form of the schema: 1.0 is 1 for an integer, ``16x9`` is ``16:9``."""
        if self.takes_files(name):
            value = as_text(value)
        if self.schema is None:
            return value
        if type(value) is str:
            return self._ratio(name, value)
        return self.schema.normal(self.own_name(name), value) if type(value) is float else value

    def _ratio(self, name: str, text: str) -> str:
        """``16x9``, `` 16:9`` and ``16/9`` are 16:9 for an input that lists it."""
        ratios = self._ratios(name)
        if not ratios or text in ratios or not (match := RATIO.fullmatch(text)):
            return text
        plain = f"{match[1]}:{match[2]}"
        return plain if plain in ratios else text

    def _ratios_of(self, name: str) -> frozenset[str]:
        allowed = self.schema.allowed(self.own_name(name)) if self.schema else None
        return frozenset(value for value in allowed or () if isinstance(value, str) and RATIO.fullmatch(value))

    def wrong(self, name: str, value: Any) -> str | None:
        """What is wrong with a value, as words that follow the name; None if it is fine."""
        return self.check_of(name)(value)

    def _check_of(self, name: str) -> Check:
        fits = self.schema.check_of(self.own_name(name)) if self.schema else self._anything.check_of("")
        if (takes := self.takes_files(name)) is not None:
            fits = self._with_files(fits, takes)
        if name == "prompt":
            return lambda value: (_wrong_prompt(value) or fits(value)) if type(value) is str else _no_text(fits, value)
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

    def _takes_files(self, name: str) -> Wanted | None:
        own = self.own_name(name)
        if self.schema is None:
            return None if name in COMMON else wanted(name, {}, named_only=True)
        return self.schema.wanted(own) if own in self.schema.media_inputs else None

    def media_among(self, names: Iterable[str]) -> dict[str, Wanted]:
        """Those that take files, each with what it takes."""
        return {name: takes for name in names if (takes := self.takes_files(name))} if self.may_take_files else {}

    def ahead(self, inputs: Mapping[str, Any]) -> None:
        """Says that the files among these inputs are needed soon."""
        for name, takes in self.media_among(inputs).items():
            self.files.ahead(inputs[name], takes)

    def mend(self, name: str) -> str:
        """How to fix a value of this input, in words that follow what is wrong."""
        if self.takes_files(name):
            return "fix it (file names are relative to the manifest)"
        default = self.schema.default(self.own_name(name)) if self.schema else None
        if name == "prompt" or default is None or not str(default).isprintable() or len(str(default)) > 40:
            return "fix it"
        return f"fix it, or leave it out to use the model's default ({default})" if default != "" else "fix it"

    def warn(self, text: str) -> None:
        """Adds a warning of one line, the first 100."""
        if len(self.warnings) < 100:
            self.warnings.setdefault(text)


def _prompt_of(schema: ModelSchema) -> str | None:
    """The input that prompts go to: ``prompt``, else the one required text, else the one required file."""
    if "prompt" in schema.inputs:
        return "prompt"
    texts = [
        name
        for name in schema.inputs
        if name in schema.asked and schema.takes_text(name) and schema.allowed(name) is None
    ]
    for kind in ([n for n in texts if n not in schema.media_inputs], [n for n in texts if n in schema.media_inputs]):
        if len(kind) == 1:
            return kind[0]
    return None


def _can_be_a_name(name: str) -> bool:
    """Of an input that no schema names: it will be sent as it is, and stand in messages."""
    return name.isprintable() and len(name) <= _LONGEST_NAME


def _no_text(fits: Check, value: Any) -> str:
    """In the schema's own words, if it has any."""
    return fits(value) or f"must be text, not {described(value)}"


def _wrong_prompt(value: str) -> str | None:
    if not (value[:1].isalnum() or value.strip(_INVISIBLE)):
        return "is empty"
    if len(value) > LONGEST_PROMPT // 4 and len(value.encode(errors="replace")) > LONGEST_PROMPT:
        return f"is longer than {LONGEST_PROMPT // 2**20} MB, the most that batcher sends"
    return None
