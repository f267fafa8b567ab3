"""What names and values mean for the model at hand: the schema where there is one, a cautious guess where there is
none.
"""

import json
import re
import string
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from batcher.manifest.schema import ModelSchema
from batcher.manifest.schema.media import Wanted, wanted
from batcher.manifest.schema.media_files import MediaFiles, as_text, names_of
from batcher.manifest.schema.words import described

COMMON = ("prompt", "negative_prompt", "seed", "aspect_ratio")  # inputs of most models, when no schema says so
LONGEST_PROMPT = 2**20  # bytes
_HIGHEST_SEED = 2**31 - 1  # drawn: what every model and every reader takes
EXACT = 2**53  # beyond it, JSON readers that use floats round integers

_INVISIBLE = (
    string.whitespace
    + "\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff"
    + "".join(map(chr, range(0x2000, 0x2010)))
)  # blanks, and what has no width
_LONGEST_NAME = 100
_MOST_SEEN = 1_000  # columns of a file
_MOST_KEPT, _LONGEST_KEPT = 1_000, 1_000  # texts known to be fine, and characters of one
_TEXTS = frozenset({"prompt", "negative_prompt", "aspect_ratio"})
RATIO = re.compile(r"\s*([1-9][0-9]{0,4})\s*[:x\u00d7/\uff1a]\s*([1-9][0-9]{0,4})\s*", re.IGNORECASE)
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,17})?\Z")


class ModelInputs:
    """The model's inputs as the readers see them: the one that prompts go to is called ``prompt`` here, whatever the
    model calls it.

    prompt: the model's own name for it; None when it has no input that prompts could go to.
    columns: the names that are inputs when a column or a JSON key is called so.
    warnings: what is odd but no error, each once, in order. seen: of each file, what its columns became.
    model: whose records may be run again; None when the user named the model, so that those of any may.
    files: looks into the files that inputs are. may_take_files: whether there is such an input at all.
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
        self.columns = tuple(dict.fromkeys(self._ours(name) for name in names if not self._is_hidden(name)))
        self._takes: dict[str, Wanted | None] = {}
        self.may_take_files = self.schema is None or bool(self.schema.media_inputs)
        self.warnings: dict[str, None] = {}
        self.seen: dict[str, dict[str, str]] = {}
        self._compiled = cache(self._compile)
        self._ratios: dict[str, frozenset[str]] = {}
        self._anything = ModelSchema.from_json("", {"properties": {"": {}}})

    def _ours(self, name: str) -> str:
        return "prompt" if name == self.prompt else name

    def own_name(self, name: str) -> str:
        """What the model calls it, which is also what messages do."""
        return self.prompt if name == "prompt" and self.prompt is not None else name

    def _is_hidden(self, name: str) -> bool:
        """An input called prompt that prompts do not go to, as the user named another one."""
        return name == "prompt" and self.prompt != "prompt"

    def knows(self, name: str) -> bool:
        return _can_be_a_name(name) if self.schema is None else name in self.columns

    def names(self, name: str) -> bool:
        """Whether there is such an input for certain: without a schema any name may be one."""
        return name in self.columns

    def sent(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The inputs under the model's own names."""
        if not self._renames or "prompt" not in inputs:
            return inputs
        return {self.own_name(name): value for name, value in inputs.items()}

    def note(self, label: str, became: Mapping[str, str]) -> None:
        """What the columns of a file became, for ``plan``."""
        seen = self.seen.setdefault(label, {})
        if len(seen) < _MOST_SEEN:
            seen.update(became)

    def means_copies(self, name: str) -> bool:
        """``repeat`` is ours, unless the model has an input called so."""
        return name == "repeat" and (self.schema is None or name not in self.schema.inputs)

    @property
    def default_images(self) -> int:
        """How many pictures a request makes that does not say how many."""
        return self.schema.default_images if self.schema else 1

    def required(self) -> frozenset[str]:
        """What must be given. ``prompt`` is, wherever there is an input for it."""
        must = {self._ours(name) for name in self.schema.required} if self.schema else set()
        return frozenset(must | ({"prompt"} if self.prompt is not None else set()))

    def takes_null(self, name: str) -> bool:
        """Whether a null that was written out is a value to send."""
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
        """What seeds are drawn from: 0 to 2^31 - 1, less what the schema says is too small or too large."""
        low, high = self.schema.bounds(name) if self.schema else (None, None)
        return range(max(0, low or 0), min(_HIGHEST_SEED, _HIGHEST_SEED if high is None else high) + 1)

    def convert(self, name: str, text: str) -> Any:
        """Text from a cell or a flag as a value; raises ValueError with words that follow the name."""
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
        if self.takes_files(name):
            value = as_text(value)
        if self.schema is None:
            return value
        if type(value) is str:
            return self._ratio(name, value)
        return self.schema.normal(self.own_name(name), value) if type(value) is float else value

    def _ratio(self, name: str, text: str) -> str:
        """``16x9``, `` 16:9`` and ``16/9`` are 16:9 for an input that lists it."""
        if name not in self._ratios:
            allowed = self.schema.allowed(self.own_name(name)) if self.schema else None
            self._ratios[name] = frozenset(v for v in allowed or () if isinstance(v, str) and RATIO.fullmatch(v))
        ratios = self._ratios[name]
        if not ratios or text in ratios or not (match := RATIO.fullmatch(text)):
            return text
        plain = f"{match[1]}:{match[2]}"
        return plain if plain in ratios else text

    def wrong(self, name: str, value: Any) -> str | None:
        """What is wrong with a value, as words that follow the name; None if it is fine."""
        return self.check_of(name)(value)

    def check_of(self, name: str) -> Callable[[Any], str | None]:
        """``wrong`` for one input, for those who check millions of its values."""
        return self._compiled(name)

    def _compile(self, name: str) -> Callable[[Any], str | None]:
        fits = self.schema.check_of(self.own_name(name)) if self.schema else self._anything.check_of("")
        if (takes := self.takes_files(name)) is not None:
            fits = self._with_files(fits, takes)
        if name == "prompt":
            return lambda value: (_wrong_prompt(value) or fits(value)) if type(value) is str else _no_text(fits, value)
        fine: set[str] = set()  # of most inputs there are few texts, time and again

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

    def _with_files(self, fits: Callable[[Any], str | None], takes: Wanted) -> Callable[[Any], str | None]:
        return lambda value: self.files.reason(value, takes) or fits(self.files.sent(value, takes))

    def takes_files(self, name: str) -> Wanted | None:
        """What files an input takes; None where it takes none."""
        if name not in self._takes:
            theirs = self.own_name(name)
            if self.schema is None:
                takes = None if name in COMMON else wanted(name, {}, named_only=True)
            else:
                takes = self.schema.wanted(theirs) if theirs in self.schema.media_inputs else None
            if len(self._takes) >= _MOST_SEEN:
                return takes
            self._takes[name] = takes
        return self._takes[name]

    def media_among(self, names: Iterable[str]) -> dict[str, Wanted]:
        """Those that take files."""
        return {name: takes for name in names if (takes := self.takes_files(name))} if self.may_take_files else {}

    def ahead(self, inputs: Mapping[str, Any]) -> None:
        """The files among these are asked for soon."""
        for name, takes in self.media_among(inputs).items():
            self.files.ahead(inputs[name], takes)

    def with_contents(self, inputs: dict[str, Any], media: Mapping[str, Wanted]) -> dict[str, Any]:
        """The inputs with the contents of files in the place of their names."""
        return {**inputs, **{name: self.files.sent(inputs[name], takes) for name, takes in media.items()}}

    def names_of_files(self, inputs: Mapping[str, Any], media: Mapping[str, Wanted]) -> dict[str, Any]:
        """For ``meta``."""
        theirs = {self.own_name(name): takes for name, takes in media.items()}
        return names_of({self.own_name(name): inputs[name] for name in media}, theirs)

    def mend(self, name: str) -> str:
        if self.takes_files(name):
            return "fix it (file names are relative to the manifest)"
        default = self.schema.default(self.own_name(name)) if self.schema else None
        if name == "prompt" or default is None or not str(default).isprintable() or len(str(default)) > 40:
            return "fix it"
        return f"fix it, or leave it out to use the model's default ({default})" if default != "" else "fix it"

    def warn(self, text: str) -> None:
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


def _no_text(fits: Callable[[Any], str | None], value: Any) -> str:
    """In the schema's own words, if it has any."""
    return fits(value) or f"must be text, not {described(value)}"


def _wrong_prompt(value: str) -> str | None:
    if not (value[:1].isalnum() or value.strip(_INVISIBLE)):
        return "is empty"
    if len(value) > LONGEST_PROMPT // 4 and len(value.encode(errors="replace")) > LONGEST_PROMPT:
        return f"is longer than {LONGEST_PROMPT // 2**20} MB, the most that batcher sends"
    return None
